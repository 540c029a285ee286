import gzip
import io
import json
import os
import tarfile
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distill.data.layouts import load_dataset, tar_index, webdataset
from distill.data.samples import Dataset
from distill.data.storage import read_bytes
from distill.errors import EdgeproofError


def member(name, data=b"", **fields):
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for field, value in fields.items():
        setattr(info, field, value)
    return info, data


def packed(members, **options):
    """A tar in memory; a member is a TarInfo with data, or a name with bytes, text or a JSON value."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", **options) as tar:
        for name, data in members:
            if not isinstance(name, tarfile.TarInfo):
                data = (
                    data
                    if isinstance(data, bytes)
                    else (data if isinstance(data, str) else json.dumps(data)).encode()
                )
                name = member(name, data)[0]
            tar.addfile(name, io.BytesIO(data))
    return file.getvalue()


def write(path, members, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(packed(members, **options))
    return path


def pair(key, label, image=b"image", suffix=".jpg", **facts):
    return [(key + suffix, image), (f"{key}.json", {"label": label, **facts})]


def load(root, **options):
    return load_dataset(root, **options)


def listed(root):
    return [(s.path, s.label, s.split, s.generator, s.group) for s in load(root).samples]


def left_out(root):
    return {item.path: item.reason for item in load(root).skipped}


def failure(root, **options):
    with pytest.raises(EdgeproofError) as caught:
        load(root, **options)
    assert str(caught.value).isprintable()
    return str(caught.value)


GOOD = [*pair("good", 1), ("zreal.png", b"x"), ("zreal.cls", "0\n")]


def with_good(root, *members, **options):
    """A shard with what is tested, between what is right."""
    return write(root / "train-000.tar", [*GOOD[:2], *members, *GOOD[2:]], **options)


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
