"""Every layout's tiny tree, the tools that the layouts' tests share, and how a layout is recognised."""

import json
import os

import pytest

from distill.data.layouts import LAYOUTS, load_dataset
from distill.errors import EdgeproofError


def touch(root, *paths):
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()
    return root


def write(root, path, content):
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    data = content if isinstance(content, (str, bytes)) else json.dumps(content)
    (root / path).write_bytes(data.encode() if isinstance(data, str) else data)
    return root


def samples(root, **options):
    return {sample.path: sample for sample in load_dataset(root, **options).samples}


def listed(root, **options):
    return {(s.path, s.label, s.split) for s in load_dataset(root, **options).samples}


def left_out(root, **options):
    return {item.path: item.reason for item in load_dataset(root, **options).skipped}


def failure(root, **options):
    with pytest.raises(EdgeproofError) as caught:
        load_dataset(root, **options)
    assert str(caught.value).isprintable(), "an error is one line"
    return str(caught.value)


def cifake(root):
    return touch(root, "train/REAL/1.jpg", "train/FAKE/1.jpg", "test/REAL/2.jpg", "test/FAKE/2.jpg")


def plain(root):
    return touch(root, "nature/1.jpg", "ai/1.jpg")


def faces_140k(root):
    inner = "real_vs_fake/real-vs-fake"
    for split in ("train", "valid", "test"):
        write(
            root,
            f"{split}.csv",
            f",original_path,id,label,label_str,path\n0,/x,1,1,real,{split}/real/1.jpg\n",
        )
        touch(root, f"{inner}/{split}/real/1.jpg", f"{inner}/{split}/fake/A.jpg")
    return root


def faces_140k_inner(root):
    return faces_140k(root) / "real_vs_fake"


def faces_140k_table(root):
    return faces_140k(root) / "valid.csv"


def genimage(root):
    return touch(
        root, *(f"ADM/imagenet_adm/{s}/{c}/1.png" for s in ("train", "val") for c in ("ai", "nature"))
    )


def tiny_genimage(root):
    return touch(root, *(f"imagenet_glide/{s}/{c}/1.png" for s in ("train", "val") for c in ("ai", "nature")))


def forensynths_test(root):
    return touch(root, "biggan/0_real/1.png", "biggan/1_fake/1.png", "cyclegan/horse/0_real/1.png")


def forensynths_splits(root):
    return touch(root, "train/progan/cat/0_real/1.png", "val/cat/1_fake/1.png", "test/crn/1_fake/1.png")


def forensynths_one_generator(root):  # "train" is a class of LSUN here
    return touch(
        root, *(f"{c}/{k}/1.png" for c in ("airplane", "train", "sofa") for k in ("0_real", "1_fake"))
    )


def univfd(root):
    return touch(root, "imagenet/0_real/1.png", "ldm_200/1_fake/1.png")


def wildrf(root):
    flat = [f"{split}/{kind}/1.jpg" for split in ("train", "val") for kind in ("0_real", "1_fake")]
    return touch(root, *flat, "test/facebook/0_real/1.jpg", "test/reddit/1_fake/1.jpg")


def community_forensics(root):
    return touch(root, "sd15/real/1.png", "sd15/fake/1.png", "dit/fake/1.png")


def faceforensics(root):
    write(root, "splits/train.json", [["071", "054"]])
    return touch(
        root,
        "original_sequences/youtube/c23/images/071/0000.png",
        "original_sequences/youtube/c23/images/054/0000.png",
        "manipulated_sequences/Deepfakes/c23/images/071_054/0000.png",
    )


def dfdc(root):
    meta = {"a.mp4": {"label": "FAKE", "split": "train", "original": "b.mp4"}, "b.mp4": {"label": "REAL"}}
    write(root, "dfdc_train_part_0/metadata.json", meta)
    return touch(root, "dfdc_train_part_0/a/0.jpg", "dfdc_train_part_0/b_0.jpg")


def dfdc_one_part(root):
    return dfdc(root) / "dfdc_train_part_0"


def deepfakebench(root):
    frames = ["FF\\original_sequences\\youtube\\c23\\frames\\071\\000.png"]
    fake = ["FF\\manipulated_sequences/Deepfakes/c23/frames/071_054/000.png"]
    document = {
        "FF": {
            "FF-real": {"train": {"c23": {"071": {"label": "FF-real", "frames": frames}}}},
            "FF-DF": {"train": {"c23": {"071_054": {"label": "FF-DF", "frames": fake}}}},
        }
    }
    write(root, "dataset_json/FF.json", document)
    return touch(root, *(path.replace("\\", "/") for path in frames + fake))


def deepfakebench_table(root):
    return deepfakebench(root) / "dataset_json" / "FF.json"


def celeb_df(root):
    write(root, "List_of_testing_videos.txt", "1 YouTube-real/00170.mp4\n")
    return touch(
        root, "Celeb-real/id0_0000/0.jpg", "Celeb-synthesis/id0_id1_0000/0.jpg", "YouTube-real/00170/0.jpg"
    )


TREES = {
    cifake: "class_folders", plain: "class_folders",
    faces_140k: "faces_140k", faces_140k_inner: "faces_140k", faces_140k_table: "faces_140k",
    genimage: "genimage", tiny_genimage: "genimage",
    forensynths_test: "forensynths", forensynths_splits: "forensynths", forensynths_one_generator: "forensynths",
    univfd: "forensynths", wildrf: "forensynths",
    community_forensics: "community_forensics", faceforensics: "faceforensics",
    dfdc: "dfdc", dfdc_one_part: "dfdc",
    deepfakebench: "deepfakebench", deepfakebench_table: "deepfakebench", celeb_df: "celeb_df",
}  # fmt: skip
every_tree = pytest.mark.parametrize(
    ("build", "name"), TREES.items(), ids=[build.__name__ for build in TREES]
)


@every_tree
def test_a_layout_is_recognised_by_itself_and_by_no_other(tmp_path, build, name):
    root = build(tmp_path)
    assert [other for other, layout in LAYOUTS.items() if layout.matches(root)] == [name]
    dataset = load_dataset(root)
    assert dataset.layout == name and dataset.samples
    assert not dataset.skipped, "the layout's own lists are not left out: they are read"


@every_tree
def test_every_sample_has_a_file_a_label_and_a_group(tmp_path, build, name):
    dataset = load_dataset(build(tmp_path))
    for sample in dataset.samples:
        assert (dataset.root / sample.path).is_file()
        assert sample.label in (0, 1) and sample.group
        assert bool(sample.generator) == (sample.label == 1)
        assert sample.split in ("", "train", "valid", "test")
    assert {sample.label for sample in dataset.samples} == {0, 1} or build is faces_140k_table


@every_tree
def test_the_name_may_be_given(tmp_path, build, name):
    root = build(tmp_path)
    assert load_dataset(root, layout=name) == load_dataset(root)


@every_tree
def test_a_file_where_a_folder_is_expected(tmp_path, build, name):
    build(tmp_path)
    photo = touch(tmp_path, "photo.jpg") / "photo.jpg"
    assert "no known layout" in failure(photo)
    assert str(photo) in failure(photo, layout=name)


@every_tree
def test_an_empty_folder(tmp_path, build, name):
    assert failure(tmp_path).endswith("found an empty folder")
    assert str(tmp_path) in failure(tmp_path, layout=name)


@every_tree
def test_closed_folders_are_named(tmp_path, monkeypatch, build, name):
    root = build(tmp_path)

    def refuse(path="."):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "scandir", refuse)
    if root.is_dir():
        assert "(Permission denied)" in failure(root)
        assert str(root) in failure(root, layout=name)
    else:
        failure(root, layout=name)


@every_tree
def test_one_closed_folder_is_left_out_and_named(tmp_path, monkeypatch, build, name):
    root = build(tmp_path)
    if not root.is_dir():
        pytest.skip("a list names its files itself")
    closed = touch(root, "closed/1.jpg") / "closed"
    scandir = os.scandir

    def refuse(path="."):
        if os.fspath(path) == str(closed):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    dataset = load_dataset(root)
    assert dataset.layout == name and dataset.samples
    if name != "deepfakebench":  # which looks only where its JSON points
        assert {item.path: item.reason for item in dataset.skipped} == {
            "closed": "the folder cannot be read (Permission denied)"
        }


@every_tree
def test_loops_of_links_do_not_trap(tmp_path, build, name):
    root = build(tmp_path)
    before = load_dataset(root)
    folder = next(path for path in sorted(root.rglob("*")) if path.is_dir()) if root.is_dir() else tmp_path
    (folder / "up").symlink_to(tmp_path, target_is_directory=True)
    (folder / "self").symlink_to("self")
    after = load_dataset(root)
    assert after.layout == name and set(after.samples) == set(before.samples)


@every_tree
def test_odd_names_do_not_break_an_error_or_a_list(tmp_path, build, name):
    root = build(tmp_path)
    folder = root if root.is_dir() else tmp_path
    odd = ["new\nline", "quo'te\"s", " blanks ", "漢字", os.fsdecode(b"caf\xe9")]
    try:
        touch(folder, *(f"{text}/{text}.jpg" for text in odd))
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    dataset = load_dataset(root, layout=name)
    json.dumps([item.path for item in dataset.skipped], ensure_ascii=False).encode()
    if name not in ("deepfakebench",) and root.is_dir():
        assert {item.path: item.reason for item in dataset.skipped}["'caf\\udce9'"] == (
            "the folder's name is not valid UTF-8"
        )
        assert any(item.path == "new\nline/new\nline.jpg" for item in dataset.skipped)


LISTS = {
    faces_140k_table: "valid.csv",
    faceforensics: "splits/train.json",
    dfdc: "dfdc_train_part_0/metadata.json",
    deepfakebench: "dataset_json/FF.json",
    celeb_df: "List_of_testing_videos.txt",
}


@pytest.mark.parametrize("build", LISTS, ids=[build.__name__ for build in LISTS])
def test_a_list_cut_short_or_spoilt_at_any_byte_is_never_a_traceback(tmp_path, build):
    root = build(tmp_path)
    path = tmp_path / LISTS[build]
    whole = path.read_bytes()
    for place in range(len(whole)):
        for spoilt in (
            whole[:place],
            whole[:place] + b"\xff" + whole[place + 1 :],
            whole[:place] + b"\n" + whole[place:],
        ):
            path.write_bytes(spoilt)
            try:
                load_dataset(root, layout=TREES[build])
            except EdgeproofError as error:
                assert str(error).isprintable()


def test_two_layouts_that_match_are_both_named(tmp_path):
    touch(tmp_path, "train/real/1.jpg", "train/fake/1.jpg", "sd15/real/1.jpg", "sd15/fake/1.jpg")
    assert failure(tmp_path) == (
        f"{tmp_path}: several layouts match (class_folders, community_forensics); "
        "choose one with --layout NAME or data.layout"
    )
    assert set(samples(tmp_path, layout="community_forensics")) == {"sd15/real/1.jpg", "sd15/fake/1.jpg"}
    assert set(samples(tmp_path, layout="class_folders")) == {"train/real/1.jpg", "train/fake/1.jpg"}


def test_what_was_seen_in_a_folder_of_no_layout(tmp_path):
    touch(tmp_path, *(f"{name}/1.jpg" for name in ("a", "b\n", "c", "d", "e", "f", "g")))
    message = failure(tmp_path)
    assert "or another of 'edgeproof list layouts'; found 'a', 'b\\n', 'c', 'd', 'e' and 2 more" in message


def test_a_root_whose_name_would_break_the_line(tmp_path):
    root = touch(tmp_path / "new\nline", "cats/1.jpg")
    assert "new\\nline: no known layout" in failure(root).replace("'", "")
    assert "new\\nline/gone: no such file" in failure(root / "gone").replace("'", "")


def test_a_name_that_is_too_long(tmp_path):
    assert "no such file or folder" in failure(tmp_path / ("x" * 5000))


def test_the_table_is_in_alphabetical_order():
    assert list(LAYOUTS) == sorted(LAYOUTS)
