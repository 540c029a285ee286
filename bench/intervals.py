"""95 % intervals of a median, and of a ratio of medians, with rounds as what is drawn. Torch-free.

Calls of one visit resemble each other: drawn one by one they would promise more than two runs keep, so whole rounds are.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Interval = tuple[float, float]

MIN_ROUNDS = 3  # fewer show no spread
_DRAWS = 1000
_CHUNK = 2_000_000  # numbers held at once
_MOST = 40_000_000  # numbers in all, for rows of hundreds of thousands of calls


def median_interval(rounds: Sequence[Floats]) -> Interval | None:
    """Of the median of all calls, ``rounds`` holding milliseconds ``[calls]`` each; None of fewer than three rounds."""
    rounds = [times for times in rounds if times.size]
    if len(rounds) < MIN_ROUNDS:
        return None
    pooled = np.concatenate(rounds)
    of_round = np.repeat(np.arange(len(rounds)), [times.size for times in rounds])
    order = np.argsort(pooled)
    pooled, of_round = pooled[order], of_round[order]
    medians = [
        pooled[np.argmax(2 * cumulated >= cumulated[:, -1:], axis=1)]
        for counts in _draws(len(rounds), width=pooled.size)
        for cumulated in [np.cumsum(counts[:, of_round], axis=1)]
    ]
    return _middle(np.concatenate(medians))


def ratio_interval(own: Mapping[int, Floats], theirs: Mapping[int, Floats]) -> tuple[Interval, int] | None:
    """Of the median over rounds of their median over ours, and how many rounds both took part in.

    Both map a round's number to its milliseconds ``[calls]``. A slow spell hits both sides of a ratio alike.
    """
    ratios = np.array(
        [
            np.median(theirs[number]) / np.median(times)
            for number, times in own.items()
            if number in theirs and times.size and theirs[number].size and np.median(times) > 0
        ]
    )
    if ratios.size < MIN_ROUNDS:
        return None
    drawn = np.random.default_rng(0).integers(ratios.size, size=(_DRAWS, ratios.size))
    return _middle(np.median(ratios[drawn], axis=1)), ratios.size


def quick_half_width(pooled: Floats) -> float:
    """Half the interval of the median, relative to it, from the order of the calls alone: cheap enough for every round."""
    if pooled.size < 2:
        return float("inf")
    ordered = np.sort(pooled)
    reach = 0.98 * np.sqrt(pooled.size)  # of a binomial's rank, 1.96 standard deviations
    middle = (pooled.size - 1) / 2
    low = ordered[max(0, int(middle - reach))]
    high = ordered[min(pooled.size - 1, int(np.ceil(middle + reach)))]
    median = float(np.median(ordered))
    return float(high - low) / 2 / median if median > 0 else float("inf")


def _draws(rounds: int, *, width: int) -> list[npt.NDArray[np.int64]]:
    """How often each round was drawn, ``[draws, rounds]`` a piece."""
    generator = np.random.default_rng(0)
    draws = max(100, min(_DRAWS, _MOST // width))
    piece = max(1, _CHUNK // width)
    return [
        generator.multinomial(rounds, [1 / rounds] * rounds, size=min(piece, draws - start))
        for start in range(0, draws, piece)
    ]


def _middle(values: Floats) -> Interval:
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)
