"""Whether a row's digits can be trusted. Torch-free."""

import numpy as np

from bench.intervals import Floats, Interval

MAX_STEAL_SHARE = 0.02  # of the CPU time wanted
MAX_SPREAD = 0.5  # (p90 - p10) / p50
MAX_DRIFT = 0.1  # between the medians of the two halves
MAX_HALF_WIDTH = 0.05  # of the interval of the median, relative to it


def is_stolen(steal_share: float | None) -> bool:
    """Whether too much of the CPU went to somebody else for any row to be trusted."""
    return (steal_share or 0.0) > MAX_STEAL_SHARE


def is_noisy(pooled: Floats, interval: Interval | None) -> bool:
    """Whether the calls ``[N]``, milliseconds in the order of time, scatter or drift too far, or their median does."""
    p10, p50, p90 = (float(value) for value in np.percentile(pooled, [10, 50, 90]))
    if p50 <= 0 or (p90 - p10) / p50 > MAX_SPREAD or drift(pooled) > MAX_DRIFT:
        return True
    return interval is not None and (interval[1] - interval[0]) / 2 > MAX_HALF_WIDTH * p50


def drift(pooled: Floats) -> float:
    """How far the medians of the first and the second half are apart, relative to the first."""
    half = pooled.size // 2
    if not half:
        return 0.0
    first, second = float(np.median(pooled[:half])), float(np.median(pooled[half:]))
    return abs(second - first) / first if first else 0.0
