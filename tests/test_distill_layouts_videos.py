"""FaceForensics++ and DeepfakeBench: identities stay together, and a JSON may say anything."""

import pytest
from test_distill_layouts_recognised import (
    deepfakebench,
    faceforensics,
    failure,
    left_out,
    samples,
    touch,
    write,
)  # fmt: skip

from distill.data.layouts import load_dataset

REAL, FAKE = "original_sequences/youtube/c23/images", "manipulated_sequences/Deepfakes/c23/images"


def problems(root, **options):
    return list(load_dataset(root, **options).problems)


def seen(root, **options):
    found = samples(root, **options).items()
    return {path: (s.label, s.split, s.generator, s.group) for path, s in found}


def test_faceforensics(tmp_path):
    touch(
        faceforensics(tmp_path),
        "manipulated_sequences/FaceSwap/raw/054_071/1.jpg",
        "manipulated_sequences/FaceSwap/c40/frames/000_003/1.jpg",
        f"{REAL}/000/0001.png",
    )
    assert seen(tmp_path) == {
        f"{REAL}/071/0000.png": (0, "train", "", "054"),
        f"{REAL}/054/0000.png": (0, "train", "", "054"),
        f"{REAL}/000/0001.png": (0, "", "", "000"),
        f"{FAKE}/071_054/0000.png": (1, "train", "Deepfakes", "054"),
        "manipulated_sequences/FaceSwap/raw/054_071/1.jpg": (1, "train", "FaceSwap", "054"),
        "manipulated_sequences/FaceSwap/c40/frames/000_003/1.jpg": (1, "", "FaceSwap", "000"),
    }
    assert problems(tmp_path) == [
        "2 of 6 images are of videos that no split JSON names, first "
        "'manipulated_sequences/FaceSwap/c40/frames/000_003/1.jpg'; they are split by group"
    ]


def test_the_split_lists_may_stand_at_the_root(tmp_path):
    write(touch(tmp_path, f"{REAL}/001/0.png", f"{FAKE}/001_870/0.png"), "val.json", [["001", "870"]])
    write(tmp_path, "test.json", [["002", "003"]])
    assert {s.split for s in load_dataset(tmp_path).samples} == {"valid"}
    assert not left_out(tmp_path) and not problems(tmp_path)


def test_without_split_lists_groups_come_from_the_names(tmp_path):
    touch(tmp_path, f"{REAL}/001/0.png", f"{REAL}/870/0.png", f"{REAL}/002/0.png", f"{FAKE}/870_001/0.png")
    groups = {path.split("/")[-2]: s.group for path, s in samples(tmp_path).items()}
    assert groups == {"001": "001", "870": "001", "870_001": "001", "002": "002"}
    assert not problems(tmp_path)


def test_a_pair_of_the_lists_is_one_group_without_any_fake(tmp_path):
    write(touch(tmp_path, f"{REAL}/001/0.png", f"{REAL}/870/0.png"), "train.json", [["870", "001"]])
    assert {s.group for s in load_dataset(tmp_path).samples} == {"001"}


def test_a_video_that_no_list_names_goes_with_its_group(tmp_path):
    write(touch(tmp_path, f"{REAL}/999/0.png", f"{FAKE}/071_999/0.png"), "test.json", [["071", "054"]])
    assert {(s.group, s.split) for s in load_dataset(tmp_path).samples} == {("054", "test")}


def test_a_fake_of_two_splits_is_left_out(tmp_path):
    write(tmp_path, "train.json", [["071", "054"]])
    write(tmp_path, "test.json", [["000", "003"]])
    touch(
        tmp_path, f"{REAL}/071/0.png", f"{REAL}/000/0.png", f"{FAKE}/071_000/0.png", f"{FAKE}/071_054/0.png"
    )
    assert left_out(tmp_path) == {
        f"{FAKE}/071_000/0.png": "its two videos stand in different splits (test, train)"
    }
    assert {(s.group, s.split) for s in load_dataset(tmp_path).samples} == {("054", "train"), ("000", "test")}


def test_actors_are_grouped_as_far_as_they_are_swapped(tmp_path):
    real, fake = "original_sequences/actors/c23/images", "manipulated_sequences/DeepFakeDetection/c23/images"
    touch(tmp_path, *(f"{real}/{actor}__exit_room/0.png" for actor in ("01", "02", "03", "04")))
    touch(tmp_path, f"{fake}/01_02__exit_room__YVGY8LOK/0.png", f"{fake}/03_02__walk_down__ABC/0.png")
    found = samples(tmp_path)
    assert found[f"{fake}/03_02__walk_down__ABC/0.png"].generator == "DeepFakeDetection"
    assert {path.split("/")[-2][:2]: s.group for path, s in found.items() if s.label == 0} == {
        "01": "01", "02": "01", "03": "01", "04": "04",
    }  # fmt: skip
    assert problems(tmp_path) == [
        "one group, '01', holds 5 of 6 images, since 3 identities or source videos belong together in it; "
        "no split can divide it"
    ]


def test_masks_are_left_out_as_a_folder(tmp_path):
    masks = "manipulated_sequences/Deepfakes/masks"
    touch(
        faceforensics(tmp_path),
        f"{masks}/images/071_054/0.png",
        "manipulated_sequences/FaceSwap/c23/Masks/071_054/0.png",
    )
    reason = "masks of what was altered, no images of a class"
    assert left_out(tmp_path) == {masks: reason, "manipulated_sequences/FaceSwap/c23/Masks": reason}


def test_frames_of_no_video_are_left_out(tmp_path):
    odd = [
        f"{REAL}/0.png",
        f"{REAL}/071_054/0.png",
        f"{FAKE}/071/0.png",
        f"{FAKE}/faces/0.png",
        "other/071/0.png",
    ]
    touch(faceforensics(tmp_path), *odd, f"{REAL.replace('images', 'videos')}/071.mp4")
    found = left_out(tmp_path)
    assert set(found) == {*odd, "original_sequences/youtube/c23/videos/071.mp4"}
    assert found["original_sequences/youtube/c23/videos/071.mp4"] == "no image file (.mp4)"
    assert found[f"{FAKE}/071/0.png"].endswith("expected names such as 071_054 or 01_02__exit_room__YVGY8LOK")


def test_videos_without_frames(tmp_path):
    touch(tmp_path, "original_sequences/youtube/c23/videos/071.mp4")
    assert failure(tmp_path).endswith(
        "; 1 left out, the first 'original_sequences/youtube/c23/videos/071.mp4': no image file (.mp4)"
    )


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ('[["071", "054"], ["07', "no whole JSON document (Unterminated string"),
        ({"071": "054"}, "found no list, expected pairs of videos"),
        ([["071", "054"], ["001"]], "[1]: found ['001'], expected a pair of videos"),
        ([["071", 54]], "[0]: found ['071', 54], expected a pair"),
        (["071", "054"], "[0]: found '071', expected a pair"),
        ([["000", "111"]], "'000' stands in 'test' too, expected one split"),
        (b"\xff", "byte 0 is not valid UTF-8"),
    ],
)
def test_bad_split_lists(tmp_path, content, expected):
    write(faceforensics(tmp_path), "test.json", [["003", "000"]])
    write(tmp_path, "splits/val.json", content)
    message = failure(tmp_path)
    assert message.startswith(f"{tmp_path}/splits/val.json: ") and expected in message


def bench(root, document, *, name="FF.json"):
    return write(root, name, document)


def video(label, *frames):
    return {"label": label, "frames": list(frames)}


def test_deepfakebench(tmp_path):
    assert seen(deepfakebench(tmp_path)) == {
        "FF/original_sequences/youtube/c23/frames/071/000.png": (0, "train", "", "FF/054"),
        "FF/manipulated_sequences/Deepfakes/c23/frames/071_054/000.png": (1, "train", "FF-DF", "FF/054"),
    }


def test_the_compression_level_is_optional(tmp_path):
    fakes = {
        "id0_id1_0000": video("CelebDFv2_fake", "Celeb\\a/0.png"),
        "id3_id2_0000": video("CelebDFv2_fake", "Celeb/b\\0.png"),
    }
    reals = {
        "id1_0000": video("CelebDFv2_real", "./Celeb//c\\0.png"),
        "00170": video("CelebDFv2_real", "Celeb/d/0.png"),
    }
    bench(
        tmp_path,
        {"Celeb-DF-v2": {"CelebDFv2_fake": {"train": {}, "test": fakes}, "CelebDFv2_real": {"val": reals}}},
    )
    assert seen(touch(tmp_path, *(f"Celeb/{name}/0.png" for name in "abcd"))) == {
        "Celeb/a/0.png": (1, "test", "CelebDFv2_fake", "CelebDFv2/id0"),
        "Celeb/b/0.png": (1, "test", "CelebDFv2_fake", "CelebDFv2/id2"),
        "Celeb/c/0.png": (0, "valid", "", "CelebDFv2/id0"),
        "Celeb/d/0.png": (0, "valid", "", "CelebDFv2/00170"),
    }
    assert problems(tmp_path)[0].startswith("1 of 3 groups (identities, source videos) straddle")


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("FF-real", 0), ("FF-DF", 1), ("FF-F2F", 1), ("FF-FS", 1), ("FF-NT", 1), ("FF-FH", 1), ("FF-SH", 1),
        ("CelebDFv1_real", 0), ("CelebDFv2_fake", 1), ("DFD_real", 0), ("DFDC_Real", 0), ("DFDC_Fake", 1),
        ("DFDCP_FakeA", 1), ("DFDCP_FakeB", 1), ("UADFV_Real", 0), ("one_shot_free_Fake", 1), ("real", 0), ("fake", 1),
    ],
)  # fmt: skip
def test_labels_of_deepfakebench(tmp_path, name, label):
    bench(touch(tmp_path, "x/1/0.png"), {"X": {name: {"train": {"1": video(name, "x/1/0.png")}}}})
    (sample,) = load_dataset(tmp_path).samples
    assert (sample.label, sample.generator) == (label, name if label else "")


@pytest.mark.parametrize("name", ["FF-XY", "Deepfakes", "unreal", "fakes", "real_", ""])
def test_an_unknown_label_names_its_place(tmp_path, name):
    bench(touch(tmp_path, "x/1/0.png"), {"X": {name: {"train": {"1": video(name, "x/1/0.png")}}}})
    assert failure(tmp_path) == (
        f"{tmp_path}/FF.json: 'X'.{name!r}: unknown label, expected names such as FF-real, FF-DF or CelebDFv2_fake"
    )


@pytest.mark.parametrize(
    ("splits", "expected"),
    [
        ({"dev": {"1": video("FF-DF", "x/1/0.png")}}, "'X'.'FF-DF': unknown split 'dev', expected train, val or test"),
        ({"train": {}, "val": [video("FF-DF", "x/1/0.png")]}, "'X'.'FF-DF'.'val': found [{'label': 'FF-DF',"),
        ({"train": {"1": {"frames": ["x/1/0.png"]}}}, "'X'.'FF-DF'.'train'.'1': found the label None"),
        ({"train": {"1": video("FF-real", "x/1/0.png")}}, "'1': its label 'FF-real' contradicts the label that it"),
        ({"train": {"1": video("?", "x/1/0.png")}}, "'train'.'1'.'?': unknown label"),
        ({"train": {"1": video("FF-DF", "x/1/0.png", 7)}}, "'train'.'1'.frames: found 7, expected paths"),
        ({"train": {"1": {"label": "FF-DF", "frames": "x"}}}, "'1'.'label': found 'FF-DF', expected a video"),
        ({"train": {"c23": {"1": {"label": "FF-DF"}}}, "val": {"frames": {}}}, "'c23'.'1': found {'label'"),
        ({"train": {"1": 0, "frames": {}}}, "'train'.'1': found 0, expected an object"),
    ],
)  # fmt: skip
def test_another_shape_names_its_place(tmp_path, splits, expected):
    bench(touch(tmp_path, "x/1/0.png"), {"X": {"FF-DF": splits}})
    message = failure(tmp_path)
    assert message.startswith(f"{tmp_path}/FF.json: ") and expected in message


def test_a_json_cut_short(tmp_path):
    path = deepfakebench(tmp_path) / "dataset_json" / "FF.json"
    path.write_bytes(path.read_bytes()[:-30])
    assert f"{path}: no whole JSON document (" in failure(tmp_path)
    assert f"{path}: no whole JSON document (" in failure(path)


def test_frames_that_do_not_exist_are_left_out(tmp_path):
    frames = [
        "x\\1\\0.png",
        "x/1/1.png",
        "x/2/0.png",
        "x/2/1.png",
        "../x/1/0.png",
        "0.png",
        "x/1/\x00.png",
        "x/1/\udce9.png",
        "x/1",
    ]
    bench(touch(tmp_path, "x/1/0.png"), {"X": {"FF-DF": {"train": {"1": video("FF-DF", *frames)}}}})
    assert set(samples(tmp_path)) == {"x/1/0.png"}
    assert left_out(tmp_path) == {
        "x/1/1.png": "no such file, but FF.json names it",
        "x/1/\x00.png": "no such file, but FF.json names it",
        "'x/1/\\udce9.png'": "no such file, but FF.json names it",
        "x/2": "no such folder, but FF.json names 2 frames in it",
        "../x/1": "no such folder, but FF.json names 1 frames in it",
        ".": "no such folder, but FF.json names 1 frames in it",
        "x/1": "no such file, but FF.json names it",
    }


def test_no_frames_at_all(tmp_path):
    bench(tmp_path, {"X": {"FF-DF": {"train": {"1": video("FF-DF", "x/1/0.png")}}}})
    assert "no images in the layout 'deepfakebench'" in failure(tmp_path)


@pytest.mark.parametrize("start", ["", "/data/rgb/", "D:\\data\\", "./datasets/rgb/"])
@pytest.mark.parametrize("place", ["", "rgb/"])
def test_paths_may_begin_above_the_tree(tmp_path, start, place):
    bench(
        touch(tmp_path, f"{place}X/1/0.png"),
        {"X": {"FF-DF": {"train": {"1": video("FF-DF", f"{start}X/1/0.png")}}}},
    )
    assert set(samples(tmp_path)) == {f"{place}X/1/0.png"}


def test_test_frames_are_not_trained_on_though_the_json_says_so(tmp_path):
    every = {name: video("DFD_fake", f"x/{name}/0.png") for name in ("a", "b", "c")}
    splits = {"train": every, "val": {"b": every["b"], "c": every["c"]}, "test": {"c": every["c"]}}
    bench(touch(tmp_path, "x/a/0.png", "x/b/0.png", "x/c/0.png"), {"X": {"DFD_fake": splits}})
    assert {path: s.split for path, s in samples(tmp_path).items()} == {
        "x/a/0.png": "train", "x/b/0.png": "valid", "x/c/0.png": "test",
    }  # fmt: skip
    assert problems(tmp_path) == [
        "2 images are named in several splits, first 'x/b/0.png'; each is kept once, in test before valid before train"
    ]


def test_several_jsons_that_share_their_real_videos(tmp_path):
    for method in ("FF-DF", "FF-FS"):
        fake = {"c23": {"071_054": video(method, f"x/{method}/0.png")}}
        real = {"c23": {"071": video("FF-real", "x/r/0.png")}}
        bench(
            tmp_path, {method: {"FF-real": {"train": real}, method: {"train": fake}}}, name=f"{method}.json"
        )
    touch(tmp_path, "x/r/0.png", "x/FF-DF/0.png", "x/FF-FS/0.png")
    assert len(load_dataset(tmp_path).samples) == 3 and len(samples(tmp_path / "FF-DF.json")) == 2
    assert not problems(tmp_path)
    assert {s.group for s in load_dataset(tmp_path).samples} == {"FF/054"}


def test_a_frame_of_both_classes_is_left_out(tmp_path):
    labels = {
        "FF-real": {"train": {"1": video("FF-real", "x/1/0.png", "x/1/1.png")}},
        "FF-DF": {"train": {"2": video("FF-DF", "x/1/0.png", "x/2/0.png")}},
    }
    bench(touch(tmp_path, "x/1/0.png", "x/1/1.png", "x/2/0.png"), {"X": labels})
    assert set(samples(tmp_path)) == {"x/1/1.png", "x/2/0.png"}
    assert left_out(tmp_path) == {"x/1/0.png": "named as real and as generated"}


def test_a_nameless_video_among_the_named_ones(tmp_path):
    split = {**video("DFDC_Fake", "x/abc/0.png"), "def": video("DFDC_Fake", "x/def/0.png")}
    bench(touch(tmp_path, "x/abc/0.png", "x/def/0.png"), {"DFDC": {"DFDC_Fake": {"val": split}}})
    assert {s.group for s in load_dataset(tmp_path).samples} == {"DFDC/abc", "DFDC/def"}


def test_the_folder_of_jsons_may_be_the_path(tmp_path):
    root = deepfakebench(tmp_path)
    assert load_dataset(root / "dataset_json") == load_dataset(root)


def test_other_jsons_are_no_deepfakebench(tmp_path):
    write(touch(tmp_path, "real/1.png", "fake/1.png"), "notes.json", {"a": {"b": {"c": {"d": 1}}}})
    write(tmp_path, "coco.json", {"frames": [], "label": "x"})
    assert load_dataset(tmp_path).layout == "class_folders"
    assert "no JSON of DeepfakeBench's shape in it or in dataset_json/" in failure(
        tmp_path, layout="deepfakebench"
    )
