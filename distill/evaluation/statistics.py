"""Intervals for a detector's metrics: bootstrap over groups, paired bootstrap, paired seeds. NumPy only.

Images of one scene, identity or video are not independent, so the *group* is what a bootstrap draws
(the cluster bootstrap, Davison & Hinkley 1997, section 3.8). A draw is kept as how often each group was
taken, and every statistic is computed from weighted counts, so a thousand resamples cost one sort.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from distill.errors import EdgeproofError, unknown_name

Floats = npt.NDArray[np.float64]
Interval = tuple[float, float]
Verdict = Literal["better", "worse", "no difference shown", "too few seeds"]

MIN_SEEDS = 3
MIN_GROUPS, MIN_GROUPS_OF_AN_INTERVAL = 20, 5
"""Below the first there is no verdict on a difference; below the second a bootstrap over groups gives no interval."""
_CHUNK = 2_000_000  # weights held at once: bounds memory at about 16 MB a matrix


def check_scores(labels: npt.ArrayLike, scores: npt.ArrayLike) -> tuple[npt.NDArray[np.bool_], Floats]:
    """Labels as bool ``[N]`` and scores as float64 ``[N]``.

    Raises:
        EdgeproofError: unequal lengths, labels other than 0 and 1, or a score that is not finite.

    """
    label_array, score_array = np.asarray(labels), np.asarray(scores, dtype=np.float64)
    if label_array.ndim != 1 or score_array.shape != label_array.shape:
        raise EdgeproofError(
            f"labels {label_array.shape} and scores {score_array.shape}: expected two of one length [N]"
        )
    unknown = label_array[~np.isin(label_array, (0, 1))]
    if unknown.size:
        raise EdgeproofError(f"labels hold {unknown[0]!s}, expected only 0 (real) and 1 (generated)")
    broken = int(np.count_nonzero(~np.isfinite(score_array)))
    if broken:
        raise EdgeproofError(
            f"{broken} of {score_array.size} scores are NaN or infinite, expected finite numbers"
        )
    return label_array.astype(bool), score_array


@dataclass(frozen=True)
class Curve:
    """Weighted counts of positives and negatives at or above each distinct score, highest score first.

    Attributes:
        true_positives, false_positives: ``[R, K + 1]`` for R weightings and K distinct scores; column 0 is 0.
        thresholds: ``[K + 1]``; the first is infinity.

    """

    true_positives: Floats
    false_positives: Floats
    thresholds: Floats

    @property
    def tpr(self) -> Floats:
        """True-positive rate ``[R, K + 1]``; NaN in a row that drew no positive."""
        return _ratio(self.true_positives, self.true_positives[:, -1:])

    @property
    def fpr(self) -> Floats:
        """False-positive rate ``[R, K + 1]``; NaN in a row that drew no negative."""
        return _ratio(self.false_positives, self.false_positives[:, -1:])


def curves(
    labels: npt.NDArray[np.bool_], scores: Floats, weights: Floats | None = None, *, ranked: bool = False
) -> Curve:
    """The ROC counts of N scored samples under R weightings ``[R, N]`` (one of all ones by default).

    ``ranked`` says that all three are already in the order of falling scores.
    """
    order = slice(None) if ranked else np.argsort(-scores, kind="stable")
    ordered, positive = scores[order], labels[order]
    last = np.flatnonzero(np.diff(ordered, append=-np.inf))  # the last sample of each run of ties
    taken = np.ones((1, ordered.size)) if weights is None else weights[:, order]
    true, false = (
        np.pad(np.cumsum(taken * mask, axis=1)[:, last], ((0, 0), (1, 0))) for mask in (positive, ~positive)
    )
    return Curve(true, false, np.concatenate(([np.inf], ordered[last])))


def auc(curve: Curve) -> Floats:
    """Area under the ROC curve ``[R]``; a tie counts one half (Mann-Whitney)."""
    area = np.diff(curve.fpr, axis=1) * (curve.tpr[:, 1:] + curve.tpr[:, :-1]) / 2
    return _blank(area.sum(axis=1), curve)


def average_precision(curve: Curve) -> Floats:
    """Average precision ``[R]``: the sum over thresholds of precision times the gain in recall."""
    precision = _ratio(curve.true_positives, curve.true_positives + curve.false_positives)
    gain = np.diff(curve.tpr, axis=1) * np.nan_to_num(precision[:, 1:])
    return _blank(gain.sum(axis=1), curve)


def tpr_at_fpr(limit: float) -> Callable[[Curve], Floats]:
    """The highest TPR of a real threshold with FPR <= ``limit``: no interpolation, so conservative."""

    def statistic(curve: Curve) -> Floats:
        allowed = np.where(curve.fpr <= limit + 1e-12, curve.tpr, 0.0)
        return _blank(allowed.max(axis=1), curve)

    return statistic


STATISTICS: dict[str, Callable[[Curve], Floats]] = {
    "auc": auc,
    "ap": average_precision,
    "tpr_at_1fpr": tpr_at_fpr(0.01),
    "tpr_at_5fpr": tpr_at_fpr(0.05),
}


@dataclass(frozen=True)
class PairedDifference:
    """``difference`` = statistic of a minus statistic of b; both None where one class is absent."""

    difference: float | None
    ci: Interval | None


@dataclass(frozen=True)
class SeedDifference:
    """Distilled minus alone over paired seeds; ``sd`` and ``ci`` are None below 2 and 3 seeds."""

    mean: float
    sd: float | None
    ci: Interval | None
    verdict: Verdict


def bootstrap_ci(
    labels: npt.ArrayLike,
    scores: npt.ArrayLike,
    groups: Sequence[Any] | npt.NDArray[Any] | None = None,
    *,
    statistic: str = "auc",
    n: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> Interval | None:
    """Percentile interval of a statistic, by drawing whole groups with replacement.

    Args:
        labels: ``[N]``, 1 = generated.
        scores: ``[N]``, higher = more likely generated.
        groups: ``[N]`` scene, identity or video of each sample; None makes every sample its own group.
        statistic: a name in :data:`STATISTICS`.
        n: resamples.
        seed: the same seed gives the same interval.
        level: coverage of the interval.

    Returns:
        ``(low, high)``, or None where one class is absent or there are fewer than five groups.

    Raises:
        EdgeproofError: malformed input or an unknown statistic.

    """
    return bootstrap_cis(labels, scores, groups, statistics=(statistic,), n=n, seed=seed, level=level)[
        statistic
    ]


def bootstrap_cis(
    labels: npt.ArrayLike,
    scores: npt.ArrayLike,
    groups: Sequence[Any] | npt.NDArray[Any] | None = None,
    *,
    statistics: Sequence[str],
    n: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> dict[str, Interval | None]:
    """The intervals of several statistics by name, from the same draws; takes and raises what :func:`bootstrap_ci` does."""
    label_array, score_array = check_scores(labels, scores)
    measures = {name: find_statistic(name) for name in statistics}
    group = group_index(groups, label_array.size)
    if _too_few(group):
        return dict.fromkeys(statistics)
    # Sorted once here, so that the stable sort of every chunk has nothing left to do.
    order = np.argsort(-score_array, kind="stable")
    label_array, score_array, group = label_array[order], score_array[order], group[order]
    found: dict[str, list[Floats]] = {name: [] for name in measures}
    for weights in _draws(group, n=n, seed=seed):
        curve = curves(label_array, score_array, weights)
        for name, measure in measures.items():
            found[name].append(measure(curve))
    return {name: percentile_interval(values, level) for name, values in found.items()}


def wilson(part: int, whole: int) -> Interval | None:
    """The 95 % interval of a share ``part / whole`` of independent trials (Wilson 1927); None of nothing."""
    if not whole:
        return None
    z, share = 1.959964, part / whole
    middle, scale = share + z * z / (2 * whole), 1 + z * z / whole
    half = z * math.sqrt(share * (1 - share) / whole + z * z / (4 * whole * whole))
    return max(0.0, (middle - half) / scale), min(1.0, (middle + half) / scale)


def bootstrap_mean(
    values: npt.ArrayLike,
    groups: Sequence[Any] | npt.NDArray[Any] | None = None,
    *,
    n: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> Interval | None:
    """Percentile interval of the mean of ``values`` ``[N]``, by drawing whole groups with replacement.

    The mean of right answers is an accuracy, that of two models' differences in them a paired difference of accuracies.
    The draws are those of :func:`bootstrap_ci` with the same ``seed`` and groups; None below five groups.

    Raises:
        EdgeproofError: another number of groups than values.
    """
    if _too_few(group_index(groups, np.asarray(values).size)):
        return None
    return percentile_interval([mean_draws(values, groups, n=n, seed=seed)], level)


def mean_draws(
    values: npt.ArrayLike, groups: Sequence[Any] | npt.NDArray[Any] | None, *, n: int, seed: int
) -> Floats:
    """The mean of ``values`` ``[N]`` on each of ``n`` draws of groups."""
    numbers = np.asarray(values, dtype=np.float64)
    group = group_index(groups, numbers.size)
    sums, sizes = np.bincount(group, numbers), np.bincount(group).astype(np.float64)
    draws = [
        (counts @ sums) / (counts @ sizes)
        for counts in group_counts(len(sizes), samples=numbers.size, n=n, seed=seed)
    ]
    return np.concatenate(draws) if draws else np.empty(0)


def paired_bootstrap(
    labels: npt.ArrayLike,
    scores_a: npt.ArrayLike,
    scores_b: npt.ArrayLike,
    groups: Sequence[Any] | npt.NDArray[Any] | None = None,
    *,
    statistic: str = "auc",
    n: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> PairedDifference:
    """Difference a - b of two models on the *same* samples; each draw of groups is given to both.

    Takes and raises what :func:`bootstrap_ci` does.
    """
    label_array, first = check_scores(labels, scores_a)
    _, second = check_scores(labels, scores_b)
    measure = find_statistic(statistic)
    whole = float(measure(curves(label_array, first))[0] - measure(curves(label_array, second))[0])
    group = group_index(groups, label_array.size)
    differences = [
        measure(curves(label_array, first, weights)) - measure(curves(label_array, second, weights))
        for weights in ([] if _too_few(group) else _draws(group, n=n, seed=seed))
    ]
    return PairedDifference(None if np.isnan(whole) else whole, percentile_interval(differences, level))


def seed_difference(
    distilled: Sequence[float], alone: Sequence[float], *, level: float = 0.95
) -> SeedDifference:
    """Student's t interval on the differences between runs that share a seed.

    Args:
        distilled: the metric of each seed's distilled student (higher is better).
        alone: the same student without the teacher, in the same order of seeds.
        level: coverage of the interval.

    Raises:
        EdgeproofError: no seeds, or not one student alone for each distilled one.

    """
    if not distilled or len(distilled) != len(alone):
        raise EdgeproofError(
            f"{len(distilled)} distilled and {len(alone)} results alone: expected one pair for each seed"
        )
    difference = np.asarray(distilled, dtype=np.float64) - np.asarray(alone, dtype=np.float64)
    count, mean = difference.size, float(difference.mean())
    sd = float(difference.std(ddof=1)) if count > 1 else None
    if count < MIN_SEEDS or sd is None:
        return SeedDifference(mean, sd, None, "too few seeds")
    from scipy.special import stdtrit  # training-side only: the rest of this module needs NumPy alone

    half = float(stdtrit(count - 1, (1 + level) / 2)) * sd / float(np.sqrt(count))
    low, high = mean - half, mean + half
    verdict: Verdict = "better" if low > 0 else "worse" if high < 0 else "no difference shown"
    return SeedDifference(mean, sd, (low, high), verdict)


def find_statistic(name: str) -> Callable[[Curve], Floats]:
    """A statistic by its name in :data:`STATISTICS`; raises :class:`EdgeproofError` for an unknown one."""
    if name not in STATISTICS:
        raise unknown_name(kind="statistic", given=name, choices=STATISTICS)
    return STATISTICS[name]


def group_index(groups: Sequence[Any] | npt.NDArray[Any] | None, size: int) -> npt.NDArray[np.intp]:
    """The number ``[size]`` of each sample's group; raises :class:`EdgeproofError` for another number of samples."""
    if groups is None:
        return np.arange(size)
    if len(groups) != size:
        raise EdgeproofError(f"{len(groups)} groups for {size} samples: expected one group for each sample")
    return np.unique(np.asarray(groups), return_inverse=True)[1]


def count_groups(groups: Sequence[Any] | npt.NDArray[Any] | None, size: int) -> int:
    """How many groups ``size`` samples belong to; each is its own where none are given."""
    return int(group_index(groups, size).max(initial=-1)) + 1


def _too_few(group: npt.NDArray[np.intp]) -> bool:
    """Whether the numbers ``[N]`` of samples' groups are of too few groups for an interval."""
    return int(group.max(initial=-1)) + 1 < MIN_GROUPS_OF_AN_INTERVAL


def group_counts(groups: int, *, samples: int, n: int, seed: int) -> Iterator[Floats]:
    """How often each group was drawn, ``[rows, groups]`` at a time, ``n`` rows in all; none where there is no group.

    ``samples`` bounds the rows: weights of that many are what a caller makes of each.
    """
    if not groups:
        return
    generator, rows = np.random.default_rng(seed), max(1, _CHUNK // samples)
    for start in range(0, n, rows):
        size = min(rows, n - start)
        drawn = generator.integers(groups, size=(size, groups)) + groups * np.arange(size)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=size * groups).reshape(size, groups)
        yield counts.astype(np.float64)


def _draws(group: npt.NDArray[np.intp], *, n: int, seed: int) -> Iterator[Floats]:
    """How often each sample was drawn, ``[rows, N]`` at a time, ``n`` rows in all."""
    groups = int(group.max(initial=-1)) + 1
    for counts in group_counts(groups, samples=group.size, n=n, seed=seed):
        yield counts[:, group]


def percentile_interval(values: list[Floats], level: float) -> Interval | None:
    """The middle ``level`` of replicates, NaN left out; None where none is left."""
    # With few groups a draw can miss a class altogether: such a draw says nothing and is left out.
    pooled = np.concatenate(values) if values else np.empty(0)
    pooled = pooled[~np.isnan(pooled)]
    if not pooled.size:
        return None
    low, high = np.quantile(pooled, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _ratio(part: Floats, whole: Floats) -> Floats:
    part, whole = np.broadcast_arrays(part, whole)
    ratio: Floats = np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0)
    return ratio


def _blank(values: Floats, curve: Curve) -> Floats:
    both = (curve.true_positives[:, -1] > 0) & (curve.false_positives[:, -1] > 0)
    return np.where(both, values, np.nan)
