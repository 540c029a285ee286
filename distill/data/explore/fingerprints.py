"""What a source leaves at the same pixels of every image: its mean noise residual.

Marra et al. 2019, "Do GANs leave artificial fingerprints?" (arXiv 1812.11842). The denoiser is the one of the
camera-fingerprint literature: Mihçak et al. 1999, as used by Lukáš et al. 2006 and Chen et al. 2008.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from distill.data.explore.sample import hashed
from distill.data.samples import Sample

Plane = npt.NDArray[np.float32]

DENOISER = "Mihçak wavelet filter, Daubechies 8-tap, 4 levels, noise of 5 grey levels"
_WAVELET, _LEVELS, _WINDOWS = "db4", 4, (3, 5, 7, 9)
_VARIANCE = 5.0**2
_FLAT = 1e-3  # grey levels, the norm of a whole plane


def noise_residual(luma: Plane) -> Plane:
    """The image minus its denoised self, ``[H, W]``, for brightness 0..255."""
    import pywt

    levels = min(_LEVELS, pywt.dwt_max_level(min(luma.shape), _WAVELET))
    coarse, *details = pywt.wavedec2(luma, _WAVELET, level=levels)
    noise = [np.zeros_like(coarse), *(tuple(_noise_of(band) for band in level) for level in details)]
    height, width = luma.shape
    return np.asarray(pywt.waverec2(noise, _WAVELET)[:height, :width], dtype=np.float32)


def _noise_of(band: Plane) -> Plane:
    """Wiener's estimate of the noise: where the picture itself varies, little of a coefficient is noise."""
    from scipy.ndimage import uniform_filter

    energy = band**2
    local = np.minimum.reduce([uniform_filter(energy, size) for size in _WINDOWS])
    picture = np.maximum(local - _VARIANCE, 0)
    return np.asarray(band * (_VARIANCE / (picture + _VARIANCE)), dtype=np.float32)


def half_of(sample: Sample) -> int:
    """0 or 1. A group stays together, else a scene that two sources share would make them look alike."""
    return hashed(sample.group or sample.path) % 2


class Fingerprint:
    """Mean residual of the crops added so far, in two disjoint halves."""

    def __init__(self, size: int) -> None:
        self._sums = np.zeros((2, size, size))
        self._counts = [0, 0]

    def add(self, residual: Plane, *, half: int) -> None:
        """Take one crop's :func:`noise_residual`."""
        self._sums[half] += residual
        self._counts[half] += 1

    @property
    def count(self) -> int:
        """Crops taken."""
        return sum(self._counts)

    @property
    def mean(self) -> Plane:
        """Of all crops, ``[S, S]``, in grey levels."""
        mean: Plane = (self._sums.sum(axis=0) / max(self.count, 1)).astype(np.float32)
        return mean

    def half(self, index: int) -> Plane:
        """The mean of one half, NaN if it has no crops."""
        if not self._counts[index]:
            return np.full(self._sums[index].shape, np.nan, dtype=np.float32)
        mean: Plane = (self._sums[index] / self._counts[index]).astype(np.float32)
        return mean


def correlation_matrix(fingerprints: Sequence[Fingerprint]) -> npt.NDArray[np.float64]:
    """How alike fingerprints are, ``[K, K]`` in -1..1, NaN where a half is empty or flat.

    Always one half of one against the other half of the other, both ways averaged: so the diagonal tells how well a
    fingerprint repeats itself on other images, and noise, which the halves do not share, adds nothing.
    """
    first = [_unit(item.half(0)) for item in fingerprints]
    second = [_unit(item.half(1)) for item in fingerprints]
    across = np.array([[float(a @ b) for b in second] for a in first]).reshape(len(first), len(second))
    matrix: npt.NDArray[np.float64] = (across + across.T) / 2
    return matrix


def _unit(plane: Plane) -> npt.NDArray[np.float64]:
    centred = plane.ravel().astype(np.float64) - plane.mean()
    length = float(np.linalg.norm(centred))
    return centred / length if length > _FLAT else np.full(centred.shape, np.nan)
