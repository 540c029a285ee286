"""The distilled student against a control arm: intervals over test groups and seeds, and what could have been shown.

Two things make a difference between arms uncertain: which scenes were tested, and which seeds were trained. The
hierarchical bootstrap (Davison & Hinkley 1997, section 3.8; Saravanan et al. 2020, arXiv 2007.07797) draws both; the
t interval over seeds draws on no image at all, and beside it stands for the few seeds that a bootstrap cannot widen.
NumPy only, SciPy for quantiles of t.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from distill.errors import EdgeproofError
from distill.evaluation.statistics import (
    MIN_GROUPS,
    MIN_GROUPS_OF_AN_INTERVAL,
    MIN_SEEDS,
    Curve,
    Floats,
    Interval,
    check_scores,
    curves,
    find_statistic,
    group_counts,
    group_index,
    mean_draws,
    percentile_interval,
    seed_difference,
)

Verdict = Literal[
    "shown by both",
    "shown by bootstrap over scenes and seeds only",
    "not shown",
    "harm shown",
    "too few seeds",
    "too few groups",
]

ARM_STATISTICS = ("auc", "tpr_at_5fpr", "tpr_at_1fpr")
RESAMPLES = 1000
POWER = 0.80


@dataclass(frozen=True)
class Resampled:
    """A statistic of one arm.

    Attributes:
        values: ``[S]``, that of each seed on all samples; NaN where one class is absent.
        replicates: ``[S, R]``, the same on each of R draws of groups, which are those of every other arm.
        groups: how many there are to draw from.
    """

    values: Floats
    replicates: Floats
    groups: int


@dataclass(frozen=True)
class ArmDifference:
    """Distilled minus control, of one statistic on one split.

    Attributes:
        mean: over the seeds, each on all samples.
        sd: of the seeds' differences; None for one seed.
        ci: 95 % percentile interval of the hierarchical bootstrap; None below 5 groups.
        seeds_ci: 95 % t interval over the seeds; None below 3.
        detectable: the smallest difference that the bootstrap could have shown; see :func:`arm_difference`.
        seeds_detectable: the same of the t interval.
        seeds: trained in both arms.
        groups: of the split.
        verdict: what both intervals say together.
    """

    mean: float
    sd: float | None
    ci: Interval | None
    seeds_ci: Interval | None
    detectable: float | None
    seeds_detectable: float | None
    seeds: int
    groups: int
    verdict: Verdict


def resample(
    labels: npt.ArrayLike,
    scores: npt.ArrayLike,
    groups: Sequence[Any] | npt.NDArray[Any] | None = None,
    *,
    statistics: Sequence[str] = ARM_STATISTICS,
    n: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, Resampled]:
    """Statistics of an arm's seeds on draws of whole groups; the same ``seed`` and groups give the same draws.

    Args:
        labels: ``[N]``, 1 = generated.
        scores: ``[S, N]``, a row for each seed; higher = more likely generated.
        groups: ``[N]`` scene, identity or video of each sample; None makes every sample its own group.
        statistics: names in :data:`distill.evaluation.statistics.STATISTICS`.
        n: draws.
        seed: of the draws.

    Raises:
        EdgeproofError: malformed input, no seeds, or an unknown statistic.
    """
    rows = np.asarray(scores, dtype=np.float64)
    if rows.ndim != 2 or not len(rows):
        raise EdgeproofError(f"scores {rows.shape}: expected [S, N] with a row for each of one or more seeds")
    measures = {name: find_statistic(name) for name in statistics}
    group = group_index(groups, rows.shape[1])
    count = int(group.max(initial=-1)) + 1
    found = [
        _one_seed(labels, row, group, measures=list(measures.values()), groups=count, n=n, seed=seed)
        for row in rows
    ]
    return {
        name: Resampled(
            values=np.array([values[place] for values, _ in found]),
            replicates=np.stack([replicates[place] for _, replicates in found]),
            groups=count,
        )
        for place, name in enumerate(measures)
    }


def resample_means(
    values: npt.ArrayLike,
    groups: Sequence[Any] | npt.NDArray[Any] | None = None,
    *,
    n: int = RESAMPLES,
    seed: int = 0,
) -> Resampled:
    """The mean of ``values`` ``[S, N]`` (1 = a right answer: the accuracy) of an arm's seeds, as :func:`resample` does it.

    Raises:
        EdgeproofError: no seeds.
    """
    rows = np.asarray(values, dtype=np.float64)
    if rows.ndim != 2 or not len(rows):
        raise EdgeproofError(f"values {rows.shape}: expected [S, N] with a row for each of one or more seeds")
    group = group_index(groups, rows.shape[1])
    return Resampled(
        values=rows.mean(axis=1),
        replicates=np.stack([mean_draws(row, group, n=n, seed=seed) for row in rows]),
        groups=int(group.max(initial=-1)) + 1,
    )


def arm_difference(distilled: Resampled, control: Resampled, *, seed: int = 0) -> ArmDifference | None:
    """Distilled minus control over groups and seeds; None where one class is absent.

    Each replicate takes one draw of groups, the same for both arms and every seed, and draws seeds with replacement,
    the same for both arms; its value is the mean over the drawn seeds of the difference. Of S seeds S - 1 are drawn:
    S draws would make the variance over seeds too small by (S - 1) / S, a third for three seeds (Rao & Wu 1988).

    ``detectable`` is the minimum detectable effect (Bloom 1995, Evaluation Review 19:547): a true difference of this
    size would have been shown, by a two-sided test at 5 %, with a chance of 80 %. It is 2.80 standard errors, with
    the standard error of the bootstrap; for the few seeds of the t interval 2.80 becomes the sum of the quantiles of t
    at 97.5 % and 80 % with S - 1 degrees of freedom (5.36 for three seeds).

    Args:
        distilled: of one statistic, with its seeds in the order of the control's.
        control: the same of the control arm.
        seed: of the draws of seeds.

    Raises:
        EdgeproofError: arms with other seeds, draws or groups.
    """
    if distilled.replicates.shape != control.replicates.shape or distilled.groups != control.groups:
        raise EdgeproofError(
            f"arms of {distilled.replicates.shape} and {control.replicates.shape} seeds and draws over "
            f"{distilled.groups} and {control.groups} groups: expected the same of both"
        )
    over_seeds = seed_difference(distilled.values.tolist(), control.values.tolist())
    if np.isnan(over_seeds.mean):
        return None
    seeds, groups = distilled.values.size, distilled.groups
    replicates = _replicates(distilled.replicates - control.replicates, seed=seed)
    enough = groups >= MIN_GROUPS_OF_AN_INTERVAL and replicates.size > 1
    ci = percentile_interval([replicates], 0.95) if enough else None
    return ArmDifference(
        mean=over_seeds.mean,
        sd=over_seeds.sd,
        ci=ci,
        seeds_ci=over_seeds.ci,
        detectable=_detectable(float(replicates.std(ddof=1))) if ci else None,
        seeds_detectable=_detectable_over_seeds(over_seeds.sd, seeds) if over_seeds.ci else None,
        seeds=seeds,
        groups=groups,
        verdict=verdict_of(ci, over_seeds.ci, seeds=seeds, groups=groups),
    )


def verdict_of(ci: Interval | None, seeds_ci: Interval | None, *, seeds: int, groups: int) -> Verdict:
    """What the two intervals say; harm is called where the bootstrap shows it, whatever the few seeds say."""
    if seeds < MIN_SEEDS or seeds_ci is None:
        return "too few seeds"
    if groups < MIN_GROUPS or ci is None:
        return "too few groups"
    if ci[1] < 0:
        return "harm shown"
    if ci[0] <= 0:
        return "not shown"
    return "shown by both" if seeds_ci[0] > 0 else "shown by bootstrap over scenes and seeds only"


def _one_seed(
    labels: npt.ArrayLike,
    scores: Floats,
    group: npt.NDArray[np.intp],
    *,
    measures: Sequence[Callable[[Curve], Floats]],
    groups: int,
    n: int,
    seed: int,
) -> tuple[list[float], Floats]:
    """M statistics of ``scores`` ``[N]``: on all samples, and ``[M, R]`` on each draw of groups."""
    truth, checked = check_scores(labels, scores)
    order = np.argsort(-checked, kind="stable")
    truth, checked, group = truth[order], checked[order], group[order]
    whole = curves(truth, checked, ranked=True)
    replicates = [np.empty((len(measures), 0))]
    for counts in group_counts(groups, samples=truth.size, n=n, seed=seed):
        # a group's weight goes straight to the ranks of its samples: one large copy a chunk
        curve = curves(truth, checked, counts[:, group], ranked=True)
        replicates.append(np.stack([measure(curve) for measure in measures]))
    return [float(measure(whole)[0]) for measure in measures], np.concatenate(replicates, axis=1)


def _replicates(differences: Floats, *, seed: int) -> Floats:
    """``[S, R]`` differences of the seeds on each draw of groups → ``[R]`` means over drawn seeds, NaN left out."""
    seeds, n = differences.shape
    drawn = np.random.default_rng([seed, 1]).integers(seeds, size=(max(1, seeds - 1), n))
    means: Floats = np.take_along_axis(differences, drawn, axis=0).mean(axis=0)
    return means[~np.isnan(means)]


def _detectable(standard_error: float) -> float:
    normal = NormalDist()
    return (normal.inv_cdf(0.975) + normal.inv_cdf(POWER)) * standard_error


def _detectable_over_seeds(sd: float | None, seeds: int) -> float | None:
    if sd is None:
        return None
    from scipy.special import stdtrit

    quantiles = stdtrit(seeds - 1, 0.975) + stdtrit(seeds - 1, POWER)
    return float(quantiles) * sd / float(np.sqrt(seeds))
