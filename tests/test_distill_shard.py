import hashlib
import json
import os
import tarfile
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shard_fixture import JPEG, class_folders, written_names

from distill.data.layouts import load_dataset
from distill.data.samples import Dataset, Sample
from distill.data.shards import pack as shard
from distill.data.shards.pack import write_shards
from distill.data.storage import read_bytes
from distill.errors import EdgeproofError


def content(dataset):
    """What must survive, image by image."""
    return Counter(
        (s.label, s.split, s.generator, s.group, s.box, read_bytes(dataset.root, s)) for s in dataset.samples
    )


def written(out):
    return {path.name: path.read_bytes() for path in out.iterdir()}


def members(path):
    with tarfile.open(path) as tar:
        return tar.getmembers()


def failure(*args, **options):
    with pytest.raises(EdgeproofError) as caught:
        write_shards(*args, **options)
    assert str(caught.value).isprintable()
    return str(caught.value)


def test_there_and_back(tmp_path):
    source = class_folders(tmp_path / "set")
    paths = write_shards(source, out=tmp_path / "out", shard_size=5)
    assert [path.name for path in paths] == [f"{s}-{i:06d}.tar" for s in ("test", "train") for i in range(3)]
    shards = load_dataset(tmp_path / "out")
    assert shards.layout == "webdataset" and shards.problems == shards.skipped == ()
    assert content(shards) == content(source)
    assert all(s.path.startswith(f"{s.split}-") for s in shards.samples)


def test_from_shards_to_shards(tmp_path):
    source = class_folders(tmp_path / "set")
    write_shards(source, out=tmp_path / "one", shard_size=5)
    one = load_dataset(tmp_path / "one")
    write_shards(one, out=tmp_path / "two", shard_size=7, seed=3)
    assert content(load_dataset(tmp_path / "two")) == content(source)


def test_a_set_without_splits(tmp_path):
    source = load_dataset(class_folders(tmp_path / "set", splits=("train",)).root / "train")
    (path,) = write_shards(source, out=tmp_path / "out")
    assert path.name == "all-000000.tar" and content(load_dataset(tmp_path / "out")) == content(source)


TEXT = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8).map(str.strip).filter(bool)


@given(
    rows=st.lists(
        st.tuples(
            st.sampled_from([0, 1]), st.sampled_from(["", "train", "valid", "test", "heldout", "control"]), TEXT, TEXT,
            st.sampled_from([None, (0.0, 0.1, 1 / 3, 1.0)]), st.binary(min_size=1, max_size=2000),
        ), min_size=1, max_size=12,
    ),
    size=st.integers(1, 5), seed=st.integers(0, 3),
)  # fmt: skip
@settings(max_examples=40, deadline=None)
def test_any_set_there_and_back(tmp_path_factory, rows, size, seed):
    root = tmp_path_factory.mktemp("any")
    (root / "set").mkdir()
    samples = []
    for i, (label, split, generator, group, box, image) in enumerate(rows):
        (root / "set" / f"{i}.png").write_bytes(image)
        samples.append(Sample(f"{i}.png", label, split, generator if label else "", group, box))
    source = Dataset(root / "set", "any", tuple(samples))
    write_shards(source, out=root / "out", shard_size=size, seed=seed)
    assert content(load_dataset(root / "out")) == content(source)


def test_what_stands_in_a_shard(tmp_path):
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "a.b.JPG").write_bytes(JPEG)
    sample = Sample("a.b.JPG", 1, "valid", "gan", "person 1", (0.0, 0.25, 0.5, 1.0))
    (path,) = write_shards(Dataset(tmp_path / "set", "any", (sample,)), out=tmp_path / "out")
    image, meta = members(path)
    assert (image.name, meta.name) == ("000000000.JPG", "000000000.json")
    assert {(m.mtime, m.uid, m.gid, m.uname, m.gname, m.mode) for m in (image, meta)} == {
        (0, 0, 0, "", "", 0o644)
    }
    with tarfile.open(path) as tar:
        assert tar.extractfile(image.name).read() == JPEG
        assert json.loads(tar.extractfile(meta.name).read()) == {
            "label": 1, "label_name": "generated", "generator": "gan", "group": "person 1", "split": "valid",
            "box": [0.0, 0.25, 0.5, 1.0], "source": "a.b.JPG",
        }  # fmt: skip


def test_the_index(tmp_path):
    source = class_folders(tmp_path / "set", splits=("train",))
    paths = write_shards(source, out=tmp_path / "out", shard_size=8, seed=5)
    assert sorted(written(tmp_path / "out")) == ["index.json", "train-000000.tar", "train-000001.tar"]
    index = json.loads((tmp_path / "out" / "index.json").read_text())
    assert (index["layout"], index["images"], index["seed"], index["shard_size"]) == (
        "class_folders",
        12,
        5,
        8,
    )
    for path, entry in zip(paths, index["shards"], strict=True):
        assert entry["name"] == path.name and entry["bytes"] == path.stat().st_size
        assert entry["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
        assert 2 * (entry["real"] + entry["generated"]) == len(members(path))
    assert sum(entry["real"] for entry in index["shards"]) == 6


def test_shards_mix_the_classes(tmp_path):
    source = class_folders(tmp_path / "set", images=200, splits=("train",))
    assert [s.label for s in source.samples] == [1] * 100 + [0] * 100
    write_shards(source, out=tmp_path / "out", shard_size=50)
    for entry in json.loads((tmp_path / "out" / "index.json").read_text())["shards"]:
        assert 12 <= entry["real"] <= 38  # four standard deviations of an even draw


def test_the_same_bytes_again_and_others_with_another_seed(tmp_path):
    source = class_folders(tmp_path / "set")
    for name, seed in (("one", 0), ("two", 0), ("three", 1)):
        write_shards(source, out=tmp_path / name, shard_size=5, seed=seed)
    for path in sorted((tmp_path / "set").rglob("*.jpg")):
        os.utime(path, (1, 1))
        path.chmod(0o600)
    (tmp_path / "set").rename(tmp_path / "moved")
    write_shards(load_dataset(tmp_path / "moved"), out=tmp_path / "four", shard_size=5)
    assert written(tmp_path / "one") == written(tmp_path / "two") == written(tmp_path / "four")
    assert written(tmp_path / "one")["train-000000.tar"] != written(tmp_path / "three")["train-000000.tar"]


def test_the_bytes_are_those_of_last_year(tmp_path):
    (tmp_path / "set").mkdir()
    samples = []
    for i in range(6):
        (tmp_path / "set" / f"{i}.png").write_bytes(bytes([i]) * 600)
        samples.append(Sample(f"{i}.png", i % 2, "train", "gan" if i % 2 else "", f"{i}.png"))
    (path,) = write_shards(Dataset(tmp_path / "set", "any", tuple(samples)), out=tmp_path / "out")
    assert hashlib.sha256(path.read_bytes()).hexdigest()[:16] == "ec10b31d4078764d"


# --- runs that go on ----------------------------------------------------------------------------------------------------


def counting(monkeypatch):
    """The paths of all images that are read from now on."""
    read = []
    monkeypatch.setattr(
        shard, "read_bytes", lambda root, sample: read.append(sample.path) or read_bytes(root, sample)
    )
    return read


def test_a_finished_folder_is_left_alone(tmp_path, monkeypatch):
    source = class_folders(tmp_path / "set")
    paths = write_shards(source, out=tmp_path / "out", shard_size=5)
    before = {path: path.stat().st_mtime_ns for path in paths}
    read, calls = counting(monkeypatch), []
    again = write_shards(
        source, out=tmp_path / "out", shard_size=5, progress=lambda *args: calls.append(args)
    )
    assert again == paths and read == [] and calls[-1] == (24, 24)
    assert {path: path.stat().st_mtime_ns for path in paths} == before


@pytest.mark.parametrize("stop_after", [1, 5, 6, 11, 23])
def test_a_run_that_was_stopped_goes_on(tmp_path, monkeypatch, stop_after):
    source = class_folders(tmp_path / "set")
    write_shards(source, out=tmp_path / "whole", shard_size=5)
    count = iter(range(100))

    def stop(root, sample):
        if next(count) == stop_after:
            raise KeyboardInterrupt
        return read_bytes(root, sample)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(shard, "read_bytes", stop)
        write_shards(source, out=tmp_path / "out", shard_size=5)
    left = sorted(written_names(tmp_path / "out"))
    assert "index.json" not in left and not [
        name for name in left if name.startswith(".") and name != ".parts"
    ]
    if len(left) > 1:
        assert "not all shards are written" in load_dataset(tmp_path / "out").problems[-1]
    (tmp_path / "out" / ".train-000000-killed.tar").write_bytes(b"half of it")  # as a kill leaves it
    read = counting(monkeypatch)
    write_shards(source, out=tmp_path / "out", shard_size=5)
    assert len(read) == 24 - sum({0: 5, 1: 5, 2: 2}[i % 3] for i in range(len(left) - 1))
    assert written(tmp_path / "out") == written(tmp_path / "whole")


def test_what_is_damaged_or_gone_is_written_again(tmp_path, monkeypatch):
    source = class_folders(tmp_path / "set")
    paths = write_shards(source, out=tmp_path / "out", shard_size=5)
    whole = written(tmp_path / "out")
    paths[0].write_bytes(paths[0].read_bytes()[:-100])
    paths[-1].unlink()
    read = counting(monkeypatch)
    write_shards(source, out=tmp_path / "out", shard_size=5)
    assert len(read) == 5 + 2 and written(tmp_path / "out") == whole


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 1}, "(seed: 0 there, 1 asked)"),
        ({"shard_size": 6}, "(shard_size: 5 there, 6 asked)"),
    ],
)
def test_other_settings_are_refused(tmp_path, change, message):
    source = class_folders(tmp_path / "set")
    write_shards(source, out=tmp_path / "out", shard_size=5)
    before = written(tmp_path / "out")
    assert message in failure(source, out=tmp_path / "out", **{"shard_size": 5, **change})
    assert written(tmp_path / "out") == before


def test_another_data_set_is_refused(tmp_path):
    source = class_folders(tmp_path / "set")
    write_shards(source, out=tmp_path / "out")
    other = class_folders(tmp_path / "other", images=10)
    assert "holds shards of another data set or with other settings (source: " in failure(
        other, out=tmp_path / "out"
    )


def test_a_folder_of_something_else_is_refused(tmp_path):
    source = class_folders(tmp_path / "set")
    (tmp_path / "out").mkdir()
    (tmp_path / "file").touch()
    for name in ("notes.txt", "index.json", "train-000000.tar"):
        (tmp_path / "out" / name).write_text("{}")
        assert "holds something that is no folder of shards" in failure(source, out=tmp_path / "out")
        assert written(tmp_path / "out") == {name: b"{}"}
        (tmp_path / "out" / name).unlink()
    assert "holds something that is no folder of shards" in failure(source, out=tmp_path / "file")
    assert write_shards(source, out=tmp_path / "out")


def test_a_claim_that_was_cut_short_is_refused(tmp_path):
    source = class_folders(tmp_path / "set")
    (tmp_path / "out" / ".parts").mkdir(parents=True)
    (tmp_path / "out" / ".parts" / "header.json").write_text('{"seed"')
    assert "holds shards of another data set" in failure(source, out=tmp_path / "out")


def test_a_folder_inside_the_data_set_is_refused(tmp_path):
    source = class_folders(tmp_path)
    for out in (tmp_path, tmp_path / "shards", tmp_path / "train" / ".." / "x"):
        assert "lies in the data set's own folder" in failure(source, out=out)
    (tmp_path / "manifest.csv").write_text("path,label\ntrain/real/train ä2.jpg,real\n")
    listed = load_dataset(tmp_path / "manifest.csv")
    assert write_shards(listed, out=tmp_path / "shards")


# --- what cannot be read ------------------------------------------------------------------------------------------------


def test_unreadable_files_are_left_out_and_listed(tmp_path):
    source = class_folders(tmp_path / "set", splits=("train",))
    (tmp_path / "set" / source.samples[0].path).unlink()
    (tmp_path / "set" / source.samples[1].path).write_bytes(b"")
    write_shards(source, out=tmp_path / "out", shard_size=5)
    index = json.loads((tmp_path / "out" / "index.json").read_text())
    assert sorted((item["path"], item["reason"]) for s in index["shards"] for item in s["skipped"]) == [
        (source.samples[0].path, "cannot be read (No such file or directory)"),
        (source.samples[1].path, "the file is empty (0 bytes)"),
    ]
    assert index["images"] == 12 and sum(s["real"] + s["generated"] for s in index["shards"]) == 10
    rest = Dataset(source.root, source.layout, source.samples[2:])
    assert content(load_dataset(tmp_path / "out")) == content(rest)


def test_a_source_tar_that_was_cut_since(tmp_path):
    source = class_folders(tmp_path / "set", splits=("train",))
    (tar,) = write_shards(source, out=tmp_path / "one")
    one = load_dataset(tmp_path / "one")
    tar.write_bytes(tar.read_bytes()[: one.samples[-1].span[0] + 1])
    write_shards(one, out=tmp_path / "two")
    (entry,) = json.loads((tmp_path / "two" / "index.json").read_text())["shards"]
    assert (
        len(entry["skipped"]) == 1
        and "the tar is cut short inside this image" in entry["skipped"][0]["reason"]
    )


def test_suffixes(tmp_path):
    images = {
        "photo": JPEG, "b.jfif": JPEG, "c.dat": b"\x89PNG\r\n", "d.img": b"RIFF....WEBP", "e.TIFF": b"anything",
        "f.txt": b"no image", "g.bin": b"GIF89a",
    }  # fmt: skip
    (tmp_path / "set").mkdir()
    for name, data in images.items():
        (tmp_path / "set" / name).write_bytes(data)
    source = Dataset(tmp_path / "set", "any", tuple(Sample(name, 0, "", "", name) for name in images))
    (path,) = write_shards(source, out=tmp_path / "out")
    found = {s.group: s.path[-5:].partition(".")[2] for s in load_dataset(tmp_path / "out").samples}
    assert found == {
        "photo": "jpg",
        "b.jfif": "jpg",
        "c.dat": "png",
        "d.img": "webp",
        "e.TIFF": "TIFF",
        "g.bin": "gif",
    }
    (entry,) = json.loads((tmp_path / "out" / "index.json").read_text())["shards"]
    assert entry["skipped"] == [{"path": "f.txt", "reason": "no image by its suffix nor by its first bytes"}]


def test_nothing_can_be_read(tmp_path):
    samples = (Sample("a\0.jpg", 0), Sample("none.jpg", 0))
    message = failure(Dataset(tmp_path / "set", "any", samples), out=tmp_path / "out", shard_size=1)
    assert "none of the data set's images can be read, the first: " in message
    assert not (tmp_path / "out" / "index.json").exists()


def test_unlabelled_images_are_refused(tmp_path):
    message = failure(
        Dataset(tmp_path / "set", "any", (Sample("a.jpg", -1, "unlabelled"),)), out=tmp_path / "out"
    )
    assert message.startswith(f"{tmp_path / 'set'}: 'a.jpg' has no label")
    assert not (tmp_path / "out").exists()


def test_a_size_below_one(tmp_path):
    assert "the shard size is 0" in failure(Dataset(tmp_path, "any", ()), out=tmp_path / "out", shard_size=0)


def test_a_full_disk_is_one_line_and_leaves_no_half_shard(tmp_path, monkeypatch):
    source = class_folders(tmp_path / "set")
    add = tarfile.TarFile.addfile
    calls = iter(range(100))

    def full(self, *args):
        if next(calls) == 13:
            raise OSError(28, "No space left on device")
        add(self, *args)

    with monkeypatch.context() as patch:
        patch.setattr(tarfile.TarFile, "addfile", full)
        message = failure(source, out=tmp_path / "out", shard_size=5)
    assert "cannot write the shards (No space left on device); run again" in message
    assert sorted(written_names(tmp_path / "out")) == [".parts", "test-000000.tar"]
    write_shards(source, out=tmp_path / "out", shard_size=5)
    assert content(load_dataset(tmp_path / "out")) == content(source)
