"""The images in what somebody dropped: files, and zips of files. Torch-free."""

import io
import zipfile
import zlib
from collections.abc import Iterator

from distill.errors import EdgeproofError
from distill.plain import plain

MOST = 500  # images of a zip
MOST_BYTES = 64 * 2**20  # of one of them, unpacked
_PART = 2**20
_PACKED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # of others a part may unpack to any size
_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".avif")


def pictures_in(name: str, content: bytes) -> Iterator[tuple[str, bytes]]:
    """Name and bytes of every image.

    Raises:
        EdgeproofError: a zip that is damaged, encrypted, too large, or without images.
    """
    if not name.lower().endswith(".zip"):
        yield name, content
        return
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            found = [item for item in archive.infolist() if _is_picture(item.filename)]
            _check(name, found)
            for item in found:
                yield plain(item.filename), _unpacked(archive, item)
    except (
        zipfile.BadZipFile,
        zlib.error,
        RuntimeError,
        NotImplementedError,
        EOFError,
        OSError,
        ValueError,
    ) as error:
        raise EdgeproofError(f"{plain(name)}: cannot be read as a zip ({error})") from None


def _unpacked(archive: zipfile.ZipFile, item: zipfile.ZipInfo) -> bytes:
    """No more of it than the list says, which may lie: a part at a time, for the whole would be unpacked first and cut then."""
    found = bytearray()
    with archive.open(item) as file:
        while part := file.read(_PART):
            found += part
    return bytes(found)


def _is_picture(name: str) -> bool:
    hidden = any(part.startswith((".", "__MACOSX")) for part in name.split("/"))
    return name.lower().endswith(_SUFFIXES) and not hidden


def _check(name: str, found: list[zipfile.ZipInfo]) -> None:
    if not found:
        raise EdgeproofError(f"{plain(name)}: holds no image, expected {', '.join(_SUFFIXES)}")
    if len(found) > MOST:
        raise EdgeproofError(f"{plain(name)}: holds {len(found):,} images, expected at most {MOST}")
    for item in found:
        if item.file_size > MOST_BYTES:
            raise EdgeproofError(
                f"{plain(item.filename)}: takes {item.file_size:,} bytes unpacked, expected at most {MOST_BYTES:,}"
            )
        if item.compress_type not in _PACKED:
            raise EdgeproofError(
                f"{plain(item.filename)}: is packed in another way than zips of images are, expected deflate"
            )
