import os
import string
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_distill_layouts_recognised import failure, left_out, listed, touch

from distill.data.layouts import LAYOUTS, load_dataset
from distill.data.layouts.class_folders import CLASSES, matches


def test_cifake(tmp_path):
    files = ["train/REAL/0001.jpg", "train/FAKE/1000 (2).jpg", "test/REAL/a.jpg", "test/FAKE/b.jpg"]
    assert listed(touch(tmp_path, *files)) == {
        ("train/REAL/0001.jpg", 0, "train"),
        ("train/FAKE/1000 (2).jpg", 1, "train"),
        ("test/REAL/a.jpg", 0, "test"),
        ("test/FAKE/b.jpg", 1, "test"),
    }


def test_what_a_plain_folder_tells():
    assert {name for name, label in CLASSES.items() if label == 0} >= {"real", "0_real", "nature"}
    assert {name for name, label in CLASSES.items() if label == 1} >= {"fake", "1_fake", "ai"}


def test_samples_of_a_plain_folder(tmp_path):
    dataset = load_dataset(touch(tmp_path, "real/sub/a.png", "fake/b.webp"))
    assert dataset.layout == "class_folders" and dataset.root == tmp_path
    fake, real = dataset.samples
    assert (fake.path, fake.label, fake.split, fake.generator, fake.group) == (
        "fake/b.webp",
        1,
        "",
        "generated",
        "fake/b.webp",
    )
    assert (real.path, real.label, real.split, real.generator, real.group) == (
        "real/sub/a.png",
        0,
        "",
        "",
        "real/sub/a.png",
    )
    assert fake.box is None and fake.mask is None


@pytest.mark.parametrize(
    ("real", "fake"),
    [
        ("real", "fake"), ("REAL", "FAKE"), ("Real", "fAkE"), ("0_real", "1_fake"), ("nature", "ai"), ("Nature", "AI"),
        ("original", "generated"), ("reals", "fakes"),
        ("real", "ai"),  # alphabetical order would call both of these pairs the other way round
        ("original", "fakes"),
    ],
)  # fmt: skip
def test_the_label_comes_from_the_name(tmp_path, real, fake):
    assert listed(touch(tmp_path, f"{real}/x.jpg", f"{fake}/y.jpg")) == {
        (f"{real}/x.jpg", 0, ""),
        (f"{fake}/y.jpg", 1, ""),
    }


@pytest.mark.parametrize(
    ("folder", "split"),
    [("Training", "train"), ("val", "valid"), ("VALID", "valid"), ("validation", "valid"), ("Test", "test")],
)
def test_names_of_splits(tmp_path, folder, split):
    assert {
        found for _, _, found in listed(touch(tmp_path, f"{folder}/real/a.jpg", f"{folder}/fake/a.jpg"))
    } == {split}


def test_suffixes_in_any_case_and_nothing_else(tmp_path):
    kept = [f"real/{i}.{suffix}" for i, suffix in enumerate("jpg JPEG png WebP bmp tif TIFF gif".split())]
    other = [
        "real/notes.txt",
        "real/Thumbs.db",
        "real/.hidden.jpg",
        "real/noext",
        "readme.jpg",
        "other/x.jpg",
        "train/x.jpg",
    ]
    assert {path for path, *_ in listed(touch(tmp_path, *kept, *other, "fake/a.jpg"))} == {
        *kept,
        "fake/a.jpg",
    }


def test_the_order_is_that_of_the_names(tmp_path):
    files = [f"{kind}/{folder}/{name}.jpg" for kind in ("real", "fake") for folder in "ba" for name in "zyx"]
    paths = [sample.path for sample in load_dataset(touch(tmp_path, *files)).samples]
    assert paths == sorted(files)


printable = st.text(alphabet=string.ascii_letters + " \n\t'\"[]%äß漢字한글עברית🎭", min_size=1, max_size=12)


@given(name=printable.map(str.strip).filter(bool))
@settings(max_examples=30, deadline=None)
def test_any_name_may_stand_in_a_path(tmp_path_factory, name):
    root = touch(tmp_path_factory.mktemp("names"), f"real/{name}/{name}.jpg", f"fake/{name}.png")
    assert listed(root) == {(f"real/{name}/{name}.jpg", 0, ""), (f"fake/{name}.png", 1, "")}


def test_a_name_in_another_encoding_is_listed_and_left_out(tmp_path):
    touch(tmp_path, "real/a.jpg", "fake/b.jpg")
    try:
        (tmp_path / "real" / os.fsdecode(b"caf\xe9.jpg")).touch()
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    dataset = load_dataset(tmp_path)
    assert [sample.path for sample in dataset.samples] == ["fake/b.jpg", "real/a.jpg"]
    assert [(item.path, item.reason) for item in dataset.skipped] == [
        ("'real/caf\\udce9.jpg'", "the file's name is not valid UTF-8")
    ]


def test_loops_of_links_do_not_trap(tmp_path):
    touch(tmp_path, "real/a.jpg", "fake/b.jpg")
    (tmp_path / "real" / "up").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "fake" / "self").symlink_to("self")
    (tmp_path / "train").symlink_to("train")
    assert listed(tmp_path) == {("real/a.jpg", 0, ""), ("fake/b.jpg", 1, "")}


def test_a_linked_class_folder_is_read(tmp_path):
    touch(tmp_path, "elsewhere/a.jpg", "set/fake/b.jpg")
    (tmp_path / "set" / "real").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    assert listed(tmp_path / "set") == {("real/a.jpg", 0, ""), ("fake/b.jpg", 1, "")}


def test_two_folders_that_link_to_each_other(tmp_path):
    touch(tmp_path, "real/a.jpg", "fake/b.jpg")
    (tmp_path / "real" / "other").symlink_to(tmp_path / "fake", target_is_directory=True)
    (tmp_path / "fake" / "other").symlink_to(tmp_path / "real", target_is_directory=True)
    assert left_out(tmp_path) == {
        path: "a loop: the link leads back to a folder above it"
        for path in ("fake/other/other", "real/other/other")
    }


def test_a_tree_deeper_than_the_stack(tmp_path):
    folder = touch(tmp_path, "real/a.jpg", "fake/b.jpg") / "fake"
    handle = os.open(folder, os.O_RDONLY)
    for _ in range(1100):  # over Python's limit of 1000 calls, below the system's for a path
        os.mkdir("d", dir_fd=handle)
        deeper = os.open("d", os.O_RDONLY, dir_fd=handle)
        os.close(handle)
        handle = deeper
    os.close(os.open("c.jpg", os.O_CREAT, dir_fd=handle))
    os.close(handle)
    try:
        paths = [sample.path for sample in load_dataset(tmp_path).samples]
    finally:
        subprocess.run(["rm", "-rf", folder / "d"], check=True)  # Python's own removal has that limit as well
    assert paths == ["fake/b.jpg", "fake/" + "d/" * 1100 + "c.jpg", "real/a.jpg"]


def test_hidden_folders_are_left_out(tmp_path):
    touch(tmp_path, "real/a.jpg", "fake/b.jpg", "fake/.ipynb_checkpoints/b-checkpoint.jpg")
    assert left_out(tmp_path) == {"fake/.ipynb_checkpoints": "a hidden folder"}


def test_an_empty_class_is_named(tmp_path):
    touch(tmp_path, "real/a.jpg", "fake/notes.txt")
    assert failure(tmp_path).startswith(
        f"{tmp_path}: the class 'fake' is empty, expected at least one image (.avif, .bmp, "
    )


def test_a_missing_class_is_named(tmp_path):
    assert "the class 'real' is empty" in failure(touch(tmp_path, "ai/a.jpg"))


def test_no_such_folder(tmp_path):
    message = f"{tmp_path}/photos: no such file or folder, expected a data set ('edgeproof list layouts' names the shapes)"
    assert failure(tmp_path / "photos") == message


def test_no_layout(tmp_path):
    touch(tmp_path, "cats/a.jpg", "dogs/b.jpg")
    assert failure(tmp_path).startswith(
        f"{tmp_path}: no known layout, expected class folders such as real/ and fake/"
    )


def test_unknown_layout(tmp_path):
    choices = ", ".join(sorted(["auto", *LAYOUTS]))
    assert failure(tmp_path, layout="coco") == f"unknown layout 'coco'; choose one of: {choices}"


def test_a_named_layout_that_does_not_fit(tmp_path):
    touch(tmp_path, "cats/a.jpg")
    assert "'cats/a.jpg': in no class folder" in failure(tmp_path, layout="class_folders")
    assert "expected the manifest" in failure(tmp_path, layout="simulated")


def test_a_file_has_no_layout(tmp_path):
    touch(tmp_path, "real.jpg")
    assert not matches(tmp_path / "real.jpg")
    assert "no known layout" in failure(tmp_path / "real.jpg")


def test_every_layout_of_the_table_has_both_functions():
    assert all(callable(layout.matches) and callable(layout.load) for layout in LAYOUTS.values())
