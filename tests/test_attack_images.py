"""Images that were made to hurt: other formats, enormous ones, files without an end, numbers that read as black."""

import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from deploy.inputs import as_rgb
from deploy.watch import photos_in
from distill import preprocess
from distill.data.samples import Dataset, Sample
from distill.data.scan import scan
from distill.data.shards.pack import write_shards
from distill.data.storage import open_image, read_bytes
from distill.errors import EdgeproofError
from distill.preprocess import read_image


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def dataset(root: Path, *names: str) -> Dataset:
    samples = tuple(Sample(path=name, label=number % 2, group=name) for number, name in enumerate(names))
    return Dataset(root=root, layout="manifest", samples=samples)


# --- formats --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["EPS", "TGA", "ICO", "PDF"])
def test_other_formats_are_decoded_nowhere(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(encoded(Image.new("RGB", (16, 16)), kind))
    for read in (read_image, as_rgb, lambda path: as_rgb(path.read_bytes())):
        with pytest.raises(EdgeproofError, match="cannot be decoded as an image"):
            read(path)
    assert scan(dataset(tmp_path, "photo.jpg"), max_bad_share=1, workers=1)[0].skipped


def test_postscript_starts_no_other_program(tmp_path: Path, monkeypatch) -> None:
    started = tmp_path / "started"
    (tmp_path / "gs").write_text(f"#!/bin/sh\ntouch {started}\n")
    (tmp_path / "gs").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr("PIL.EpsImagePlugin.gs_binary", None)
    path = tmp_path / "photo.png"
    path.write_bytes(encoded(Image.new("RGB", (16, 16)), "EPS"))
    with pytest.raises(EdgeproofError, match="no known format"):
        read_image(path)
    assert not started.exists()


@pytest.mark.parametrize(("kind", "suffix"), [
    ("JPEG", "jpg"), ("PNG", "png"), ("BMP", "bmp"), ("GIF", "gif"), ("WEBP", "webp"), ("TIFF", "tif"), ("AVIF", "avif"),
])  # fmt: skip
def test_every_supported_format_is_found_and_decoded(tmp_path: Path, kind: str, suffix: str) -> None:
    path = tmp_path / f"photo.{suffix}"
    path.write_bytes(encoded(Image.new("RGB", (16, 16), "white"), kind))
    assert photos_in(tmp_path) == [path] and read_image(path).getpixel((8, 8)) == (255, 255, 255)


# --- size -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("head", [b"\xff\xd8\xff\xe0", b"GIF89a"])
def test_a_sparse_file_is_refused_by_its_length_alone(tmp_path: Path, head: bytes) -> None:
    path = tmp_path / "a.jpg"
    with path.open("wb") as file:
        file.write(head)
        file.truncate(3 * 2**30)
    sample = Sample(path="a.jpg", label=0)
    for read in (
        lambda: read_image(path),
        lambda: open_image(tmp_path, sample),
        lambda: read_bytes(tmp_path, sample),
    ):
        with pytest.raises(
            EdgeproofError, match=r"3221225472 bytes, at most 268435456 .*EDGEPROOF_MAX_BYTES"
        ):
            read()
    assert (
        scan(dataset(tmp_path, "a.jpg"), max_bad_share=1, workers=1)[0]
        .skipped[0]
        .reason.startswith("3221225472")
    )


@pytest.mark.parametrize(("kind", "most"), [("PNG", 100), ("WEBP", 50)])
def test_limits_can_be_set(tmp_path: Path, monkeypatch, kind: str, most: int) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(encoded(Image.new("RGB", (11, 10)), kind))
    read_image(path)
    monkeypatch.setenv(preprocess.PIXELS_SETTING, "100")
    with pytest.raises(EdgeproofError, match=f"11x10 pixels, at most {most} are allowed"):
        read_image(path)
    monkeypatch.setenv(preprocess.PIXELS_SETTING, "many")
    with pytest.raises(EdgeproofError, match="EDGEPROOF_MAX_PIXELS: found 'many', expected a whole number"):
        read_image(path)


@pytest.mark.parametrize("mode", ["RGBA", "P", "LA", "I;16"])
def test_strips_change_no_pixel(mode: str, monkeypatch) -> None:
    grey = np.arange(30 * 20, dtype=np.uint16).reshape(30, 20)
    values = np.stack([grey % 251, grey % 7 * 30, grey % 13, grey % 256], axis=2).astype(np.uint8)
    image = Image.fromarray(grey * 100) if mode == "I;16" else Image.fromarray(values, "RGBA").convert(mode)
    if mode == "P":
        image.info["transparency"] = 3
    whole = np.asarray(preprocess.to_rgb(image))
    monkeypatch.setattr(preprocess, "_STRIP", 7)
    np.testing.assert_array_equal(np.asarray(preprocess.to_rgb(image)), whole)
    if mode != "I;16":
        rgba = image.convert("RGBA")
        expected = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
        np.testing.assert_array_equal(whole, np.asarray(expected))


# --- files without an end -------------------------------------------------------------------------------------


def test_a_pipe_in_a_list_of_images_holds_nothing_up(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    os.mkfifo(root / "pipe.png")
    for name in ("a.png", "b.png"):
        (root / name).write_bytes(encoded(Image.new("RGB", (8, 8)), "PNG"))
    write_shards(dataset(root, "a.png", "pipe.png", "b.png", "/dev/zero"), out=tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["all-000000.tar", "index.json"]


# --- numbers --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("dtype", "words"), [(np.float32, "floats"), (np.int32, "32-bit integers")])
def test_a_tiff_whose_white_is_not_known_is_refused(tmp_path: Path, dtype: type, words: str) -> None:
    path = tmp_path / "a.tif"
    Image.fromarray(np.ones((8, 8), dtype)).save(path)
    with pytest.raises(EdgeproofError, match=f"holds {words}, of which nothing tells the white"):
        read_image(path)


def test_twelve_bits_reach_white(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    Image.fromarray(np.zeros((2, 2), np.uint16)).save(path)
    packed = b"\xff\xff\xff" * 2  # two rows of two pixels of twelve bits
    data = path.read_bytes()
    with Image.open(path) as image:
        offset = image.tag_v2[273][0]
    entry = data.index(b"\x02\x01\x03\x00\x01\x00\x00\x00\x10\x00")  # bits per sample: 16
    data = data[: entry + 8] + b"\x0c" + data[entry + 9 :]
    path.write_bytes(data[:offset] + packed + data[offset + len(packed) :])
    assert read_image(path).getpixel((0, 0)) == (255, 255, 255)
