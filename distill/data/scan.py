"""One pass over a data set's files: each is read once, decoded, hashed and described; bad ones are left out. Torch-free."""

import hashlib
import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt
from PIL import Image

from distill.data.audit.jpeg import jpeg_quality
from distill.data.samples import Dataset, Sample, Skipped
from distill.data.storage import check_visible, read_bytes
from distill.engine import Engine, Local
from distill.errors import EdgeproofError, cause
from distill.files import atomic_path
from distill.preprocess import decode_image, open_picture

Progress = Callable[[int, int], None]

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF")
_DTYPES = {
    "format": np.int8, "quality": np.float32, "width": np.int32, "height": np.int32, "bytes": np.int64,
    "content": np.uint64, "phash": np.uint64, "dhash": np.uint64, "thumbnail": np.uint8,
}  # fmt: skip
_WIDTHS = {"content": 2, "thumbnail": 4 * 4 * 3}  # columns of more than one value a row
_CHUNK = 128  # files a job: enough that sending them costs nothing, few enough that progress moves
_MOST_CHUNKS = 10_000  # an engine of many machines keeps account of each
_PROCESSES_FROM = 2000  # files below which starting processes takes longer than reading


@dataclass(frozen=True, eq=False)
class Scan:
    """What the files say, column by column; row i belongs to ``dataset.samples[i]``.

    Attributes:
        format: int8, index in :data:`FORMATS`; -1 is any other.
        quality: float32, IJG estimate (see :func:`distill.data.audit.jpeg.jpeg_quality`); NaN if it is no JPEG.
        width, height: int32, as stored, before any EXIF rotation.
        bytes: int64, length of the file.
        content: uint64 ``[N, 2]``, the first 128 bits of the file's SHA-256.
        phash, dhash: uint64, perceptual hashes of the upright picture (imagehash, 8 x 8 bits).
        thumbnail: uint8 ``[N, 48]``, the upright picture as 4 x 4 pixels of RGB, to confirm what hashes suspect.
    """

    format: npt.NDArray[np.int8]
    quality: npt.NDArray[np.float32]
    width: npt.NDArray[np.int32]
    height: npt.NDArray[np.int32]
    bytes: npt.NDArray[np.int64]
    content: npt.NDArray[np.uint64]
    phash: npt.NDArray[np.uint64]
    dhash: npt.NDArray[np.uint64]
    thumbnail: npt.NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.format)

    def take(self, indices: npt.ArrayLike) -> "Scan":
        """The rows ``indices`` (numbers, or a mask), in that order."""
        rows = np.asarray(indices)
        rows = rows if rows.dtype == bool else rows.astype(np.intp)
        return Scan(**{name: column[rows] for name, column in self.columns().items()})

    def columns(self) -> dict[str, npt.NDArray[Any]]:
        """Name → column."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def scan(
    dataset: Dataset,
    *,
    max_bad_share: float,
    workers: int = 1,
    engine: Engine | None = None,
    progress: Progress | None = None,
) -> tuple[Dataset, Scan]:
    """Read every file once; the data set without its bad files, and what the others say.

    The outcome depends neither on ``workers``, the number of processes, of which small sets need one, nor on the
    ``engine`` that may read in their place.

    Raises:
        EdgeproofError: more than ``max_bad_share`` of the files opened here are bad (those that the layout left
            out do not count), a process was killed, or a machine of ``engine`` does not see the data.
    """
    total, done = len(dataset.samples), 0
    found, bad = _empty(total), {}
    engine = engine or Local(workers if total >= _PROCESSES_FROM else 1)
    with closing(
        engine.map(partial(_read_chunk, dataset.root.absolute()), _chunks(dataset.samples))
    ) as parts:
        for start, part, reasons in parts:
            done += len(part)
            for name, column in found.columns().items():
                column[start : start + len(part)] = getattr(part, name)
            bad.update({start + row: reason for row, reason in reasons.items()})
            if progress:
                progress(done, total)
    bad = dict(sorted(bad.items()))
    left_out = tuple(Skipped(path=dataset.samples[row].path, reason=reason) for row, reason in bad.items())
    _check_share(dataset.root, left_out, total=total, max_bad_share=max_bad_share)
    if bad:
        good = np.setdiff1d(np.arange(total), list(bad))
        found = found.take(good)
        dataset = replace(
            dataset,
            samples=tuple(dataset.samples[row] for row in good),
            skipped=(*dataset.skipped, *left_out),
        )
    return dataset, found


def save_scan(found: Scan, path: Path) -> None:
    """Write the columns as a plain ``.npz`` without pickles."""
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez(file, allow_pickle=False, **found.columns())


def load_scan(path: Path) -> Scan:
    """What :func:`save_scan` wrote.

    Raises:
        EdgeproofError: no such file, or not a whole one.
    """
    if not path.is_file():
        raise EdgeproofError(f"{path}: no such file, expected what the data stage found in the images")
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as found:
            return Scan(**{name: found[name].astype(dtype, copy=False) for name, dtype in _DTYPES.items()})
    except (BadZipFile, EOFError, KeyError, TypeError, ValueError) as error:
        raise EdgeproofError(
            f"{path}: cannot be read ({error}), expected the columns {', '.join(_DTYPES)}"
        ) from None


def _empty(count: int) -> Scan:
    shapes = {name: (count, _WIDTHS[name]) if name in _WIDTHS else (count,) for name in _DTYPES}
    return Scan(**{name: np.zeros(shapes[name], dtype) for name, dtype in _DTYPES.items()})


def _check_share(root: Path, bad: Sequence[Skipped], *, total: int, max_bad_share: float) -> None:
    if len(bad) > max_bad_share * total:
        examples = "; ".join(f"{item.path}: {item.reason}" for item in bad[:3])
        raise EdgeproofError(
            f"{root}: {len(bad)} of {total} files are bad, more than data.max_bad_share = {max_bad_share:g} "
            f"allows; the first: {examples}"
        )


_Part = tuple[int, Scan, dict[int, str]]  # first row of a chunk, its rows, and the reason of each bad one


def _read_chunk(root: Path, chunk: tuple[int, Sequence[Sample]]) -> _Part:
    start, samples = chunk
    part, reasons = _empty(len(samples)), {}
    check_visible(root)
    for row, sample in enumerate(samples):
        try:
            described = _describe(root, sample)
        except EdgeproofError as error:
            reasons[row] = str(error).removeprefix(f"{root / sample.path}: ")
            continue
        for name, value in described.items():
            getattr(part, name)[row] = value
    return start, part, reasons


def _describe(root: Path, sample: Sample) -> dict[str, Any]:
    """One row.

    Raises:
        EdgeproofError: missing, empty, truncated, enormous or no image.
    """
    data = _read(root, sample)
    picture = decode_image(io.BytesIO(data), name=str(root / sample.path))
    with open_picture(io.BytesIO(data)) as header:
        kind, quality, (width, height) = header.format, jpeg_quality(header), header.size
    phash, dhash = _perceptual_hashes(picture)
    return {
        "format": FORMATS.index(kind) if kind in FORMATS else -1,
        "quality": np.nan if quality is None else quality,
        "width": width,
        "height": height,
        "bytes": len(data),
        "content": np.frombuffer(hashlib.sha256(data).digest()[:16], dtype=">u8"),
        "phash": phash,
        "dhash": dhash,
        "thumbnail": np.asarray(picture.resize((4, 4), Image.Resampling.BOX)).ravel(),
    }


def _read(root: Path, sample: Sample) -> bytes:
    name = str(root / sample.path)
    try:
        data = read_bytes(root, sample)
    except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: a NUL in the name
        raise EdgeproofError(f"{name}: no such image file") from None
    except OSError as error:
        raise EdgeproofError(f"{name}: cannot be read ({cause(error)})") from None
    if not data:
        raise EdgeproofError(f"{name}: the file is empty (0 bytes), expected an image")
    return data


def _perceptual_hashes(picture: Image.Image) -> tuple[int, int]:
    import imagehash

    grey = picture.convert("L")
    phash, dhash = (
        int.from_bytes(np.packbits(hashed.hash).tobytes(), "big")
        for hashed in (imagehash.phash(grey, hash_size=8), imagehash.dhash(grey, hash_size=8))
    )
    return phash, dhash


def _chunks(samples: Sequence[Sample]) -> Iterator[tuple[int, Sequence[Sample]]]:
    size = max(_CHUNK, len(samples) // _MOST_CHUNKS)
    for start in range(0, len(samples), size):
        yield start, samples[start : start + size]
