"""The last stage that both images of a pair share: crop, resize, JPEG, and the same number of bytes.

Every draw is made once per scene, so nothing in it can tell the classes apart. What JPEG itself would tell, the
size of the file, is levelled by a comment segment, which every image viewer skips.
"""

import io
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from distill.data.samples import Box
from distill.data.simulate.faces import Face, Point
from distill.data.simulate.textures import Plane
from distill.errors import EdgeproofError

QUALITIES = range(65, 101)
_SUBSAMPLINGS = (0, 2)  # 4:4:4 and 4:2:0
_COMMENT_HEADER, _COMMENT_LIMIT = 4, 65533  # bytes: marker and length; what a length can say beyond itself
_RESAMPLING = (Image.Resampling.BILINEAR, Image.Resampling.BICUBIC, Image.Resampling.LANCZOS)


@dataclass(frozen=True)
class Finish:
    """One draw of the last stage.

    Attributes:
        crop: x1, y1, x2, y2 relative to the picture.
        size: side of the result in pixels.
    """

    crop: Box
    size: int
    resampling: Image.Resampling
    quality: int
    subsampling: int

    def resize(self, picture: Plane) -> Image.Image:
        """Planar ``[3, H, W]`` or mask ``[H, W]`` in 0..1 to a cropped, resized 8-bit image."""
        pixels = np.rint(picture * np.float32(255)).astype(np.uint8)
        image = Image.fromarray(
            np.ascontiguousarray(np.moveaxis(pixels, 0, -1)) if pixels.ndim == 3 else pixels
        )
        x1, y1, x2, y2 = self.crop
        box = (x1 * image.width, y1 * image.height, x2 * image.width, y2 * image.height)
        return image.resize((self.size, self.size), self.resampling, box=box)

    def encode(self, image: Image.Image) -> bytes:
        """JPEG without any metadata."""
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=self.quality, subsampling=self.subsampling)
        return buffer.getvalue()

    def locate(self, point: Point) -> Point:
        """A point of the uncropped picture in the result, both relative; clipped to 0..1."""
        x1, y1, x2, y2 = self.crop
        x, y = (point[0] - x1) / (x2 - x1), (point[1] - y1) / (y2 - y1)
        return float(np.clip(x, 0, 1)), float(np.clip(y, 0, 1))

    def locate_box(self, face: Face) -> Box:
        """The face's box in the result, clipped to it."""
        return (*self.locate(face.box[:2]), *self.locate(face.box[2:]))


def draw_finish(rng: np.random.Generator, *, size: int) -> Finish:
    """Draw crop (80 to 100 % of each side), resampling, JPEG quality and chroma subsampling."""
    side = rng.uniform(0.8, 1.0)
    left, top = rng.uniform(0, 1 - side, 2)
    return Finish(
        crop=(float(left), float(top), float(left + side), float(top + side)),
        size=size,
        resampling=_RESAMPLING[rng.integers(len(_RESAMPLING))],
        quality=int(rng.choice(QUALITIES)),
        subsampling=int(rng.choice(_SUBSAMPLINGS)),
    )


def level_sizes(first: bytes, second: bytes) -> tuple[bytes, bytes]:
    """Pad two JPEG files to one number of bytes; both get a comment segment, so its presence tells nothing."""
    target = max(len(first), len(second)) + _COMMENT_HEADER
    return pad_jpeg(first, target), pad_jpeg(second, target)


def pad_jpeg(data: bytes, target: int) -> bytes:
    """Insert comment segments after the JFIF header until the file has ``target`` bytes.

    Raises:
        EdgeproofError: ``data`` is no JPEG, or ``target`` leaves no room for a segment.
    """
    missing = target - len(data)
    if data[:2] != b"\xff\xd8" or missing < _COMMENT_HEADER:
        raise EdgeproofError(
            f"cannot pad {len(data)} bytes to {target}, expected a JPEG at least 4 bytes shorter"
        )
    segments = b""
    while missing:
        length = min(missing, _COMMENT_HEADER + _COMMENT_LIMIT)
        if 0 < missing - length < _COMMENT_HEADER:
            length -= _COMMENT_HEADER  # leave room for the next segment's header
        segments += b"\xff\xfe" + (length - 2).to_bytes(2, "big") + b" " * (length - _COMMENT_HEADER)
        missing -= length
    header = 2 + (2 + int.from_bytes(data[4:6], "big") if data[2:4] == b"\xff\xe0" else 0)
    return data[:header] + segments + data[header:]


def encode_mask(image: Image.Image) -> bytes:
    """8-bit grey PNG."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def as_mask(pixels: npt.NDArray[np.float32]) -> Plane:
    """Where a blend altered anything at all: weights to 0 or 1."""
    return (pixels > 1 / 255).astype(np.float32)
