"""140k faces, Celeb-DF and DFDC: lists that mean the opposite, and who belongs together."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_distill_layouts_recognised import (
    celeb_df,
    dfdc,
    faces_140k,
    faces_140k_inner,
    failure,
    left_out,
    samples,
    touch,
    write,
)  # fmt: skip

from distill.data.layouts import load_dataset
from distill.data.layouts.groups import Groups, identities

HEADER = ",original_path,id,label,label_str,path\n"
INNER = "real_vs_fake/real-vs-fake"


def problems(root, **options):
    return list(load_dataset(root, **options).problems)


def table(root, *rows, name="train.csv", header=HEADER):
    cells = (f"{i},/kaggle/{i}.jpg,{i},{label},{word},{path}\n" for i, (label, word, path) in enumerate(rows))
    return write(root, name, header + "".join(cells)) / name


def seen(root, **options):
    return {path: (s.label, s.split, s.generator) for path, s in samples(root, **options).items()}


def test_140k_faces(tmp_path):
    found = samples(faces_140k(tmp_path))
    assert len(found) == 6 and not problems(tmp_path)
    real, fake = found[f"{INNER}/valid/real/1.jpg"], found[f"{INNER}/valid/fake/A.jpg"]
    assert (real.label, real.split, real.generator, real.group) == (0, "valid", "", real.path)
    assert (fake.label, fake.split, fake.generator, fake.group) == (1, "valid", "stylegan", fake.path)


def test_140k_faces_from_the_inner_folder(tmp_path):
    root = faces_140k_inner(tmp_path)
    assert seen(root)["real-vs-fake/train/fake/A.jpg"] == (1, "train", "stylegan")
    table(tmp_path, ("0", "fake", "train/real/1.jpg"))
    assert len(problems(root)) == 1


def test_the_folder_decides_and_a_list_that_contradicts_is_named(tmp_path):
    faces_140k(tmp_path)
    rows = [
        ("1", "real", "train/real/1.jpg"),
        ("1", "fake", "train/fake/A.jpg"),
        ("0", "real", "train/real/1.jpg"),
        ("maybe", "real", "train/real/1.jpg"),
        ("0", "fake", "train/fake/gone.jpg"),
    ]
    table(tmp_path, *rows)
    assert problems(tmp_path) == [
        "train.csv: 3 of 5 rows contradict their folder (label 1 means real; the folder decides), "
        "first line 3: label '1', label_str 'fake', 'train/fake/A.jpg'",
        "train.csv: 1 of 5 rows name an image that is not here, first line 6: 'train/fake/gone.jpg'",
    ]
    assert seen(tmp_path)[f"{INNER}/train/fake/A.jpg"] == (1, "train", "stylegan")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"id,label,path\n1,1,train/real/1.jpg\n", "no column 'label_str'"),
        (b"\xff\xfe\n", "no valid UTF-8"),
        (HEADER.encode() + b"0,/x,1,1,real\n", "5 fields, expected 6"),
    ],
)
def test_a_list_that_cannot_be_compared_is_named(tmp_path, content, expected):
    write(faces_140k(tmp_path), "test.csv", content)
    (problem,) = problems(tmp_path)
    assert expected in problem and "test.csv" in problem
    assert problem.endswith("not compared with the folders, which decide")


def test_files_of_140k_faces_in_no_class_folder(tmp_path):
    touch(
        faces_140k(tmp_path),
        f"{INNER}/train/x.jpg",
        f"{INNER}/train/cat/x.jpg",
        "x.jpg",
        f"{INNER}/all/real/x.jpg",
    )
    reason = f"in no class folder, expected {INNER}/{{train,valid,test}}/{{real,fake}}"
    assert left_out(tmp_path) == dict.fromkeys(
        (f"{INNER}/train/x.jpg", f"{INNER}/train/cat/x.jpg", "x.jpg", f"{INNER}/all/real/x.jpg"), reason
    )


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "bom"])
def test_a_list_as_the_path_itself_means_1_for_real(tmp_path, ends, mark):
    touch(tmp_path, "train/real/1.jpg", "train/fake/A.jpg")
    path = table(tmp_path, ("1", "real", "train/real/1.jpg"), ("0", "fake", "train/fake/A.jpg"))
    path.write_bytes(mark + path.read_text().replace("\n", ends, 2).encode())  # mixed line ends
    dataset = load_dataset(path)
    assert (dataset.layout, dataset.root) == ("faces_140k", tmp_path)
    assert seen(path) == {
        "train/real/1.jpg": (0, "train", ""),
        "train/fake/A.jpg": (1, "train", "stylegan"),
    }


def test_images_of_a_list_may_lie_in_the_inner_folder_or_beside_it(tmp_path):
    touch(tmp_path, f"{INNER}/test/real/1.jpg", "real-vs-fake/test/fake/A.jpg", "pictures/漢 字.jpg")
    rows = [
        ("1", "real", "test/real/1.jpg"),
        ("0", "fake", "test/fake/A.jpg"),
        ("0", "fake", "pictures/漢 字.jpg"),
    ]
    assert seen(table(tmp_path, *rows, name="valid.csv")) == {
        f"{INNER}/test/real/1.jpg": (0, "test", ""),
        "real-vs-fake/test/fake/A.jpg": (1, "test", "stylegan"),
        "pictures/漢 字.jpg": (1, "valid", "stylegan"),
    }


def test_rows_that_contradict_themselves_are_left_out(tmp_path):
    touch(tmp_path, "train/real/1.jpg", "train/fake/A.jpg", "x.jpg")
    rows = [
        ("1", "real", "train/real/1.jpg"),
        ("1", "fake", "x.jpg"),
        ("1", "real", "train/fake/A.jpg"),
        ("0", "fake", "gone.jpg"),
        ("1", "real", "train/real/1.jpg"),
    ]
    path = table(tmp_path, *rows)
    assert set(samples(path)) == {"train/real/1.jpg"}
    assert left_out(path) == {
        "x.jpg": "line 3: label '1' (1 means real) and label_str 'fake' contradict each other",
        "train/fake/A.jpg": "line 4: label '1' (1 means real) contradicts the folder",
        "gone.jpg": "line 5: no such image",
        "train/real/1.jpg": "line 6: the image is named before",
    }


@pytest.mark.parametrize(("label", "word"), [("2", "real"), ("", "fake"), ("1", "genuine"), ("0", "")])
def test_an_unknown_label_in_a_list_names_its_line(tmp_path, label, word):
    path = table(touch(tmp_path, "a.jpg"), ("1", "real", "a.jpg"), (label, word, "a.jpg"))
    assert failure(path) == (
        f"{path}: line 3: label {label!r}, label_str {word!r}, expected 1 and real, or 0 and fake"
    )


def test_a_list_without_a_column(tmp_path):
    path = write(tmp_path, "train.csv", ",original_path,id,label_str,path\n0,/x,1,real,a.jpg\n") / "train.csv"
    assert failure(path).startswith(f"{path}: no column 'label', found ")


def test_a_list_of_images_that_are_not_there(tmp_path):
    assert "1 left out, the first 'a.jpg': line 2: no such image" in failure(
        table(tmp_path, ("1", "real", "a.jpg"))
    )


def test_celeb_df(tmp_path):
    touch(celeb_df(tmp_path), "YouTube-real/frames/00000/0.jpg", "Celeb-real/frames/id2_0000/0.jpg")
    found = samples(tmp_path)
    assert {path: (s.label, s.split, s.generator, s.group) for path, s in found.items()} == {
        "Celeb-real/id0_0000/0.jpg": (0, "train", "", "id0"),
        "Celeb-real/frames/id2_0000/0.jpg": (0, "train", "", "id2"),
        "Celeb-synthesis/id0_id1_0000/0.jpg": (1, "train", "Celeb-synthesis", "id0"),
        "YouTube-real/00170/0.jpg": (0, "test", "", "YouTube-real/00170"),
        "YouTube-real/frames/00000/0.jpg": (0, "train", "", "YouTube-real/00000"),
    }
    assert not problems(tmp_path)


def test_celeb_df_without_a_list_states_no_split(tmp_path):
    (celeb_df(tmp_path) / "List_of_testing_videos.txt").unlink()
    assert {s.split for s in load_dataset(tmp_path).samples} == {""}


def test_the_list_of_testing_videos_says_1_for_real(tmp_path):
    lines = [
        "0 YouTube-real/00170.mp4",
        "1 Celeb-synthesis/id0_id1_0000.mp4",
        "1 Celeb-real/id9_0009.mp4",
        "",
    ]
    write(celeb_df(tmp_path), "List_of_testing_videos.txt", "\r\n".join(lines))
    wrong, missing, straddling = problems(tmp_path)
    assert wrong == (
        "List_of_testing_videos.txt: 2 of 3 labels contradict their folder (1 means real; the folder decides), "
        "first line 1: 'YouTube-real/00170'"
    )
    assert (
        missing
        == "List_of_testing_videos.txt: 1 of 3 videos have no frames here, first 'Celeb-real/id9_0009'"
    )
    assert straddling.startswith("1 of 2 groups (identities, source videos) straddle")
    assert seen(tmp_path)["Celeb-synthesis/id0_id1_0000/0.jpg"] == (1, "test", "Celeb-synthesis")
    assert seen(tmp_path)["YouTube-real/00170/0.jpg"] == (0, "test", "")


def test_the_list_decides_where_groups_are_too_coarse(tmp_path):
    pairs = [(0, 1), (1, 2), (2, 3), (3, 0)]
    touch(tmp_path, *(f"Celeb-real/id{i}_0000/0.jpg" for i in range(4)))
    touch(
        tmp_path, *(f"Celeb-synthesis/id{a}_id{b}_0000/0.jpg" for a, b in pairs), "YouTube-real/00001/0.jpg"
    )
    write(
        tmp_path,
        "List_of_testing_videos.txt",
        "\ufeff0 Celeb-synthesis/id2_id3_0000.mp4\n1 Celeb-real/id3_0000.mp4\n",
    )
    dataset = load_dataset(tmp_path)
    assert {s.group for s in dataset.samples} == {"id0", "YouTube-real/00001"}
    assert {s.path for s in dataset.samples if s.split == "test"} == {
        "Celeb-synthesis/id2_id3_0000/0.jpg",
        "Celeb-real/id3_0000/0.jpg",
    }
    assert list(dataset.problems) == [
        "1 of 2 groups (identities, source videos) straddle the splits that the set states, first 'id0' (test, train); "
        "the set's own splits are kept",
        "one group, 'id0', holds 8 of 9 images, since 4 identities or source videos belong together in it; "
        "no split can divide it",
    ]


@pytest.mark.parametrize(
    "line", ["2 Celeb-real/id0_0000.mp4", "Celeb-real/id0_0000.mp4", "real x\x07", "1 id0.mp4"]
)
def test_a_line_that_names_no_video(tmp_path, line):
    write(celeb_df(tmp_path), "List_of_testing_videos.txt", f"1 YouTube-real/00170.mp4\n\n{line}\n")
    path = tmp_path / "List_of_testing_videos.txt"
    assert failure(tmp_path) == (
        f"{path}: line 3: {line!r}, expected '1 YouTube-real/00170.mp4' (1 is real, 0 fake)"
    )


def test_a_list_that_is_no_text(tmp_path):
    write(celeb_df(tmp_path), "List_of_testing_videos.txt", b"1 YouTube-real/\xe9.mp4\n")
    assert "byte 15 is not valid UTF-8" in failure(tmp_path)


def test_frames_of_celeb_df_in_no_video_are_left_out(tmp_path):
    odd = [
        "Celeb-real/0.jpg",
        "Celeb-real/frames/0.jpg",
        "Celeb-synthesis/071/0.jpg",
        "YouTube-real/0.jpg",
        "Other/id0_0000/0.jpg",
    ]
    touch(celeb_df(tmp_path), *odd)
    found = left_out(tmp_path)
    assert set(found) == set(odd)
    assert found["Other/id0_0000/0.jpg"] == "in none of the folders celeb-real, celeb-synthesis, youtube-real"
    assert found["Celeb-real/0.jpg"].startswith(
        "in no folder of a video below Celeb-real, expected names such as id0"
    )


def metadata(**videos):
    return {
        f"{name}.mp4": dict(zip(("label", "split", "original"), entry, strict=False))
        for name, entry in videos.items()
    }


def test_dfdc(tmp_path):
    write(
        tmp_path,
        "part_0/metadata.json",
        metadata(x=("FAKE", "train", "r.mp4"), y=("FAKE", "train", "r.mp4"), r=("REAL", "train")),
    )
    write(
        tmp_path,
        "deep/part_1/metadata.json",
        metadata(z=("fake", "validation", "q.mp4"), q=("Real", "test", None)),
    )
    touch(
        tmp_path,
        "part_0/x/0.jpg",
        "part_0/frames/y/0.jpg",
        "part_0/r_0.jpg",
        "deep/part_1/z_12_0.png",
        "deep/part_1/q.jpg",
    )
    found = samples(tmp_path)
    assert {path: (s.label, s.split, s.generator) for path, s in found.items()} == {
        "part_0/x/0.jpg": (1, "train", "generated"),
        "part_0/frames/y/0.jpg": (1, "train", "generated"),
        "part_0/r_0.jpg": (0, "train", ""),
        "deep/part_1/z_12_0.png": (1, "valid", "generated"),
        "deep/part_1/q.jpg": (0, "test", ""),
    }
    assert len({found[path].group for path in found if path.startswith("part_0")}) == 1
    assert len({s.group for s in found.values()}) == 2


def test_groups_of_dfdc_that_straddle_splits_are_named(tmp_path):
    write(tmp_path, "metadata.json", metadata(x=("FAKE", "test", "r.mp4"), r=("REAL", "train")))
    assert problems(touch(tmp_path, "x/0.jpg", "r/0.jpg"))[0].startswith("1 of 1 groups")


def test_the_original_need_not_be_there(tmp_path):
    write(
        tmp_path, "metadata.json", metadata(x=("FAKE", "train", "gone.mp4"), y=("FAKE", "train", "gone.mp4"))
    )
    assert len({s.group for s in load_dataset(touch(tmp_path, "x/0.jpg", "y/0.jpg")).samples}) == 1


def test_a_frame_belongs_to_its_folder_before_its_name(tmp_path):
    write(tmp_path, "metadata.json", {"0.mp4": {"label": "REAL"}, "1.mp4": {"label": "FAKE"}})
    assert seen(touch(tmp_path, "1/0.jpg", "0/1.jpg", "1_0.jpg")) == {
        "0/1.jpg": (0, "", ""),
        "1/0.jpg": (1, "", "generated"),
        "1_0.jpg": (1, "", "generated"),
    }


def test_frames_of_no_video_are_left_out(tmp_path):
    touch(dfdc(tmp_path), "dfdc_train_part_0/other/0.jpg", "part_9/a/0.jpg", "a.jpg")
    assert left_out(tmp_path) == {
        "dfdc_train_part_0/other/0.jpg": "named after no video of its metadata.json",
        "part_9/a/0.jpg": "no metadata.json beside it or above it",
        "a.jpg": "no metadata.json beside it or above it",
    }


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ('{"a.mp4": {"label": "FAKE"}, "b.m', "no whole JSON document (Unterminated string"),
        ('{"a.mp4": {"label": "FAKE"}, "b\\n": {"label": "AI"}}', "'b\\n'.label: found 'AI', expected FAKE or REAL"),
        ('{"a.mp4": {"label": "FAKE"}, "b": {}}', "'b'.label: found None, expected FAKE or REAL"),
        ('{"a.mp4": {"label": "FAKE"}, "b": ["REAL"]}', "'b': found ['REAL'], expected an object with a label"),
        ('{"a.mp4": {"label": "FAKE", "split": "dev"}}', "'a.mp4'.split: found 'dev', expected train, validation"),
        ('{"a.mp4": {"label": "FAKE", "split": 3}}', "'a.mp4'.split: found 3, expected train, validation"),
        ('{"a.mp4": {"label": "FAKE"}, "a.mp4": {"label": "REAL"}}', "the key 'a.mp4' stands twice in one object"),
        ('[{"label": "FAKE"}]', "found no object, expected {video: {label, split, original}}"),
        ('{"a.mp4": {"label": "FAKE"}, "b": ' + "[" * 100_000, "no whole JSON document"),
        (b'{"a.mp4": {"label": "FAKE"}, "caf\xe9": 1}', "byte 33 is not valid UTF-8"),
    ],
    ids=range(10),
)  # fmt: skip
def test_bad_metadata_is_recognised_all_the_same_and_named(tmp_path, content, expected):
    write(touch(tmp_path, "a/0.jpg"), "metadata.json", content)
    message = failure(tmp_path)
    assert message.startswith(f"{tmp_path}/metadata.json: ") and expected in message


def test_metadata_of_something_else_is_no_dfdc(tmp_path):
    write(touch(tmp_path, "real/a.jpg", "fake/b.jpg"), "metadata.json", {"licence": "CC0"})
    assert load_dataset(tmp_path).layout == "class_folders"
    assert "no metadata.json in it" in failure(touch(tmp_path / "empty", "x.jpg"), layout="dfdc")


def test_metadata_that_cannot_be_read(tmp_path):
    (touch(tmp_path, "a/0.jpg") / "metadata.json").mkdir()
    assert "no metadata.json in it" in failure(tmp_path, layout="dfdc")


@pytest.mark.parametrize(
    ("video", "expected"),
    [
        ("071", ("071",)), ("071_054", ("071", "054")),
        ("01__exit_room", ("01",)), ("01_02__walk_down__YVGY8LOK", ("01", "02")),
        ("id0_0000", ("id0",)), ("id10_id3_0007", ("id10", "id3")),
        ("0711", ()), ("071_05", ()), ("frames", ()), ("", ()), ("id0", ()), ("٠٧١", ()),
    ],
)  # fmt: skip
def test_who_is_to_be_seen(video, expected):
    assert identities(video) == expected


@given(pairs=st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=40))
def test_groups_are_the_connected_components(pairs):
    groups = Groups()
    for a, b in pairs:
        groups.join(f"{a:02d}", f"{b:02d}")
    component = {i: {i} for pair in pairs for i in pair}
    for a, b in pairs:
        merged = component[a] | component[b]
        component.update(dict.fromkeys(merged, merged))
    for i, members in component.items():
        assert groups.of(f"{i:02d}") == f"{min(members):02d}"
        assert groups.sizes()[groups.of(f"{i:02d}")] == len(members)


def test_a_long_chain_of_identities_is_no_recursion():
    groups = Groups()
    for i in range(20_000, 0, -1):
        groups.join(f"{i:05d}", f"{i - 1:05d}")
    assert groups.of("20000") == "00000" and groups.sizes() == {"00000": 20_001}
