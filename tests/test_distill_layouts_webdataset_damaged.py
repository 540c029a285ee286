"""Tars with members that are no images, that were cut short, damaged or joined."""

import gzip
import json
import tarfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tar_fixture import GOOD, failure, listed, load, member, packed, pair, with_good, write

from distill.data.layouts import load_dataset, tar_index, webdataset
from distill.data.samples import Dataset
from distill.data.storage import read_bytes
from distill.errors import EdgeproofError


def left_out(root):
    return {item.path: item.reason for item in load(root).skipped}


# --- what is left out -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("members", "path", "reason"),
    [
        ([("k.jpg", b"i")], "k.jpg", "an image without a label, expected a .cls, or a .json with label"),
        ([("k.jpg", b"i"), ("k.json", {"caption": "x"})], "k.jpg", "an image without a label"),
        ([("k.jpg", b"i"), ("k.json", {"label": None})], "k.jpg", "an image without a label"),
        ([("k.cls", "1")], "k", "a label without an image"),
        ([("k.jpg", b"i"), ("k.png", b"j"), ("k.cls", "1")], "k.png", "several images under the key 'k'"),
        ([("k.jpg", b"i"), ("k.cls", "1"), ("k.jpg", b"j")], "k.jpg", "several images under the key 'k'"),
        ([("k.1.jpg", b"i"), ("k.cls", "1"), ("k.2.jpg", b"j")], "k.2.jpg", "several images under the key 'k'"),
        ([("k.jpg", b"i"), ("k.cls", "1"), ("k.cls", "0")], "k.jpg", "several .cls files under the key 'k'"),
        ([("k.jpg", b"i"), ("k.json", b'{"label": 1')], "k.jpg", "its .json is no whole JSON document"),
        ([("k.jpg", b"i"), ("k.json", b"[" * 100_000)], "k.jpg", "its .json is no whole JSON document"),
        ([("k.jpg", b"i"), ("k.json", b"\xff")], "k.jpg", "its .json is no whole JSON document"),
        ([("k.jpg", b"i"), ("k.json", [1])], "k.jpg", "its .json is a list, expected an object"),
        ([("k.jpg", b"i"), ("k.json", {"label": 1, "group": [1]})], "k.jpg", "group in its .json is a list"),
        ([("k.jpg", b"i"), ("k.json", b'{"label": 1, "group": "\\ud800"}')], "k.jpg", "group in its .json is not valid"),
        ([("k.jpg", b"i"), ("k.json", b" " * (1 << 20) + b"1")], "k.json", "a label of 1048577 bytes"),
        ([("d/._k.jpg", b"i")], "d/._k.jpg", "a hidden file"),
        ([member("k.jpg", type=tarfile.SYMTYPE, linkname="good.jpg"), ("k.cls", "1")], "k.jpg", "a link inside the tar"),
        ([member("k.jpg", type=tarfile.LNKTYPE, linkname="good.jpg"), ("k.cls", "1")], "k.jpg", "a link inside the tar"),
        ([member("k.jpg", type=tarfile.FIFOTYPE), ("k.cls", "1")], "k.jpg", "no regular file"),
        ([member(b"caf\xe9.jpg".decode(errors="surrogateescape"), b"i")], "'caf\\udce9.jpg'", "the member's name is not"),
    ],
)  # fmt: skip
def test_left_out_with_a_reason(tmp_path, members, path, reason):
    with_good(tmp_path, *members)
    dataset = load(tmp_path)
    assert [s.path for s in dataset.samples] == ["train-000.tar/good.jpg", "train-000.tar/zreal.png"]
    assert left_out(tmp_path)[f"train-000.tar/{path}"].startswith(reason)
    assert dataset.problems == ()


def test_a_sparse_member(tmp_path):
    path = tmp_path / "train-000.tar"
    headers = {"GNU.sparse.major": "0", "GNU.sparse.minor": "1", "GNU.sparse.map": "0,5", "GNU.sparse.size": "100",
               "GNU.sparse.name": "k.jpg"}  # fmt: skip
    with_good(tmp_path, member("GNUSparseFile/k.jpg", b"12345", pax_headers=headers), ("k.cls", "1"))
    assert path.is_file()
    assert left_out(tmp_path)["train-000.tar/k.jpg"] == "a sparse member, which cannot be read in place"


def test_directories_are_nothing_and_other_members_are_counted(tmp_path):
    with_good(
        tmp_path,
        member("d/", type=tarfile.DIRTYPE),
        ("good.txt", "a cat"),
        ("good.npy", b"n"),
        ("README", b""),
    )
    dataset = load(tmp_path)
    assert len(dataset.samples) == 2 and dataset.skipped == ()
    assert dataset.problems == ("3 members of tars are neither image nor .cls nor .json and were not read",)


@pytest.mark.parametrize(
    "box", [[0, 0, 1], [10, 10, 200, 200], [0.5, 0, 0.5, 1], [0, 0, "1", 1], "0011", 5, True, {"a": 1}, [10**400] * 4, 
     [float("nan")] * 4]
)  # fmt: skip
def test_a_box_that_is_none(tmp_path, box):
    with_good(tmp_path, *pair("k", 1, box=box))
    dataset = load(tmp_path)
    assert len(dataset.samples) == 3 and all(s.box is None for s in dataset.samples)
    assert dataset.problems[0].startswith("1 boxes are not x1, y1, x2, y2 between 0 and 1")
    assert dataset.problems[0].endswith("the first of train-000.tar/k.jpg")


def test_other_files_and_folders(tmp_path):
    with_good(tmp_path / "set")
    (tmp_path / "set" / "notes.txt").touch()
    (tmp_path / "set" / "index.json").touch()
    (tmp_path / "set" / ".train-1.tar").touch()
    (tmp_path / "set" / "SHOUT.TAR").touch()
    (tmp_path / "set" / "gone.tar").symlink_to("nowhere.tar")
    write(tmp_path / "set" / "odd.tar" / "x.tar", pair("k", 1))
    (tmp_path / "set" / "loop").symlink_to(tmp_path / "set", target_is_directory=True)
    write(tmp_path / "elsewhere" / "y.tar", pair("k", 1))
    (tmp_path / "elsewhere" / "index.json").touch()
    (tmp_path / "set" / "linked").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    assert [path for path, *_ in listed(tmp_path / "set")] == [
        "train-000.tar/good.jpg", "train-000.tar/zreal.png", "linked/y.tar/k.jpg",
    ]  # fmt: skip
    assert left_out(tmp_path / "set") == {
        ".train-1.tar": "hidden",
        "SHOUT.TAR": "no .tar shard",
        "gone.tar": "a broken link, or no regular file",
        "loop": "a folder that was read before under another name, or a loop of links",
        "notes.txt": "no .tar shard",
        "odd.tar": "a folder that is called like a tar",
    }


def test_an_unreadable_tar(tmp_path, monkeypatch):
    with_good(tmp_path)
    write(tmp_path / "closed.tar", pair("k", 1))

    def refuse(path):
        if path.name == "closed.tar":
            raise PermissionError(13, "Permission denied")
        return whole(path)

    whole = tar_index.index_tar
    monkeypatch.setattr(webdataset, "index_tar", refuse)
    assert left_out(tmp_path) == {"closed.tar": "cannot be read (Permission denied)"}


def test_no_tar(tmp_path):
    (tmp_path / "notes.txt").touch()
    assert failure(tmp_path, layout="webdataset") == f"{tmp_path}: no .tar shard, expected at least one"


@pytest.mark.parametrize(
    ("members", "why"),
    [
        ([("a.jpg", b"i")], "x.tar/a.jpg: an image without a label"),
        ([("a.txt", b"i")], "1 members of tars are neither image nor"),
        ([], "all are empty"),
    ],
)
def test_no_labelled_image(tmp_path, members, why):
    write(tmp_path / "x.tar", members)
    message = failure(tmp_path)
    assert message.startswith(
        f"{tmp_path}: no labelled image in 1 shards, expected an image and a .cls or .json"
    )
    assert why in message


@pytest.mark.parametrize("name", ["x.tar.gz", "x.tgz", "x.tar"])
def test_a_compressed_tar(tmp_path, name):
    (tmp_path / name).write_bytes(gzip.compress(packed(GOOD)))
    for root in (tmp_path, tmp_path / name):
        message = failure(root)
        assert message.startswith(f"{tmp_path / name}: a compressed tar, which cannot be read in place")
        assert "gunzip" in message


# --- cut, joined and damaged ------------------------------------------------------------------------------------------

KEYS = [f"{i:03d}" for i in range(6)]
WHOLE = packed(
    [item for key in KEYS for item in pair(key, int(key) % 2, key.encode() * 300)],
    format=tarfile.USTAR_FORMAT,
)


@pytest.mark.parametrize("cut", [*range(0, 512 * 5, 128), 2000, *range(len(WHOLE) - 12000, len(WHOLE), 777)])
def test_a_tar_that_is_cut_short(tmp_path, cut):
    with_good(tmp_path)
    (tmp_path / "x.tar").write_bytes(WHOLE[:cut])
    dataset = load(tmp_path)
    kept = [sample for sample in dataset.samples if sample.path.startswith("x.tar/")]
    for sample in kept:
        assert read_bytes(tmp_path, sample) == sample.path[6:9].encode() * 300
    end = len(WHOLE.rstrip(b"\0"))
    assert len(kept) == len(KEYS) or cut < end
    damaged = [problem for problem in dataset.problems if problem.startswith("x.tar: ")]
    assert len(damaged) == (cut < -(-end // 512) * 512 + 512)
    assert all(problem.endswith(f"; {len(kept)} whole images of it are kept") for problem in damaged)


def test_an_image_that_reaches_past_the_end(tmp_path):
    with_good(tmp_path)
    (tmp_path / "x.tar").write_bytes(packed([("a.json", {"label": 1}), ("a.jpg", b"i" * 5000)])[:4000])
    dataset = load(tmp_path)
    assert len(dataset.samples) == 2
    assert left_out(tmp_path) == {
        "x.tar/a.jpg": "reaches past the end of the tar, which is cut short",
        "x.tar/a": "a label without an image",
    }
    assert dataset.problems == (
        "x.tar: cut short or damaged (unexpected end of data; it has 4000 bytes); 0 whole images of it are kept",
    )


@pytest.mark.parametrize(
    ("damage", "problem", "kept"),
    [
        (lambda tar: tar[:5120] + b"junk" + tar[5124:], "damaged at byte 5120", 2),
        (
            lambda tar: tar + packed(pair("more", 1)),
            "goes on behind its end mark at byte 15360, which is not read",
            6,
        ),
        (lambda tar: b"junk", "truncated header", 0),
        (lambda tar: b"", "empty file", 0),
        (lambda tar: tar.rstrip(b"\0"), "cut short", 6),
    ],
)
def test_a_tar_that_is_damaged_or_joined(tmp_path, damage, problem, kept):
    with_good(tmp_path)
    (tmp_path / "x.tar").write_bytes(damage(WHOLE))
    dataset = load(tmp_path)
    assert problem in dataset.problems[0] and dataset.problems[0].startswith("x.tar: ")
    assert len(dataset.samples) == kept + 2


def test_a_size_below_zero_does_not_trap(tmp_path):
    info = member("b.jpg")[0]
    header = bytearray(info.tobuf(format=tarfile.GNU_FORMAT))
    header[124:136] = (b"\xff" * 10) + (-512).to_bytes(
        2, "big", signed=True
    )  # base 256, as GNU tar writes large sizes
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    (tmp_path / "x.tar").write_bytes(packed(pair("a", 1))[:2048] + bytes(header) + bytes(10240))
    with_good(tmp_path)
    dataset = load(tmp_path)  # by its size, the header comes again and again
    assert len(dataset.samples) == 3
    assert dataset.problems == ("x.tar: damaged at byte 2048; 1 whole images of it are kept",)


@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_a_tar_that_is_cut_or_damaged_anywhere(tmp_path_factory, data):
    root = tmp_path_factory.mktemp("cut")
    cut = data.draw(st.integers(0, len(WHOLE)))
    damage = data.draw(st.binary(max_size=4))
    (root / "x.tar").write_bytes(
        WHOLE[:cut] + damage + (WHOLE[cut + len(damage) :] if data.draw(st.booleans()) else b"")
    )
    try:
        dataset = load_dataset(root)
    except EdgeproofError as error:
        assert str(error).isprintable()
        return
    assert isinstance(dataset, Dataset)
    for sample in dataset.samples:
        assert len(read_bytes(root, sample)) == sample.span[1]


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_a_json_that_is_cut_or_damaged_anywhere(tmp_path_factory, data):
    root = tmp_path_factory.mktemp("json")
    text = json.dumps(
        {"label": 1, "generator": "gän", "group": "g", "split": "train", "box": [0, 0, 1, 0.5]}
    ).encode()
    cut = data.draw(st.integers(0, len(text)))
    damaged = (
        text[:cut] + data.draw(st.binary(max_size=3)) + (text[cut:] if data.draw(st.booleans()) else b"")
    )
    write(root / "x.tar", [("k.jpg", b"i"), ("k.json", damaged)])
    try:
        assert len(load_dataset(root).samples) == 1
    except EdgeproofError as error:
        assert str(error).isprintable()
