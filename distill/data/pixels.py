"""Samples → pixels: decoded once into memory when they fit, otherwise on the fly; bad files are left out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from distill.data.samples import Sample
from distill.data.storage import open_image
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

    def stretch(self, start: int, stop: int) -> "PixelSource":
        """The samples from ``start`` to ``stop`` alone."""
        cache = None if self.cache is None else self.cache[start:stop]
        return replace(self, samples=self.samples[start:stop], cache=cache)

    def batch(self, indices: Sequence[int]) -> Pixels:
        """``uint8 [N, size, size, 3]``."""
        if self.cache is not None:
            pixels: Pixels = self.cache[np.asarray(indices)]
            return pixels
        batch = np.empty((len(indices), self.spec.size, self.spec.size, 3), dtype=np.uint8)
        for place, index in enumerate(indices):
            batch[place] = self[index]
        return batch


def one_crop(spec: PreprocessSpec) -> PreprocessSpec:
    """The spec that gives one input an image: of ``tiles`` the middle one."""
    return spec if spec.policy != "tiles" else spec.model_copy(update={"policy": "center_crop"})


def decode(root: Path, sample: Sample, *, spec: PreprocessSpec) -> Pixels:
    """One image as ``uint8 [size, size, 3]``; training and evaluation take the middle tile of ``tiles``."""
    crop = one_crop(spec)
    pixels: Pixels = crop.apply(open_image(root, sample, smallest=crop.smallest_decoded))[0]
    return pixels


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
