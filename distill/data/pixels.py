"""Samples → pixels: decoded once into memory when they fit, otherwise on the fly; bad files are left out."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from distill.data.samples import Dataset, Sample, Skipped
from distill.data.storage import open_image
from distill.errors import EdgeproofError
from distill.preprocess import Pixels, PreprocessSpec

Progress = Callable[[int, int], None]
_CHUNK = 256


@dataclass(frozen=True)
class PixelSource:
    """``source[i]`` is the model input of sample i as ``uint8 [size, size, 3]``."""

    root: Path
    samples: tuple[Sample, ...]
    spec: PreprocessSpec
    cache: Pixels | None

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Pixels:
        if self.cache is not None:
            pixels: Pixels = self.cache[index]
            return pixels
        return decode(self.root, self.samples[index], spec=self.spec)

    def batch(self, indices: Sequence[int]) -> Pixels:
        """``uint8 [N, size, size, 3]``."""
        if self.cache is not None:
            pixels: Pixels = self.cache[np.asarray(indices)]
            return pixels
        return np.stack([self[index] for index in indices])


def decode(root: Path, sample: Sample, *, spec: PreprocessSpec) -> Pixels:
    """One image as ``uint8 [size, size, 3]``; training and evaluation take the middle tile of ``tiles``."""
    crop = spec if spec.policy != "tiles" else spec.model_copy(update={"policy": "center_crop"})
    pixels: Pixels = crop.apply(open_image(root, sample))[0]
    return pixels


def find_unreadable(
    dataset: Dataset, *, max_bad_share: float, threads: int, progress: Progress | None = None
) -> Dataset:
    """Decode every file once; list and leave out the bad ones.

    Raises:
        EdgeproofError: more than ``max_bad_share`` of the files are bad.
    """
    total = len(dataset.samples)
    good: list[Sample] = []
    bad = list(dataset.skipped)
    with ThreadPoolExecutor(max_workers=threads) as pool:
        for start in range(0, total, _CHUNK):
            chunk = dataset.samples[start : start + _CHUNK]
            for sample, reason in zip(
                chunk, pool.map(lambda s: _problem(dataset.root, s), chunk), strict=True
            ):
                if reason:
                    bad.append(Skipped(path=sample.path, reason=reason))
                else:
                    good.append(sample)
            if progress:
                progress(start + len(chunk), total)
    files = total + len(dataset.skipped)
    if len(bad) > max_bad_share * files:
        examples = "; ".join(f"{item.path}: {item.reason}" for item in bad[:3])
        raise EdgeproofError(
            f"{dataset.root}: {len(bad)} of {files} files are bad, more than data.max_bad_share = {max_bad_share:g} "
            f"allows; the first: {examples}"
        )
    return replace(dataset, samples=tuple(good), skipped=tuple(bad))


def _problem(root: Path, sample: Sample) -> str:
    try:
        open_image(root, sample)
    except EdgeproofError as error:
        return str(error).removeprefix(f"{root / sample.path}: ")
    return ""


def open_pixels(
    root: Path,
    samples: Sequence[Sample],
    *,
    spec: PreprocessSpec,
    memory_mb: int,
    progress: Progress | None = None,
) -> PixelSource:
    """Decode into memory when the pixels take at most ``memory_mb``; otherwise decode when asked."""
    samples = tuple(samples)
    needed = len(samples) * spec.size * spec.size * 3
    if needed > memory_mb * 2**20:
        return PixelSource(root=root, samples=samples, spec=spec, cache=None)
    cache = np.empty((len(samples), spec.size, spec.size, 3), dtype=np.uint8)
    for index, sample in enumerate(samples):
        cache[index] = decode(root, sample, spec=spec)
        if progress and index % _CHUNK == 0:
            progress(index, len(samples))
    return PixelSource(root=root, samples=samples, spec=spec, cache=cache)
