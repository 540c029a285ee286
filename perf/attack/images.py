"""Damaged photos: every format that is decoded, in many forms, a folder of them for each command."""

import io
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from PIL import Image

from perf.attack.case import Case
from perf.attack.mutate import damage_bytes

TOGETHER = 50  # photos of a command
_MODES = {
    "JPEG": ("RGB", "L", "CMYK"), "PNG": ("RGB", "RGBA", "L", "LA", "P", "1", "I;16"), "BMP": ("RGB", "L", "P", "1"),
    "GIF": ("RGB", "P", "L"), "WEBP": ("RGB", "RGBA"), "AVIF": ("RGB", "RGBA"), "PPM": ("RGB", "L", "1"),
    "TIFF": ("RGB", "RGBA", "L", "P", "1", "CMYK", "I;16", "F"),
}  # fmt: skip
_OPTIONS: dict[str, tuple[dict[str, Any], ...]] = {
    "JPEG": ({}, {"progressive": True}, {"quality": 5, "subsampling": 2}, {"restart_marker_blocks": 2}),
    "PNG": ({}, {"compress_level": 0}, {"transparency": 0}),
    "TIFF": tuple({"compression": name} for name in ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg")),
    "WEBP": ({}, {"lossless": True}),
}  # fmt: skip
_TWICE = {"GIF", "WEBP", "TIFF", "PNG"}  # may hold several frames
_SUFFIX = {"JPEG": ".jpg", "TIFF": ".tif", "PPM": ".ppm"}


@cache
def originals() -> tuple[tuple[str, bytes], ...]:
    """Suffix and content of whole photos."""
    found = []
    for kind, modes in _MODES.items():
        for mode in modes:
            for options in _forms(kind, mode):
                if content := _encoded(kind, mode, options):
                    found.append((_SUFFIX.get(kind, f".{kind.lower()}"), content))
    return tuple(found)


def _forms(kind: str, mode: str) -> Iterator[dict[str, Any]]:
    """How a picture is written: compressed in several ways, with EXIF, as several frames."""
    more: list[dict[str, Any]] = [{}, _exif()]
    if kind in _TWICE:
        more.append({"save_all": True, "append_images": [_picture(mode)]})
    for options in _OPTIONS.get(kind, ({},)):
        if options.get("compression") == "jpeg" and mode not in ("RGB", "L", "CMYK"):
            continue  # of which libtiff itself has something to say
        for others in more:
            yield {**options, **others}


def _exif() -> dict[str, bytes]:
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "turned"
    return {"exif": exif.tobytes()}


def _picture(mode: str) -> Image.Image:
    rng = np.random.default_rng(3)
    pixels = rng.integers(0, 256, (9, 12, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
    if mode == "I;16":
        return Image.fromarray(pixels[:, :, 0].astype(np.uint16) * 200)
    return Image.fromarray(pixels).convert(mode)


def _encoded(kind: str, mode: str, options: dict[str, object]) -> bytes:
    buffer = io.BytesIO()
    try:
        _picture(mode).save(buffer, kind, **options)
    except (OSError, ValueError, TypeError, KeyError):  # not every combination is there
        return b""
    return buffer.getvalue()


def cases(rng: Random) -> Iterator[Case]:
    """Folders of damaged photos, without an end."""
    whole = originals()
    while True:
        photos = []
        for _ in range(TOGETHER):
            suffix, content = rng.choice(whole)
            damaged = damage_bytes(
                content, rng, most=rng.choice((1, 2, 8))
            )  # few places: most are decoded to the end
            if rng.random() < 0.1:  # the name promises another format, or two files are one
                damaged += rng.choice(whole)[1]
            photos.append((".png" if suffix == ".ppm" else suffix, damaged))
        yield photos_case("images", photos, verb=rng.choice(("predict", "predict", "tiles", "shard")))


def photos_case(area: str, photos: Sequence[tuple[str, bytes]], *, verb: str) -> Case:
    """A command, ``predict``, the same by ``tiles``, or ``shard``, on a folder of photos: suffix and content of each."""

    def write(folder: Path) -> Sequence[str]:
        for number, (suffix, content) in enumerate(photos):
            place = folder / "photos" / ("real", "fake")[number % 2]
            place.mkdir(parents=True, exist_ok=True)
            (place / f"{number}{suffix}").write_bytes(content)
        if verb == "shard":
            return ["data", "shard", str(folder / "photos"), str(folder / "shards")]
        options = ["--policy", "tiles"] if verb == "tiles" else ["--provenance"]
        runtime = ("--runtime", "onnxruntime", "--threads", "1")
        return [
            "predict",
            "simulated-64",
            str(folder / "photos"),
            "--json",
            "--csv",
            str(folder / "a.csv"),
            *runtime,
            *options,
        ]

    def alone() -> Sequence[Case]:
        return [photos_case(area, [photo], verb=verb) for photo in photos] if len(photos) > 1 else ()

    answers = "" if verb == "shard" else "a.csv"
    return Case(area, len(photos), write, seconds=max(5.0, 0.5 * len(photos)), alone=alone, answers=answers)
