"""The baseline: the class whose mean noise residual an image's own resembles most. Torch-free.

Normalised correlation with the mean residual of the training images (Marra et al. 2019, arXiv 1812.11842); real is a class
like the others, though several cameras share no fingerprint.
"""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from distill.data.explore.fingerprints import Fingerprint, half_of, noise_residual
from distill.data.pixels import PixelSource

Floats = npt.NDArray[np.float64]
_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)
Progress = Callable[[int, int], None]


def learn(
    pixels: PixelSource, numbers: npt.NDArray[np.int64], *, classes: int, progress: Progress
) -> list[Fingerprint]:
    """A fingerprint of each class from training images, whose classes ``numbers`` ``[N]`` tell."""
    found = [Fingerprint(pixels.spec.size) for _ in range(classes)]
    for row, number in enumerate(numbers):
        found[number].add(_residual(pixels[row]), half=half_of(pixels.samples[row]))
        progress(row + 1, len(numbers))
    return found


def correlations(pixels: PixelSource, known: Sequence[Fingerprint], *, progress: Progress) -> Floats:
    """Normalised correlation of every image's residual with every fingerprint, ``[N, K]``; 0 where one is flat."""
    directions = np.stack([_unit(item.mean) for item in known])
    rows = np.empty((len(pixels), len(known)))
    for number in range(len(pixels)):
        rows[number] = directions @ _unit(_residual(pixels[number]))
        progress(number + 1, len(pixels))
    return rows


def _residual(crop: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    return noise_residual(crop.astype(np.float32) @ _LUMA)


def _unit(plane: npt.NDArray[np.float32]) -> Floats:
    centred: Floats = plane.ravel().astype(np.float64) - plane.mean(dtype=np.float64)
    length = float(np.linalg.norm(centred))
    return centred / length if length else centred
