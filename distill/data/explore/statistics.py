"""Colours of the pixels, and how far two classes differ in what a file tells besides its pixels."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

Floats = npt.NDArray[np.float64]

NOTABLE = 0.1
"""A distance that is worth a word, if chance does not explain it."""

_VALUES = np.arange(256) / 255
_CHANCE = (
    1.95  # the Kolmogorov-Smirnov distance that chance exceeds once in a thousand, times sqrt(nm / (n + m))
)


@dataclass(frozen=True, slots=True)
class Distance:
    """How far two classes differ, 0 (alike) to 1 (told apart by this alone).

    Attributes:
        shown: more than a little, and more than chance does.
    """

    value: float
    shown: bool


def channel_shares(image: Image.Image) -> Floats:
    """Share of an RGB image's pixels that have each value, ``[3, 256]``."""
    return np.array(image.histogram(), dtype=np.float64).reshape(3, 256) / (image.width * image.height)


def colour_profile(shares: Floats) -> tuple[Floats, Floats]:
    """Mean and standard deviation over all pixels, ``[3]`` each, RGB in 0..1.

    Of :func:`channel_shares` averaged over images, so that a large image weighs as much as a small one; for images
    of one size that is what pooling all pixels gives.
    """
    mean = shares @ _VALUES
    variance = shares @ _VALUES**2 - mean**2
    return mean, np.sqrt(np.maximum(variance, 0))


def distance_of_values(a: npt.ArrayLike, b: npt.ArrayLike) -> Distance:
    """Kolmogorov-Smirnov: the largest gap between the two cumulative distributions."""
    from scipy.stats import ks_2samp  # slow to import

    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if not len(a) or not len(b):
        return Distance(0.0, shown=False)
    # its p-value is not read; the cheapest of them, the asymptotic one, divides by zero for one value a side
    with np.errstate(divide="ignore", invalid="ignore"):
        gap = float(ks_2samp(a, b, method="asymp").statistic)
    return _distance(gap, len(a), len(b))


def distance_of_kinds(a: npt.ArrayLike, b: npt.ArrayLike) -> Distance:
    """Total variation: the share of one class that would have to change its kind to be like the other."""
    a, b = np.asarray(a), np.asarray(b)
    if not len(a) or not len(b):
        return Distance(0.0, shown=False)
    gap = sum(abs(float(np.mean(a == kind)) - float(np.mean(b == kind))) for kind in np.union1d(a, b))
    return _distance(gap / 2, len(a), len(b))


def median_and_range(values: Iterable[float]) -> tuple[float, float, float] | None:
    """Median, 5th and 95th percentile; ``None`` of nothing."""
    found = np.fromiter(values, dtype=np.float64)
    if not len(found):
        return None
    low, middle, high = np.percentile(found, [5, 50, 95])
    return float(middle), float(low), float(high)


def _distance(value: float, n: int, m: int) -> Distance:
    return Distance(value, shown=value > max(NOTABLE, _CHANCE * np.sqrt((n + m) / (n * m))))
