"""Differences between arms over groups and seeds: against brute force, against known truths, and what may be said."""

from math import erf, sqrt

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from distill.errors import EdgeproofError
from distill.evaluation.arms import Resampled, arm_difference, resample, verdict_of


def phi(x):
    return (1 + erf(x / sqrt(2))) / 2


def two_arms(*, gain=0.0, seeds=3, groups=60, seed=0, spread=0.0, shift=1.0):
    """Pairs of one scene each; scores are unit normals, ``shift`` apart, and ``spread`` moves a seed's shift."""
    random = np.random.default_rng(seed)
    labels, names = np.tile([0, 1], groups), np.repeat([f"scene-{i}" for i in range(groups)], 2)
    scene = np.repeat(random.normal(0, 0.6, groups), 2)

    def arm(mean):
        noise = random.normal(0, 0.8, (seeds, labels.size))
        return labels * (mean + random.normal(0, spread, (seeds, 1))) + scene + noise

    return labels, arm(shift + gain), arm(shift), names


def difference(labels, distilled, alone, names, *, statistic="auc", n=400):
    ours, theirs = (
        resample(labels, scores, names, statistics=[statistic], n=n)[statistic]
        for scores in (distilled, alone)
    )
    return arm_difference(ours, theirs)


def test_equals_a_brute_force_on_a_tiny_case():
    labels, distilled, alone, names = two_arms(groups=6, seeds=3, gain=0.5)
    members = [np.flatnonzero(names == name) for name in sorted(set(names))]
    groups_drawn = np.random.default_rng(0).integers(6, size=(50, 6))
    seeds_drawn = np.random.default_rng([0, 1]).integers(3, size=(2, 50))
    means = []
    for number, draw in enumerate(groups_drawn):
        rows = np.concatenate([members[group] for group in draw])  # a group drawn twice stands twice
        means.append(
            np.mean(
                [
                    roc_auc_score(labels[rows], distilled[s][rows])
                    - roc_auc_score(labels[rows], alone[s][rows])
                    for s in seeds_drawn[:, number]
                ]
            )
        )
    found = difference(labels, distilled, alone, names, n=50)
    assert found.ci == pytest.approx(tuple(np.quantile(means, [0.025, 0.975])))
    assert found.detectable == pytest.approx((1.959964 + 0.841621) * np.std(means, ddof=1), rel=1e-5)
    whole = [
        roc_auc_score(labels, a) - roc_auc_score(labels, b) for a, b in zip(distilled, alone, strict=True)
    ]
    assert found.mean == pytest.approx(np.mean(whole)) and found.sd == pytest.approx(np.std(whole, ddof=1))


def test_the_interval_over_scenes_and_seeds_covers_the_true_difference():
    gain, spread = 0.4, 0.15
    truth = phi((1 + gain) / sqrt(2 + spread**2)) - phi(1 / sqrt(2 + spread**2))
    intervals = [
        difference(*two_arms(gain=gain, spread=spread, seeds=5, groups=100, seed=seed), n=200).ci
        for seed in range(60)
    ]
    assert 0.88 <= np.mean([low <= truth <= high for low, high in intervals]) <= 1.0


def test_a_true_difference_of_the_smallest_detectable_size_is_shown_four_times_in_five():
    found = [difference(*two_arms(seeds=5, groups=100, seed=seed), n=200) for seed in range(60)]
    slope = np.exp(-0.25) / sqrt(2 * np.pi) / sqrt(2)  # of phi(x / sqrt(2)), the AUC, at a shift of one
    gain = np.mean([item.detectable for item in found]) / slope
    truth = phi((1 + gain) / sqrt(2)) - phi(1 / sqrt(2))
    assert truth == pytest.approx(np.mean([item.detectable for item in found]), rel=0.15)
    shown = [
        difference(*two_arms(gain=gain, seeds=5, groups=100, seed=seed), n=200).ci[0] > 0
        for seed in range(60)
    ]
    assert 0.65 <= np.mean(shown) <= 0.95


@pytest.mark.parametrize("statistic", ["auc", "tpr_at_5fpr", "tpr_at_1fpr"])
def test_without_a_difference_the_intervals_hold_zero(statistic):
    labels, distilled, alone, names = two_arms(seed=5)
    found = difference(labels, distilled, alone, names, statistic=statistic)
    assert found.ci[0] <= 0 <= found.ci[1] and found.verdict == "not shown"
    same = difference(labels, alone, alone, names, statistic=statistic)
    assert same.mean == 0 and same.ci == (0, 0) and same.detectable == 0 and same.verdict == "not shown"


def test_the_order_of_samples_does_not_matter_and_swapped_arms_give_the_negative():
    labels, distilled, alone, names = two_arms(gain=0.3)
    order = np.random.default_rng(9).permutation(labels.size)
    found = difference(labels, distilled, alone, names)
    mixed = difference(labels[order], distilled[:, order], alone[:, order], names[order])
    assert mixed.ci == pytest.approx(found.ci) and mixed.seeds_ci == pytest.approx(found.seeds_ci)
    back = difference(labels, alone, distilled, names)
    assert back.ci == pytest.approx((-found.ci[1], -found.ci[0])) and back.mean == pytest.approx(-found.mean)


def test_chunks_do_not_change_the_draws(monkeypatch):
    case = two_arms(gain=0.3)
    whole = difference(*case, n=101)
    monkeypatch.setattr("distill.evaluation.statistics._CHUNK", 700)
    assert difference(*case, n=101).ci == pytest.approx(whole.ci)


def test_seeds_that_differ_widen_the_interval():
    calm, wild = (difference(*two_arms(gain=0.5, spread=spread, seed=3, seeds=6)) for spread in (0.0, 0.6))
    assert wild.ci[1] - wild.ci[0] > 1.3 * (calm.ci[1] - calm.ci[0])


def test_smallest_difference_over_three_seeds_by_hand():
    # differences 0.01, 0.02, 0.03: sd 0.01; t with 2 degrees of freedom: 4.30265 at 97.5 %, 1.06066 at 80 %
    values = np.array([0.91, 0.92, 0.93])
    ours, theirs = (Resampled(v, np.tile(v[:, None], 10), groups=30) for v in (values, np.full(3, 0.9)))
    found = arm_difference(ours, theirs)
    assert found.seeds_detectable == pytest.approx((4.302653 + 1.060660) * 0.01 / sqrt(3), rel=1e-5)


@pytest.mark.parametrize(
    ("ci", "seeds_ci", "seeds", "groups", "verdict"),
    [
        ((0.01, 0.03), (0.005, 0.035), 3, 20, "shown by both"),
        ((0.01, 0.03), (-0.005, 0.035), 3, 20, "shown by bootstrap over scenes and seeds only"),
        ((-0.01, 0.03), (0.005, 0.035), 3, 20, "not shown"),
        ((0.0, 0.03), (0.005, 0.035), 3, 20, "not shown"),
        ((-0.03, -0.01), (-0.05, 0.01), 3, 20, "harm shown"),
        ((-0.03, 0.0), (-0.05, -0.01), 3, 20, "not shown"),
        ((0.01, 0.03), (0.005, 0.035), 3, 19, "too few groups"),
        (None, (0.005, 0.035), 3, 4, "too few groups"),
        ((0.01, 0.03), None, 2, 100, "too few seeds"),
    ],
)
def test_what_two_intervals_say(ci, seeds_ci, seeds, groups, verdict):
    assert verdict_of(ci, seeds_ci, seeds=seeds, groups=groups) == verdict


@pytest.mark.parametrize(("groups", "interval"), [(4, False), (5, True), (19, True)])
def test_few_groups_give_no_verdict_and_very_few_no_interval(groups, interval):
    found = difference(*two_arms(groups=groups, gain=3.0))
    assert found.verdict == "too few groups" and found.groups == groups
    assert (found.ci is not None) == (found.detectable is not None) == interval
    assert found.seeds_ci is not None


def test_one_seed_is_drawn_over_groups_alone():
    found = difference(*two_arms(seeds=1, gain=1.0))
    assert found.verdict == "too few seeds" and found.sd is found.seeds_ci is found.seeds_detectable is None
    assert found.ci[0] < found.mean < found.ci[1]


def test_one_class_has_no_difference():
    labels, distilled, alone, names = two_arms()
    assert difference(0 * labels, distilled, alone, names) is None


def test_arms_must_fit_and_input_is_checked():
    labels, distilled, alone, names = two_arms()
    ours, theirs = (resample(labels, s, names, n=10)["auc"] for s in (distilled, alone[:2]))
    with pytest.raises(EdgeproofError, match=r"arms of \(3, 10\) and \(2, 10\) seeds"):
        arm_difference(ours, theirs)
    with pytest.raises(EdgeproofError, match=r"scores \(120,\): expected \[S, N\]"):
        resample(labels, distilled[0], names)
    with pytest.raises(EdgeproofError, match="unknown statistic 'gini'"):
        resample(labels, distilled, names, statistics=["gini"])
