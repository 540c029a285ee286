"""Photos that are odd and whole: what lies behind the decoder is attacked by what the decoder lets pass.

Their pixels are noise, flat or extreme, their sides from one pixel to thousands, their modes and bit depths all that Pillow
writes, and what they say of themselves (EXIF, ICC profiles, XMP, comments, resolutions) is damaged or contradicts itself.
"""

import io
import struct
import warnings
from collections.abc import Iterator
from random import Random
from typing import Any

import numpy as np
from PIL import Image, ImageCms, PngImagePlugin

from perf.attack.case import Case
from perf.attack.images import photos_case
from perf.attack.mutate import damage_bytes

TOGETHER = 50
_MODES: dict[str, tuple[str, ...]] = {
    "JPEG": ("RGB", "L", "CMYK", "YCbCr"), "PNG": ("RGB", "RGBA", "L", "LA", "P", "1", "I;16"),
    "BMP": ("RGB", "L", "P", "1", "RGBA"), "GIF": ("RGB", "P", "L", "1"), "WEBP": ("RGB", "RGBA"), "AVIF": ("RGB", "RGBA"),
    "PPM": ("RGB", "L", "1", "I;16"), "TIFF": ("RGB", "RGBA", "L", "LA", "P", "1", "CMYK", "I;16", "LAB", "YCbCr"),
}  # fmt: skip
_SUFFIX = {"JPEG": ".jpg", "TIFF": ".tif", "PPM": ".png"}
_SIDES = (1, 1, 2, 3, 5, 7, 8, 15, 16, 17, 31, 33, 64, 65, 127, 300)
_LONG = 3000
_UNWRITABLE = (
    OSError, ValueError, TypeError, KeyError, AttributeError, OverflowError, SyntaxError, SystemError, RuntimeError, struct.error
)  # fmt: skip
_SEVERAL = ("GIF", "WEBP", "TIFF", "PNG")
_TAGS = (
    0x010E,
    0x0112,
    0x011A,
    0x0128,
    0x0132,
    0x8298,
    0x8769,
    0x8825,
    0x9003,
    0x9286,
    0xA002,
    0xA003,
    0x927C,
)


def cases(rng: Random) -> Iterator[Case]:
    """Folders of odd photos, without an end."""
    while True:
        photos = [photo(rng) for _ in range(TOGETHER)]
        yield photos_case("odd images", photos, verb=rng.choice(("predict", "predict", "tiles", "shard")))


def photo(rng: Random) -> tuple[str, bytes]:
    """Suffix and content of one that Pillow could write."""
    while True:
        kind = rng.choice(tuple(_MODES))
        picture = _picture(rng, mode=rng.choice(_MODES[kind]))
        options = {**_about(rng), **_options(rng, kind, picture.mode)}
        if kind in _SEVERAL and rng.random() < 0.2:
            more = [_picture(rng, mode=picture.mode, size=picture.size) for _ in range(rng.randint(1, 3))]
            options |= {"save_all": True, "append_images": more}
        buffer = io.BytesIO()
        try:
            with warnings.catch_warnings(action="ignore"):
                picture.save(buffer, kind, **options)
        except _UNWRITABLE:
            continue  # not every combination is there
        return _SUFFIX.get(kind, f".{kind.lower()}"), buffer.getvalue()


def _picture(rng: Random, *, mode: str, size: tuple[int, int] | None = None) -> Image.Image:
    width, height = size or (rng.choice(_SIDES), rng.choice(_SIDES))
    if size is None and rng.random() < 0.05:
        width, height = rng.choice(((_LONG, height), (width, _LONG)))
    dice = np.random.default_rng(rng.getrandbits(32))
    kind = rng.randrange(4)
    if kind == 0:
        pixels = dice.integers(0, 256, (height, width, 3), dtype=np.uint8)
    elif kind == 1:
        pixels = np.full((height, width, 3), rng.choice((0, 1, 127, 254, 255)), dtype=np.uint8)
    elif kind == 2:
        pixels = dice.choice(np.array([0, 255], np.uint8), (height, width, 3))
    else:
        pixels = np.linspace(0, 255, height * width * 3).reshape(height, width, 3).astype(np.uint8)
    if mode == "I;16":
        return Image.fromarray(pixels[:, :, 0].astype(np.uint16) * 257)
    found = Image.fromarray(pixels)
    if mode in ("RGBA", "LA"):
        found.putalpha(Image.fromarray(dice.integers(0, 256, (height, width), dtype=np.uint8)))
    if mode == "LAB":
        return Image.merge("LAB", found.split())
    return found.convert(mode)


def _about(rng: Random) -> dict[str, Any]:
    """What a photo says of itself."""
    found: dict[str, Any] = {}
    if rng.random() < 0.5:
        found["exif"] = _exif(rng)
    if rng.random() < 0.3:
        profile = ImageCms.ImageCmsProfile(
            ImageCms.createProfile(rng.choice(("sRGB", "XYZ", "LAB")))
        ).tobytes()
        found["icc_profile"] = damage_bytes(profile, rng) if rng.random() < 0.7 else profile
    if rng.random() < 0.2:
        found["dpi"] = rng.choice(((0, 0), (1e-3, 1e6), (72, 1)))
    if rng.random() < 0.2:
        found["comment"] = rng.choice((b"\x1b[31m", b"x" * 60_000, b"\xff\xfe\n", b"", b"=cmd()"))
    if rng.random() < 0.2:
        found["xmp"] = rng.choice(
            (b"<x" * 1000, b"<?xml version='1.0'?><!DOCTYPE a [<!ENTITY a 'aa'>]><a>&a;</a>", b"\0" * 99)
        )
    return found


def _exif(rng: Random) -> bytes:
    exif = Image.Exif()
    for tag in rng.sample(_TAGS, k=rng.randint(1, 4)):
        exif[tag] = rng.choice((0, 1, 3, 6, 8, 9, 65535, "text\n\x1b[31m", "x" * 5000, b"\xff" * 40))
    try:
        found = bytes(exif.tobytes())
    except (
        ValueError,
        TypeError,
        KeyError,
        AttributeError,
        struct.error,
    ):  # a value that its tag cannot have
        return b"Exif\0\0MM\0*" + rng.randbytes(40)
    return damage_bytes(found, rng, most=2) if rng.random() < 0.5 else found


def _options(rng: Random, kind: str, mode: str) -> dict[str, Any]:
    """How it is written."""
    if kind == "JPEG":
        return {
            "quality": rng.choice((1, 5, 50, 95, 100)), "subsampling": rng.choice((0, 1, 2)), "progressive": rng.random() < 0.3,
            "restart_marker_blocks": rng.choice((0, 1, 7)), "optimize": rng.random() < 0.3,
        }  # fmt: skip
    if kind == "PNG":
        text = PngImagePlugin.PngInfo()
        text.add_text("parameters", "x" * rng.choice((1, 100, 50_000)), zip=rng.random() < 0.5)
        text.add_itxt("XML:com.adobe.xmp", "<x" * rng.choice((1, 500)))
        more = {"transparency": rng.choice((0, 255))} if rng.random() < 0.3 else {}
        return {"compress_level": rng.choice((0, 1, 9)), "pnginfo": text, **more}
    if kind == "TIFF":
        names = ["raw", "tiff_lzw", "tiff_adobe_deflate", "packbits"]
        names += ["group4"] * (mode == "1") + ["jpeg"] * (mode in ("RGB", "L", "CMYK"))
        return {"compression": rng.choice(names), "big_tiff": rng.random() < 0.2}
    if kind in ("WEBP", "AVIF"):
        return {"quality": rng.choice((0, 50, 100)), "lossless": rng.random() < 0.3, "speed": 10, "method": 0}
    if kind == "GIF":
        return {
            "interlace": rng.random() < 0.5,
            "disposal": rng.randrange(4),
            "duration": rng.choice((0, 10, 65535)),
            "loop": 0,
        }
    return {}
