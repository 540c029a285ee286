"""The only home of input size, policy, interpolation, mean and std. Torch-free.

Training, evaluation, export and the runtime all take the same :class:`PreprocessSpec`; its geometric
part runs on Pillow and NumPy everywhere, and its normalization is exported inside the model's graph.
"""

import os
from pathlib import Path
from stat import S_ISREG
from typing import Annotated, BinaryIO, Literal, get_args

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError
from pydantic import BaseModel, ConfigDict, Field

from distill.errors import EdgeproofError, unknown_name

Pixels = npt.NDArray[np.uint8]
Unit = Annotated[float, Field(ge=0.0, le=1.0)]
Positive = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]

# What is decoded, whatever else Pillow knows: PostScript, for one, would start another program. Commonest first.
FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF", "AVIF", "PPM")  # the last is what the C programs read
SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".avif"})
# A picture of so many pixels is decoded in less than 1 GB and about two seconds, whatever its format.
MAX_PIXELS = 2**26
MAX_BYTES = 2**28
PIXELS_SETTING, BYTES_SETTING = "EDGEPROOF_MAX_PIXELS", "EDGEPROOF_MAX_BYTES"  # environment variables
_GREEDY = frozenset({"WEBP", "AVIF"})  # their decoders hold several copies of a picture
_BITS_PER_SAMPLE = 258  # a TIFF's tag
_STRIP = 256  # rows that are converted at once: a second picture of the whole size would be too much
_MAX_ASPECT = MAX_TILES = 64  # of an image to be enlarged, and the most tiles there can be
Policy = Literal["resize", "center_crop", "tiles"]
_RESAMPLING = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


class PreprocessSpec(BaseModel):
    """How an RGB image becomes the model's input.

    ``resize`` squeezes the whole image into ``size`` × ``size``; ``center_crop`` takes the middle at native
    resolution (smaller images are enlarged first), which keeps the pixel-level traces that a resize destroys;
    ``tiles`` covers the image with native crops whose scores are averaged.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    size: int = Field(default=224, ge=16, le=4096)
    policy: Policy = "resize"
    interpolation: Literal["nearest", "bilinear", "bicubic", "lanczos"] = "bilinear"
    mean: tuple[Unit, Unit, Unit] = (0.485, 0.456, 0.406)
    std: tuple[Positive, Positive, Positive] = (0.229, 0.224, 0.225)
    max_tiles: int = Field(default=9, ge=1, le=MAX_TILES)

    @property
    def smallest_decoded(self) -> int:
        """Sides in pixels that a decoder must keep: ``resize`` needs no more than twice its own size.

        A JPEG decoder gives 1/2, 1/4 or 1/8 of the picture in a fraction of the time; a factor of two that is left
        to the resize keeps its antialiasing (Pillow's ``thumbnail`` has the same gap). 0 = all pixels.
        """
        return 2 * self.size if self.policy == "resize" else 0

    def under(self, policy: Policy | None) -> "PreprocessSpec":
        """The same numbers with another policy, which may then take all :data:`MAX_TILES`; itself for None or its own.

        Raises:
            EdgeproofError: no such policy.
        """
        if policy is None or policy == self.policy:
            return self
        if policy not in get_args(Policy):
            raise unknown_name(kind="policy", given=policy, choices=get_args(Policy))
        return self.model_copy(update={"policy": policy, "max_tiles": MAX_TILES})

    def apply(self, image: Image.Image) -> Pixels:
        """Turn an RGB image into ``uint8 [N, size, size, 3]``; N is 1 except for ``tiles``."""
        if self.policy == "resize":
            return self._stack([self._resize(image, self.size, self.size)])
        image = self._at_least_size(image)
        boxes = [self._center(image)] if self.policy == "center_crop" else self._tiles(image)
        return self._stack([image.crop((x, y, x + self.size, y + self.size)) for x, y in boxes])

    def normalize(self, pixels: Pixels) -> npt.NDArray[np.float32]:
        """``uint8 [..., 3]`` → float32, as the graph does it: ``(pixels / 255 - mean) / std``."""
        scaled = pixels.astype(np.float32) / np.float32(255)
        mean, std = np.array(self.mean, dtype=np.float32), np.array(self.std, dtype=np.float32)
        normalized: npt.NDArray[np.float32] = (scaled - mean) / std
        return normalized

    def _resize(self, image: Image.Image, width: int, height: int) -> Image.Image:
        if image.size == (width, height):
            return image
        return image.resize((width, height), _RESAMPLING[self.interpolation])

    def _at_least_size(self, image: Image.Image) -> Image.Image:
        shorter = min(image.size)
        if shorter >= self.size:
            return image
        if max(image.size) > _MAX_ASPECT * shorter:  # enlarging a thread of pixels would fill the memory
            width, height = (min(side, _MAX_ASPECT * shorter) for side in image.size)
            left, top = (image.width - width) // 2, (image.height - height) // 2
            image = image.crop((left, top, left + width, top + height))
        width, height = (max(self.size, round(side * self.size / shorter)) for side in image.size)
        return self._resize(image, width, height)

    def _center(self, image: Image.Image) -> tuple[int, int]:
        return (image.width - self.size) // 2, (image.height - self.size) // 2

    def _tiles(self, image: Image.Image) -> list[tuple[int, int]]:
        columns, rows = (-(-side // self.size) for side in image.size)
        while columns * rows > self.max_tiles:
            columns, rows = (columns - 1, rows) if columns >= rows else (columns, rows - 1)
        xs = np.linspace(0, image.width - self.size, columns) if columns > 1 else [self._center(image)[0]]
        ys = np.linspace(0, image.height - self.size, rows) if rows > 1 else [self._center(image)[1]]
        return [(round(x), round(y)) for y in ys for x in xs]

    @staticmethod
    def _stack(images: list[Image.Image]) -> Pixels:
        if len(images) == 1:
            return np.array(images[0], dtype=np.uint8)[None]
        return np.stack([np.asarray(image, dtype=np.uint8) for image in images])


def read_image(path: Path | str, *, smallest: int = 0) -> Image.Image:
    """Open any photo as upright 8-bit RGB: first frame, EXIF rotation applied, transparency on white.

    Args:
        path: the file.
        smallest: a JPEG may be decoded at 1/2, 1/4 or 1/8 of its size while both sides keep as many pixels
            (see :attr:`PreprocessSpec.smallest_decoded`); 0 = at its full size.

    Raises:
        EdgeproofError: the file is missing, empty, truncated, no image, or larger than :data:`MAX_BYTES` or
            :data:`MAX_PIXELS`, unless the environment sets others.
    """
    return read_sized(path, smallest=smallest)[0]


def read_sized(path: Path | str, *, smallest: int = 0) -> tuple[Image.Image, tuple[int, int]]:
    """Like :func:`read_image`, with the width and height that the file has."""
    path = Path(path)
    try:
        status = path.stat()
    except (OSError, ValueError):  # ValueError: a NUL in the name
        status = None
    if status is None or not S_ISREG(status.st_mode):
        raise EdgeproofError(f"{path}: no such image file")
    if status.st_size == 0:
        raise EdgeproofError(f"{path}: the file is empty (0 bytes), expected an image")
    check_bytes(status.st_size, name=str(path))
    # an open file, not its name: Pillow maps a named uncompressed TIFF with the rotated size and scrambles it
    with path.open("rb") as file:
        return decode_sized(file, name=str(path), smallest=smallest)


def decode_image(file: BinaryIO, *, name: str, smallest: int = 0) -> Image.Image:
    """Like :func:`read_image`, from an open file; ``name`` stands in every message.

    Raises:
        EdgeproofError: truncated, enormous or no image.
    """
    return decode_sized(file, name=name, smallest=smallest)[0]


def decode_sized(file: BinaryIO, *, name: str, smallest: int = 0) -> tuple[Image.Image, tuple[int, int]]:
    """Like :func:`decode_image`, with the width and height that the file has."""
    try:
        with open_picture(file) as image:
            size = image.size
            _check_pixels(image)
            if smallest:
                image.draft(image.mode, (smallest, smallest))
            return to_rgb(image), size
    except EdgeproofError as error:
        raise EdgeproofError(f"{name}: {error}") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise EdgeproofError(
            f"{name}: more than {most_pixels()} pixels, refused as a decompression bomb"
        ) from None
    except UnidentifiedImageError:  # its own message names a Python object
        raise EdgeproofError(f"{name}: cannot be decoded as an image (no known format)") from None
    except MemoryError:
        raise EdgeproofError(f"{name}: too large to decode in this machine's memory") from None
    except Exception as error:  # Pillow's plugins raise whatever their format met
        raise EdgeproofError(
            f"{name}: cannot be decoded as an image ({error or type(error).__name__})"
        ) from None


def open_picture(file: BinaryIO | Path) -> Image.Image:
    """Pillow's ``Image.open`` for :data:`FORMATS` alone; reads the header."""
    return Image.open(file, formats=FORMATS)


def most_pixels() -> int:
    """The most pixels that are decoded; half as many of WebP and AVIF, whose decoders need more memory."""
    return _setting(PIXELS_SETTING, default=MAX_PIXELS)


def check_bytes(count: int, *, name: str) -> None:
    """Raise :class:`EdgeproofError` if an encoded image is longer than is read."""
    most = _setting(BYTES_SETTING, default=MAX_BYTES)
    if count > most:
        raise EdgeproofError(f"{name}: {count} bytes, at most {most} are read as an image ({BYTES_SETTING})")


def _setting(name: str, *, default: int) -> int:
    given = os.environ.get(name)
    if given is None:
        return default
    if not given.isascii() or not given.isdigit() or not 0 < len(given) < 16:
        raise EdgeproofError(f"{name}: found {given!r:.80}, expected a whole number")
    return int(given)


def _check_pixels(image: Image.Image) -> None:
    most = most_pixels() // (2 if image.format in _GREEDY else 1)
    if image.width * image.height > most:
        raise EdgeproofError(
            f"{image.width}x{image.height} pixels, at most {most} are allowed ({PIXELS_SETTING})"
        )


def to_rgb(image: Image.Image) -> Image.Image:
    """Any Pillow image → upright 8-bit RGB (see :func:`read_image`).

    Raises:
        EdgeproofError: too many pixels, or numbers of which nothing tells which one is white.
    """
    _check_pixels(image)
    bits = _bits_of(image)
    image.load()
    # only where it turns anything: it copies the picture in any case, which costs as much as decoding it
    turned = image.getexif().get(ExifTags.Base.Orientation, 1) != 1
    upright = (ImageOps.exif_transpose(image) or image) if turned else image
    if upright.mode.startswith("I;16") or upright.mode == "I":
        return _from_16_bit(upright, bits=bits)
    if upright.mode == "P" or "A" in upright.getbands() or "transparency" in upright.info:
        return _on_white(upright)
    return upright if upright.mode == "RGB" else upright.convert("RGB")


def _bits_of(image: Image.Image) -> int:
    """Bits of a grey image that has more than 8; a TIFF may use 12 of its 16."""
    if image.mode == "F" or (image.mode == "I" and image.format == "TIFF"):
        kind = "floats" if image.mode == "F" else "32-bit integers"
        raise EdgeproofError(
            f"holds {kind}, of which nothing tells the white, expected 8 or 16 bits a channel"
        )
    tags = getattr(image, "tag_v2", {}) if image.format == "TIFF" else {}
    return 12 if tags.get(_BITS_PER_SAMPLE) == (12,) else 16


def _from_16_bit(image: Image.Image, *, bits: int) -> Image.Image:
    # Pillow's own conversion clips 16-bit to 255 instead of scaling it.
    grey = Image.new("L", image.size)
    for top in range(0, image.height, _STRIP):
        strip = image.crop((0, top, image.width, min(top + _STRIP, image.height)))
        values = np.asarray(strip, dtype=np.int64).clip(0, 2**bits - 1)
        grey.paste(Image.fromarray((values * 255 // (2**bits - 1)).astype(np.uint8)), (0, top))
    return grey.convert("RGB")


def _on_white(image: Image.Image) -> Image.Image:
    opaque = Image.new("RGB", image.size)
    for top in range(0, image.height, _STRIP):
        rgba = image.crop((0, top, image.width, min(top + _STRIP, image.height))).convert("RGBA")
        white = Image.new("RGBA", rgba.size, "white")
        opaque.paste(Image.alpha_composite(white, rgba).convert("RGB"), (0, top))
    return opaque
