"""What frequencies images hold: mean log-spectrum and its azimuthal average.

Upsampling leaves peaks and a wrong decay at high frequencies: Zhang et al. 2019 (arXiv 1907.06515), Durall et al.
2020 (arXiv 2003.01826).
"""

import numpy as np
import numpy.typing as npt

Plane = npt.NDArray[np.float32]

_FLOOR = 1e-9  # of the power: far below that of rounding to 8 bits, 1.3e-6


def log_spectrum(luma: Plane) -> Plane:
    """Power spectrum of a square of brightness 0..255 in dB, ``[S, S]``, frequency zero at ``[S // 2, S // 2]``.

    Without its mean, under a Hann window; 0 dB is white noise of the standard deviation 1 (of 0..1).
    """
    size = len(luma)
    hann = np.hanning(size + 1)[:size]
    window = np.outer(hann, hann)
    centred = (luma - luma.mean()) / 255
    power = np.abs(np.fft.fft2(centred * window)) ** 2 / np.sum(window**2)
    return (10 * np.log10(np.fft.fftshift(power) + _FLOOR)).astype(np.float32)


def ring_frequencies(size: int) -> Plane:
    """The rings' mean frequencies in cycles per pixel, from one cycle per crop to the corner, sqrt(1/2)."""
    return azimuthal_average((_radius(size) / size).astype(np.float32))


def azimuthal_average(spectrum: Plane) -> Plane:
    """Mean over each ring of equal frequency, ``[rings]``, in the order of :func:`ring_frequencies`."""
    size = len(spectrum)
    ring = np.rint(_radius(size)).astype(int).ravel()
    sums, counts = np.bincount(ring, spectrum.ravel()), np.bincount(ring)
    return (sums / np.maximum(counts, 1))[1 : round(size * np.sqrt(0.5)) + 1].astype(np.float32)


def _radius(size: int) -> npt.NDArray[np.float64]:
    steps = np.arange(size) - size // 2
    return np.hypot(*np.meshgrid(steps, steps))


class MeanSpectrum:
    """The mean log-spectrum of the crops added so far, and every crop's azimuthal average."""

    def __init__(self, size: int) -> None:
        self._sum = np.zeros((size, size))
        self._curves: list[Plane] = []

    def add(self, spectrum: Plane) -> None:
        """Take one crop's :func:`log_spectrum`."""
        self._sum += spectrum
        self._curves.append(azimuthal_average(spectrum))

    @property
    def count(self) -> int:
        """Crops taken."""
        return len(self._curves)

    @property
    def mean(self) -> Plane:
        """``[S, S]`` in dB."""
        return (self._sum / self.count).astype(np.float32)

    @property
    def curves(self) -> Plane:
        """``[count, rings]`` in dB."""
        return np.stack(self._curves)
