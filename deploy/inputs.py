"""An image in any form that a program may hold it in → upright RGB. Torch-free."""

from io import BytesIO, TextIOBase
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
import numpy.typing as npt
from PIL import Image

from distill.errors import EdgeproofError
from distill.preprocess import check_bytes, decode_sized, read_sized, to_rgb

# What a still image comes as: the name of a file, its content, a file open for reading bytes, or pixels.
ImageLike = (
    str | Path | bytes | bytearray | memoryview | BinaryIO | Image.Image | npt.NDArray[np.uint8 | np.uint16]
)
ENCODED = (bytes, bytearray, memoryview)
_FORMS = "a path, bytes, a file open for reading bytes, a Pillow image or an array"
_ARRAYS = "uint8 or uint16 [H, W], [H, W, 1], [H, W, 3] (RGB) or [H, W, 4] (RGBA)"


def as_rgb(image: ImageLike, *, smallest: int = 0, name: str = "image") -> Image.Image:
    """See :func:`as_sized`; the image alone."""
    return as_sized(image, smallest=smallest, name=name)[0]


def as_sized(
    image: ImageLike, *, smallest: int = 0, name: str = "image"
) -> tuple[Image.Image, tuple[int, int]]:
    """An image as upright 8-bit RGB, and its width and height before a JPEG decoder made it smaller.

    Args:
        image: what holds it. Grey becomes RGB, 16 bits become 8 by their upper half, transparency is put on white.
            Floats are refused, for nothing tells whether they reach to 1 or to 255.
        smallest: see :func:`distill.preprocess.read_image`.
        name: of anything but a path, in messages.

    Raises:
        EdgeproofError: a file that cannot be read as an image, or something else than the forms above.
    """
    if isinstance(image, np.ndarray):
        image = _from_array(image, name=name)
        if image.mode == "RGB":  # as it is: nothing to turn, and nothing transparent
            return image, image.size
    if isinstance(image, (str, Path)):
        return read_sized(image, smallest=smallest)
    if isinstance(image, Image.Image):
        return to_rgb(image), image.size
    return decode_sized(_open(image, name=name), name=name, smallest=smallest)


def _open(image: object, *, name: str) -> BinaryIO:
    if isinstance(image, ENCODED):
        length = memoryview(image).nbytes
        if not length:
            raise EdgeproofError(f"{name}: 0 bytes, expected an encoded image")
        check_bytes(length, name=name)
        return BytesIO(image)
    if isinstance(image, TextIOBase):
        raise EdgeproofError(f"{name}: the file gives str, expected bytes; open it with mode 'rb'")
    if not hasattr(image, "read"):
        raise EdgeproofError(f"{name}: found {type(image).__name__}, expected {_FORMS}")
    return cast(BinaryIO, image)  # Pillow starts at its beginning, or reads it whole where it cannot go back


def _from_array(array: npt.NDArray[np.uint8 | np.uint16], *, name: str) -> Image.Image:
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    fits = array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (3, 4))
    if not fits or array.dtype.kind != "u" or array.itemsize > 2 or 0 in array.shape:
        raise _unfit(array, name=name)
    if array.dtype == np.uint16:
        array = (array // 257).astype(np.uint8)
    return Image.fromarray(np.ascontiguousarray(array))


def _unfit(array: npt.NDArray[np.uint8 | np.uint16], *, name: str) -> EdgeproofError:
    hint = ""
    if np.issubdtype(array.dtype, np.floating):
        hint = "; of floats from 0 to 1: (image * 255).round().astype('uint8')"
    elif array.ndim == 3 and array.shape[0] in (1, 3, 4):
        hint = "; the channels come last"
    return EdgeproofError(
        f"{name}: found an array {array.dtype} {list(array.shape)}, expected {_ARRAYS}{hint}"
    )
