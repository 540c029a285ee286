"""The one pass over the sampled images: each is read once, and only sums are kept."""

import io
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from distill.data.explore.fingerprints import Fingerprint, half_of, noise_residual
from distill.data.explore.sample import Cell, Source, sample_cells
from distill.data.explore.spectra import MeanSpectrum, Plane, log_spectrum
from distill.data.explore.statistics import Floats, channel_shares
from distill.data.pixels import Progress
from distill.data.samples import GENERATED, REAL, Dataset
from distill.data.storage import open_image

if TYPE_CHECKING:
    from distill.data.scan import Scan

LIMIT = 400
"""Images read per source and split."""

CROPS, CROP_SHARE = (256, 128, 64, 32), 0.8
"""Sides of the native crop that is compared: the largest that this share of both classes' images reach."""

_EXAMPLES, _EXAMPLES_PER_CELL, _EXAMPLE_SIDE = 160, 8, 128
_GRID = 16  # crops start at multiples of it, so that the blocks of JPEG and of generators stay in step
_CHUNK = 64
_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Example:
    """The middle of one image at native pixels, as PNG."""

    path: str
    png: bytes


@dataclass
class CellView:
    """What was seen of one cell."""

    cell: Cell
    shares: Floats = field(default_factory=lambda: np.zeros((3, 256)))
    examples: list[Example] = field(default_factory=list)


@dataclass
class SourceView:
    """What was seen of one source, all splits together; ``too_small`` counts images smaller than the crop."""

    spectrum: MeanSpectrum
    fingerprint: Fingerprint
    too_small: int = 0


@dataclass(frozen=True)
class Observations:
    """Everything that the page shows of the pixels; ``crop`` is 0 where most images are too small for any."""

    crop: int
    example_side: int
    cells: list[CellView]
    sources: dict[Source, SourceView]


@dataclass(frozen=True, slots=True)
class _Seen:
    shares: Floats
    example: Example | None
    spectrum: Plane | None
    residual: Plane | None


def crop_side(dataset: Dataset, scan: "Scan") -> int:
    """The largest of :data:`CROPS` that enough of the real and of the generated images reach, 0 if none."""
    labels = np.array([sample.label for sample in dataset.samples])
    shorter = np.minimum(scan.width, scan.height)
    classes = [shorter[labels == label] for label in (REAL, GENERATED) if np.any(labels == label)] or [
        shorter
    ]
    return next((side for side in CROPS if all(np.mean(c >= side) >= CROP_SHARE for c in classes)), 0)


def observe(
    dataset: Dataset, scan: "Scan", *, threads: int, limit: int = LIMIT, progress: Progress | None = None
) -> Observations:
    """Sample images, read each once and add it up; the result depends on the data alone.

    Raises:
        EdgeproofError: an image has become unreadable since the scan.
    """
    crop = crop_side(dataset, scan)
    cells = sample_cells(dataset.samples, limit=limit)
    sources = {cell.source: SourceView(MeanSpectrum(crop), Fingerprint(crop)) for cell in cells}
    examples = max(2, min(_EXAMPLES_PER_CELL, _EXAMPLES // max(len(cells), 1)))
    found = Observations(
        crop=crop,
        example_side=min(crop or min(CROPS), _EXAMPLE_SIDE),
        cells=[CellView(cell) for cell in cells],
        sources=sources,
    )
    total, done = sum(len(cell.sampled) for cell in cells), 0
    with ThreadPoolExecutor(max_workers=threads) as pool:
        for view in found.cells:
            for index, seen in _read(dataset, view.cell, found, examples=examples, pool=pool):
                _add(seen, view, sources[view.cell.source], half=half_of(dataset.samples[index]))
                done += 1
                if progress:
                    progress(done, total)
    return found


def _read(
    dataset: Dataset, cell: Cell, found: Observations, *, examples: int, pool: ThreadPoolExecutor
) -> Iterator[tuple[int, _Seen]]:
    """The sampled images in order, a few read ahead."""
    shown = set(cell.sampled[:examples])

    def see(index: int) -> _Seen:
        sample = dataset.samples[index]
        image = open_image(dataset.root, sample)
        example = _example(sample.path, image, side=found.example_side) if index in shown else None
        shares = channel_shares(image)
        if not found.crop or min(image.size) < found.crop:
            return _Seen(shares, example, spectrum=None, residual=None)
        luma = np.asarray(_middle(image, side=found.crop), dtype=np.float32) @ _LUMA
        return _Seen(shares, example, spectrum=log_spectrum(luma), residual=noise_residual(luma))

    for chunk in _chunks(cell.sampled):
        yield from zip(chunk, pool.map(see, chunk), strict=True)


def _add(seen: _Seen, view: CellView, source: SourceView, *, half: int) -> None:
    view.shares += seen.shares / len(view.cell.sampled)
    if seen.example:
        view.examples.append(seen.example)
    if seen.spectrum is None or seen.residual is None:
        source.too_small += 1
        return
    source.spectrum.add(seen.spectrum)
    source.fingerprint.add(seen.residual, half=half)


def _example(path: str, image: Image.Image, *, side: int) -> Example:
    buffer = io.BytesIO()
    _middle(image, side=side).save(buffer, "PNG")
    return Example(path=path, png=buffer.getvalue())


def _middle(image: Image.Image, *, side: int) -> Image.Image:
    """The middle at native pixels, or all of a smaller side."""
    left, top = (max(length - side, 0) // 2 // _GRID * _GRID for length in image.size)
    return image.crop((left, top, min(left + side, image.width), min(top + side, image.height)))


def _chunks(indices: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(indices), _CHUNK):
        yield indices[start : start + _CHUNK]
