"""How shards are written."""

import pytest
from shard_fixture import class_folders, written_names

from distill.data.layouts import load_dataset
from distill.data.shards.pack import write_shards
from distill.data.shards.writer import ShardWriter
from distill.data.storage import read_bytes


def test_no_image_is_decoded(tmp_path, monkeypatch):
    from PIL import Image

    source = class_folders(tmp_path / "set")
    monkeypatch.setattr(Image, "open", None)
    assert write_shards(source, out=tmp_path / "out")


# --- one shard ------------------------------------------------------------------------------------------------------------


def test_the_writer(tmp_path):
    writer = ShardWriter(tmp_path / "deep" / "train-0.tar")
    writer.add("k1", b"image", ".png", {"label": 1, "group": "ä"})
    assert not (tmp_path / "deep" / "train-0.tar").exists()
    writer.close()
    (sample,) = load_dataset(tmp_path / "deep").samples
    assert (sample.label, sample.group, read_bytes(tmp_path / "deep", sample)) == (1, "ä", b"image")
    assert written_names(tmp_path / "deep") == ["train-0.tar"]


def test_a_writer_whose_block_fails_leaves_nothing(tmp_path):
    with pytest.raises(ValueError), ShardWriter(tmp_path / "x.tar") as writer:
        writer.add("k", b"image", ".png", {"label": float("nan")})
    assert written_names(tmp_path) == []
