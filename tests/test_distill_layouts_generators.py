import os

import pytest
from test_distill_layouts_recognised import (
    failure,
    forensynths_one_generator,
    genimage,
    left_out,
    samples,
    tiny_genimage,
    touch,
    wildrf,
    write,
)  # fmt: skip

from distill.data.layouts import load_dataset
from distill.data.layouts.forensynths import PROGAN_CLASSES
from distill.data.layouts.vocabulary import CLASSES, label_of


def seen(root, **options):
    return {path: (s.label, s.split, s.generator) for path, s in samples(root, **options).items()}


def test_genimage(tmp_path):
    assert seen(genimage(tmp_path)) == {
        "ADM/imagenet_adm/train/ai/1.png": (1, "train", "ADM"),
        "ADM/imagenet_adm/train/nature/1.png": (0, "train", ""),
        "ADM/imagenet_adm/val/ai/1.png": (1, "valid", "ADM"),
        "ADM/imagenet_adm/val/nature/1.png": (0, "valid", ""),
    }


def test_one_generator_of_genimage(tmp_path):
    root = genimage(tmp_path) / "ADM"
    assert load_dataset(root).layout == "genimage"
    assert seen(root)["imagenet_adm/val/ai/1.png"] == (1, "valid", "imagenet_adm")


def test_tiny_genimage(tmp_path):
    assert seen(tiny_genimage(tmp_path))["imagenet_glide/train/ai/1.png"] == (1, "train", "imagenet_glide")


def test_both_depths_of_genimage_in_one_folder(tmp_path):
    genimage(tiny_genimage(tmp_path))
    assert {s.generator for s in load_dataset(tmp_path).samples} == {"", "ADM", "imagenet_glide"}


def test_genimage_opens_no_image_and_loses_no_file(tmp_path):
    genimage(tmp_path)
    write(tmp_path, "ADM/imagenet_adm/val/ai/empty.png", b"")
    write(tmp_path, "ADM/imagenet_adm/val/ai/broken.JPEG", b"\xff\xd8 broken")
    touch(tmp_path, "ADM/imagenet_adm.zip", "ADM/imagenet_adm/val/x.png", "ADM/imagenet_adm/val/other/x.png")
    assert len(samples(tmp_path)) == 6
    expected = "in no class folder, expected <generator>/<inner folder>/{train,val}/{ai,nature}"
    assert left_out(tmp_path) == {
        "ADM/imagenet_adm.zip": "no image file (.zip)",
        "ADM/imagenet_adm/val/x.png": expected,
        "ADM/imagenet_adm/val/other/x.png": expected,
    }


def test_genimage_takes_no_folder_for_a_class_but_its_own(tmp_path):
    touch(genimage(tmp_path), "ADM/imagenet_adm/train/fake/1.png", "train/ADM/val/ai/1.png")
    assert set(left_out(tmp_path, layout="genimage")) == {
        "ADM/imagenet_adm/train/fake/1.png",
        "train/ADM/val/ai/1.png",
    }


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("biggan/1_fake/1.png", (1, "", "biggan")),
        ("biggan/0_real/deep/1.png", (0, "", "")),
        ("cyclegan/horse/1_fake/1.png", (1, "", "cyclegan")),
        ("cyclegan/horse/0_real/1.png", (0, "", "")),
        ("progan/train/1_fake/1.png", (1, "", "progan")),  # "train" is one of ForenSynths' classes
        ("train/progan/cat/1_fake/1.png", (1, "train", "progan")),
        ("train/cat/1_fake/1.png", (1, "train", "progan")),
        ("val/train/1_fake/1.png", (1, "valid", "progan")),
        ("test/progan/train/1_fake/1.png", (1, "test", "progan")),
        ("test/stylegan/cat/1_FAKE/1.png", (1, "test", "stylegan")),
        ("test/crn/1_fake/1.png", (1, "test", "crn")),
        ("test/reddit/0_real/1.png", (0, "test", "")),
        ("train/reddit/1_fake/1.png", (1, "train", "reddit")),
    ],
)
def test_forensynths(tmp_path, path, expected):
    touch(tmp_path, path)
    assert load_dataset(tmp_path).layout == "forensynths"
    assert seen(tmp_path) == {path: expected}


def test_wildrf_has_two_depths(tmp_path):
    assert seen(wildrf(tmp_path)) == {
        "train/0_real/1.jpg": (0, "train", ""),
        "train/1_fake/1.jpg": (1, "train", "generated"),
        "val/0_real/1.jpg": (0, "valid", ""),
        "val/1_fake/1.jpg": (1, "valid", "generated"),
        "test/facebook/0_real/1.jpg": (0, "test", ""),
        "test/reddit/1_fake/1.jpg": (1, "test", "reddit"),
    }


def test_a_class_called_train_is_no_split(tmp_path):
    found = seen(forensynths_one_generator(tmp_path))
    assert found["train/1_fake/1.png"] == (1, "", "train")
    assert {split for _, split, _ in found.values()} == {""}


def test_the_classes_of_progan():
    assert len(PROGAN_CLASSES) == 20 and {"train", "tvmonitor", "cat"} < PROGAN_CLASSES


def test_class_folders_alone_are_no_forensynths(tmp_path):
    touch(tmp_path, "train/0_real/1.png", "train/1_fake/1.png", "test/0_real/deep/1.png", "test/1_fake/1.png")
    assert load_dataset(tmp_path).layout == "class_folders"
    assert seen(tmp_path, layout="forensynths") == seen(tmp_path)


def test_class_folders_beside_generators(tmp_path):
    touch(tmp_path, "0_real/1.png", "1_fake/1.png", "extra/1_fake/1.png")
    assert seen(tmp_path) == {
        "0_real/1.png": (0, "", ""),
        "1_fake/1.png": (1, "", "generated"),
        "extra/1_fake/1.png": (1, "", "extra"),
    }


def test_other_words_in_forensynths_are_left_out(tmp_path):
    touch(
        tmp_path, "biggan/1_fake/1.png", "biggan/fakes/1.png", "biggan/1.png", "a/b/c/1_fake/1.png", "1.png"
    )
    reason = "in no class folder, expected [train|val|test/]<generator>/[class/]0_real or 1_fake"
    assert left_out(tmp_path) == dict.fromkeys(
        ("biggan/fakes/1.png", "biggan/1.png", "a/b/c/1_fake/1.png", "1.png"), reason
    )


def test_a_shape_is_seen_among_thousands_of_videos_without_listing_them_all(tmp_path, monkeypatch):
    touch(tmp_path, *(f"videos/{i:04d}/1.png" for i in range(200)))
    listed = set()
    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path=".": listed.add(os.fspath(path)) or scandir(path))
    assert "no known layout" in failure(tmp_path)
    assert len([path for path in listed if "videos/" in path]) == 32


def test_community_forensics(tmp_path):
    touch(tmp_path, "sd15/Real/1.png", "sd15/FAKE/deep/1.png", "dit/fake/1.png")
    assert seen(tmp_path) == {
        "dit/fake/1.png": (1, "", "dit"),
        "sd15/FAKE/deep/1.png": (1, "", "sd15"),
        "sd15/Real/1.png": (0, "", ""),
    }


def test_the_first_level_of_community_forensics_is_no_split_and_no_class(tmp_path):
    touch(tmp_path, "sd15/fake/1.png", "val/fake/1.png", "real/real/1.png", "sd15/ai/1.png", "sd15/1.png")
    assert set(samples(tmp_path, layout="community_forensics")) == {"sd15/fake/1.png"}
    reason = "in no class folder of a generator, expected <generator>/real or <generator>/fake"
    assert set(left_out(tmp_path, layout="community_forensics").values()) == {reason}


@pytest.mark.parametrize("name", ["community_forensics", "forensynths", "genimage"])
def test_no_images(tmp_path, name):
    touch(tmp_path, "a/b/train/ai/notes.txt", "a/1_fake/notes.txt", "a/fake/notes.txt")
    assert failure(tmp_path, layout=name).endswith(
        "; 3 left out, the first 'a/1_fake/notes.txt': no image file (.txt)"
    )


def test_words_may_be_restricted():
    assert label_of(" Fake ") == 1 and label_of("Nature") == 0 and label_of("cat") is None
    assert label_of("fake", among={"ai"}) is None and label_of("AI", among={"ai"}) == 1
    assert all(label_of(word, among={word}) == label for word, label in CLASSES.items())
