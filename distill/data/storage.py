"""Where an image's bytes lie: in a file of its own, or inside a tar, which is read in place. Torch-free."""

import io
from pathlib import Path
from stat import S_ISREG
from typing import BinaryIO

from PIL import Image

from distill.data.samples import Sample
from distill.errors import EdgeproofError
from distill.preprocess import check_bytes, decode_sized, read_sized


def open_image(root: Path, sample: Sample, *, smallest: int = 0) -> Image.Image:
    """The sample's picture as upright 8-bit RGB (see :func:`distill.preprocess.read_image`, also for ``smallest``).

    Raises:
        EdgeproofError: missing, empty, truncated, enormous or no image.
    """
    return open_sized(root, sample, smallest=smallest)[0]


def open_sized(root: Path, sample: Sample, *, smallest: int = 0) -> tuple[Image.Image, tuple[int, int]]:
    """Like :func:`open_image`, with the width and height that the file has."""
    if sample.span is None:
        return read_sized(root / sample.path, smallest=smallest)
    name = str(root / sample.path)
    if sample.span[1] == 0:
        raise EdgeproofError(f"{name}: the file is empty (0 bytes), expected an image")
    return decode_sized(io.BytesIO(read_bytes(root, sample)), name=name, smallest=smallest)


def open_binary(root: Path, sample: Sample) -> BinaryIO:
    """The sample's encoded bytes as a file."""
    return (
        _regular(root / sample.path).open("rb")
        if sample.span is None
        else io.BytesIO(read_bytes(root, sample))
    )


def read_bytes(root: Path, sample: Sample) -> bytes:
    """The sample's encoded bytes.

    Raises:
        EdgeproofError: no regular file, more bytes than are read as an image, or the tar ends before the image does.
        OSError: the file cannot be opened.
    """
    if sample.span is None:
        return _regular(root / sample.path).read_bytes()
    offset, length = sample.span
    check_bytes(length, name=str(root / sample.path))
    with (root / tar_of(sample)).open("rb", buffering=0) as tar:
        tar.seek(offset)
        data = tar.read(length)
    if len(data) < length:
        raise EdgeproofError(f"{root / sample.path}: the tar is cut short inside this image")
    return data


def check_visible(root: Path) -> None:
    """Where a machine does not see the data, no image is bad.

    Raises:
        EdgeproofError: no such folder, or an empty one, as one is on which nothing is mounted.
    """
    if not root.is_dir() or not any(root.iterdir()):
        raise EdgeproofError(
            f"{root}: no data there, expected the same folder under this path on every machine"
        )


def _regular(path: Path) -> Path:
    """The path of a file with an end: a pipe or a device that a manifest names would be read for ever."""
    status = path.stat()
    if not S_ISREG(status.st_mode):
        raise EdgeproofError(f"{path}: no such image file")
    check_bytes(status.st_size, name=str(path))
    return path


def tar_of(sample: Sample) -> str:
    """The path of the tar that holds the sample, "" for a file of its own."""
    if sample.span is None:
        return ""
    head, dot_tar, _ = sample.path.partition(".tar/")
    return head + dot_tar.removesuffix("/")
