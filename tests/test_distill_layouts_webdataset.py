import os
import tarfile
import tracemalloc

import pytest
from tar_fixture import GOOD, failure, listed, load, member, pair, with_good, write

from distill.data.layouts import tar_index, webdataset
from distill.data.storage import read_bytes

# --- what shards tell -----------------------------------------------------------------------------------------------


def test_images_lie_where_the_span_says(tmp_path):
    images = {f"{i:04d}": os.urandom(i * 333) for i in range(1, 6)}
    members = [item for key, image in images.items() for item in pair(key, int(key) % 2, image)]
    for options in (
        {"format": tarfile.USTAR_FORMAT},
        {"format": tarfile.GNU_FORMAT},
        {"format": tarfile.PAX_FORMAT},
    ):
        write(tmp_path / "a" / "x.tar", members, **options)
        dataset = load(tmp_path)
        assert dataset.layout == "webdataset" and dataset.root == tmp_path
        assert dataset.problems == dataset.skipped == ()
        assert {s.path: read_bytes(tmp_path, s) for s in dataset.samples} == {
            f"a/x.tar/{key}.jpg": image for key, image in images.items()
        }


def test_everything_that_a_json_may_tell(tmp_path):
    facts = {"generator": " gan ", "group": 17, "split": "Val", "box": [0, 0.25, 1, 0.75], "note": {"a": [1]}}
    write(tmp_path / "train-0.tar", [*pair("a", 1, **facts), *pair("b", "real", **facts), *pair("c", True)])
    one, two, three = load(tmp_path).samples
    assert (one.label, one.generator, one.group, one.split, one.box) == (
        1,
        "gan",
        "17",
        "valid",
        (0, 0.25, 1, 0.75),
    )
    assert (two.label, two.generator, two.group) == (0, "", "17")
    assert (three.label, three.generator, three.group, three.split, three.box) == (
        1, "generated", "train-0.tar/c.jpg", "train", None,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "label"),
    [("0", 0), ("1\n", 1), (" 1 ", 1), ("real", 0), ("FAKE", 1), ("nature", 0), ("ai", 1), ("1.0", 1)],
)
def test_cls(tmp_path, text, label):
    write(tmp_path / "x.tar", [("k.cls", text), ("k.webp", b"i")])
    assert [s.label for s in load(tmp_path).samples] == [label]


@pytest.mark.parametrize("value", [0, 1, 0.0, 1.0, False, True, "real", "Generated", "1"])
def test_json_labels(tmp_path, value):
    write(tmp_path / "x.tar", pair("k", value))
    assert load(tmp_path).samples[0].label == (value in (1, "Generated", "1"))


@pytest.mark.parametrize("value", [2, -1, 0.5, "cat", "", [1], {"a": 1}, "1 " * 100])
def test_an_unknown_label_names_the_tar_and_the_key(tmp_path, value):
    path = write(tmp_path / "x.tar", pair("d/k1", value))
    assert failure(tmp_path).startswith(f"{path}: key 'd/k1' has the label ")


def test_an_unknown_cls_names_the_tar_and_the_key(tmp_path):
    path = write(tmp_path / "x.tar", [("k1.jpg", b"i"), ("k1.cls", b"\xff\xfe7")])
    assert failure(tmp_path).startswith(f"{path}: key 'k1' has the label ")


def test_labels_that_disagree(tmp_path):
    path = write(tmp_path / "x.tar", [*pair("k1", "real"), ("k1.cls", "1")])
    assert failure(tmp_path).startswith(f"{path}: key 'k1' has the labels '1' and 'real', expected one of")
    write(tmp_path / "x.tar", [*pair("k1", "fake"), ("k1.cls", "1")])
    assert load(tmp_path).samples[0].label == 1


def test_an_unknown_split_names_the_tar_and_the_key(tmp_path):
    path = write(tmp_path / "x.tar", pair("k1", 1, split="dev"))
    assert failure(tmp_path).startswith(f"{path}: key 'k1' has the split 'dev', expected one of train, ")


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("train-000000.tar", "train"), ("val_00.tar", "valid"), ("Test.tar", "test"), ("training.0.tar", "train"),
        ("heldout-000001.tar", "heldout"), ("control-0.tar", "control"), ("all-000000.tar", ""), ("x-train-0.tar", ""),
        ("trainer-0.tar", ""), ("validation/shard-0.tar", "valid"), ("train/ADM/0.tar", "train"),
        ("val/train-0.tar", "train"), ("000.tar", ""),
    ],
)  # fmt: skip
def test_the_split_of_a_shard(tmp_path, name, split):
    write(tmp_path / name, pair("k", 1))
    assert load(tmp_path, layout="webdataset").samples[0].split == split


def test_the_json_has_the_last_word_on_the_split(tmp_path):
    write(
        tmp_path / "train-0.tar",
        [*pair("a", 1, split="test"), *pair("b", 1, split=""), *pair("c", 1, split=None)],
    )
    assert [s.split for s in load(tmp_path).samples] == ["test", "train", "train"]


def test_one_tar(tmp_path):
    path = write(tmp_path / "test-1.tar", pair("k", 1))
    write(tmp_path / "other.tar", pair("k", 0))
    assert load(path).root == tmp_path
    assert listed(path) == [("test-1.tar/k.jpg", 1, "test", "generated", "test-1.tar/k.jpg")]


def test_members_in_any_order(tmp_path):
    members = [
        ("a.json", {"label": 1}),
        ("b.cls", "0"),
        ("b.png", b"b"),
        ("c.JPG", b"c"),
        ("a.jpeg", b"a"),
        ("c.CLS", "1"),
    ]
    write(tmp_path / "x.tar", members)
    assert [(s.path, s.label) for s in load(tmp_path).samples] == [
        ("x.tar/a.jpeg", 1), ("x.tar/b.png", 0), ("x.tar/c.JPG", 1),
    ]  # fmt: skip


def test_a_key_ends_at_the_first_dot_behind_the_last_slash(tmp_path):
    write(
        tmp_path / "x.tar",
        [("v1.0/a.rgb.jpg", b"a"), ("v1.0/a.cls", "1"), ("v2.0/a.jpg", b"b"), ("v2.0/a.cls", "0")],
    )
    assert [(s.path, s.label) for s in load(tmp_path).samples] == [
        ("x.tar/v1.0/a.rgb.jpg", 1),
        ("x.tar/v2.0/a.jpg", 0),
    ]


def test_names_that_open_with_a_dot_or_slash(tmp_path):
    write(tmp_path / "x.tar", [("./a.jpg", b"a"), ("a.cls", "1"), ("/b.jpg", b"b"), ("././b.cls", "0")])
    assert [(s.path, s.label) for s in load(tmp_path).samples] == [("x.tar/a.jpg", 1), ("x.tar/b.jpg", 0)]


def test_long_names_pax_headers_and_other_letters(tmp_path):
    long = "folder/" * 30 + "漢字" * 40
    for form in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        members = [
            *pair(long, 1, b"bytes"),
            member("k.png", b"k", pax_headers={"comment": "x" * 600}),
            ("k.cls", "0"),
        ]
        write(
            tmp_path / "x.tar",
            members,
            format=form,
            pax_headers={"comment": "global"} if form == tarfile.PAX_FORMAT else None,
        )
        dataset = load(tmp_path)
        assert [(s.path, read_bytes(tmp_path, s)) for s in dataset.samples] == [
            (f"x.tar/{long}.jpg", b"bytes"), ("x.tar/k.png", b"k"),
        ]  # fmt: skip


def test_a_member_that_is_called_like_a_tar(tmp_path):
    write(tmp_path / "x.tar", pair("inner.tar/k", 1, b"bytes"))
    (sample,) = load(tmp_path).samples
    assert sample.path == "x.tar/inner.tar/k.jpg" and read_bytes(tmp_path, sample) == b"bytes"


def test_the_memory_is_that_of_the_keys(tmp_path):
    path = write(tmp_path / "x.tar", [item for i in range(1500) for item in pair(f"{i:06d}", i % 2)])
    tracemalloc.start()
    try:
        index = tar_index.index_tar(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(index.entries) == 1500
    assert peak / 1500 < 1400  # with all headers kept, it would be 1800


# --- which folders are shards -----------------------------------------------------------------------------------------


def test_what_matches(tmp_path):
    write(tmp_path / "a" / "x.tar", GOOD)
    write(tmp_path / "b" / "train" / "gan" / "x.tar", GOOD)
    write(tmp_path / "c" / "x.tar", [("a.jpg", b"")])
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "x.tar").touch()
    (tmp_path / "e").mkdir()
    assert all(webdataset.matches(tmp_path / name) for name in ("a", "b", "c", "d", "a/x.tar"))
    assert not any(webdataset.matches(tmp_path / name) for name in ("e", "none", "none/x.tar"))


def test_a_tar_of_class_folders_beside_them_is_no_shard(tmp_path):
    write(tmp_path / "cifake.tar", [("real/a.jpg", b""), ("fake/b.jpg", b"")])
    (tmp_path / "broken.tar").write_bytes(b"junk")
    for path in ("real/a.jpg", "fake/b.jpg"):
        (tmp_path / path).parent.mkdir()
        (tmp_path / path).touch()
    assert load(tmp_path).layout == "class_folders"


def test_shards_that_are_not_all_written(tmp_path):
    with_good(tmp_path)
    (tmp_path / ".parts").mkdir()
    (tmp_path / ".parts" / "header.json").touch()
    assert load(tmp_path).problems == (
        "not all shards are written; 'edgeproof data shard' with the same folders goes on",
    )
    (tmp_path / "index.json").touch()
    assert load(tmp_path).problems == ()
