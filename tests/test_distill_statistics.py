import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from distill.errors import EdgeproofError
from distill.evaluation.statistics import (
    auc,
    average_precision,
    bootstrap_ci,
    curves,
    paired_bootstrap,
    seed_difference,
    tpr_at_fpr,
)


def detector(n=400, shift=1.0, seed=0):
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 2, n)
    return labels, generator.normal(labels * shift, 1.0)


def test_auc_of_four_samples_by_hand():
    # fakes 0.8 and 0.4 against reals 0.4 and 0.1: wins 3, tie 1, so (3 + 1/2) / 4
    labels, scores = np.array([True, True, False, False]), np.array([0.8, 0.4, 0.4, 0.1])
    assert auc(curves(labels, scores))[0] == pytest.approx(3.5 / 4)


def test_tpr_at_fpr_takes_real_thresholds_only():
    # descending: fake, real, fake, fake | two reals in all. FPR 0 gives 1/3; FPR 0.5 gives all three.
    labels, scores = np.array([1, 0, 1, 1, 0], dtype=bool), np.array([0.9, 0.8, 0.7, 0.6, 0.1])
    curve = curves(labels, scores)
    assert tpr_at_fpr(0.49)(curve)[0] == pytest.approx(1 / 3)
    assert tpr_at_fpr(0.5)(curve)[0] == pytest.approx(1.0)


@pytest.mark.parametrize("decimals", [1, 6], ids=["ties", "distinct"])
def test_weighted_curves_equal_repeating_the_samples(decimals):
    labels, scores = detector(60)
    scores = scores.round(decimals)
    times = np.random.default_rng(1).integers(0, 4, (5, 60))
    curve = curves(labels.astype(bool), scores, times.astype(float))
    for row, repeats in enumerate(times):
        y, s = np.repeat(labels, repeats), np.repeat(scores, repeats)
        assert auc(curve)[row] == pytest.approx(roc_auc_score(y, s))
        assert average_precision(curve)[row] == pytest.approx(average_precision_score(y, s))


def test_interval_covers_the_true_auc():
    truth = 0.7602  # Phi(1 / sqrt(2)) for two unit normals one apart
    intervals = [bootstrap_ci(*detector(200, seed=seed), n=200, seed=seed) for seed in range(60)]
    covered = np.mean([low <= truth <= high for low, high in intervals])
    assert 0.85 <= covered <= 1.0


def test_interval_is_seeded_and_holds_the_estimate():
    labels, scores = detector()
    low, high = bootstrap_ci(labels, scores, seed=3)
    assert (low, high) == bootstrap_ci(labels, scores, seed=3) != bootstrap_ci(labels, scores, seed=4)
    assert low < roc_auc_score(labels, scores) < high


def test_groups_widen_the_interval_of_duplicated_samples():
    labels, scores = detector(100)
    labels, scores, groups = np.repeat(labels, 9), np.repeat(scores, 9), np.repeat(np.arange(100), 9)
    by_sample = bootstrap_ci(labels, scores, None)
    by_group = bootstrap_ci(labels, scores, groups)
    # nine copies carry no information: the honest interval is about three times as wide
    assert 2.0 < (by_group[1] - by_group[0]) / (by_sample[1] - by_sample[0]) < 4.5


def test_group_names_may_be_strings_in_any_order():
    labels, scores = detector(50)
    names = [f"scene-{i % 25}" for i in range(50)]
    assert bootstrap_ci(labels, scores, names, n=50) is not None
    with pytest.raises(EdgeproofError, match="49 groups for 50 samples"):
        bootstrap_ci(labels, scores, names[:-1])


def test_chunks_do_not_change_the_number_of_resamples(monkeypatch):
    labels, scores = detector(100)
    whole = bootstrap_ci(labels, scores, n=101)
    monkeypatch.setattr("distill.evaluation.statistics._CHUNK", 700)  # 7 rows at a time
    assert bootstrap_ci(labels, scores, n=101) == pytest.approx(whole)


def test_one_class_has_no_interval():
    assert bootstrap_ci([1, 1, 1], [0.1, 0.2, 0.3]) is None
    assert bootstrap_ci([], []) is None
    assert paired_bootstrap([0, 0], [0.1, 0.2], [0.1, 0.2]).difference is None


def test_pairing_removes_the_shared_noise():
    labels, scores = detector(300)
    other = scores + np.random.default_rng(5).normal(0, 0.05, 300)
    paired = paired_bootstrap(labels, other, scores)
    alone = bootstrap_ci(labels, scores)
    assert paired.difference == pytest.approx(roc_auc_score(labels, other) - roc_auc_score(labels, scores))
    assert paired.ci[1] - paired.ci[0] < (alone[1] - alone[0]) / 4
    same = paired_bootstrap(labels, scores, scores)
    assert same.difference == 0.0
    assert same.ci == (0.0, 0.0)


@pytest.mark.parametrize(
    ("labels", "scores", "message"),
    [
        ([0, 1], [0.5], "expected two of one length"),
        ([0, 2], [0.5, 0.5], "labels hold 2"),
        ([0, 1], [0.5, float("nan")], "1 of 2 scores are NaN"),
    ],
)
def test_bad_input_is_named(labels, scores, message):
    with pytest.raises(EdgeproofError, match=message):
        bootstrap_ci(labels, scores)


def test_unknown_statistic_lists_the_choices():
    with pytest.raises(EdgeproofError, match="unknown statistic 'accuracy'; choose one of: ap, auc"):
        bootstrap_ci([0, 1], [0.1, 0.2], statistic="accuracy")


def test_seed_difference_by_hand():
    # differences 0.01, 0.02, 0.03: mean 0.02, sd 0.01, t(0.975, 2) = 4.30265
    result = seed_difference([0.91, 0.92, 0.93], [0.90, 0.90, 0.90])
    half = 4.30265273 * 0.01 / np.sqrt(3)
    assert (result.mean, result.sd) == pytest.approx((0.02, 0.01))
    assert result.ci == pytest.approx((0.02 - half, 0.02 + half))
    assert result.verdict == "no difference shown"


@pytest.mark.parametrize(
    ("distilled", "alone", "verdict"),
    [
        ([0.95, 0.951, 0.949], [0.90, 0.90, 0.90], "better"),
        ([0.85, 0.851, 0.849], [0.90, 0.90, 0.90], "worse"),
        ([0.9, 0.9, 0.9], [0.9, 0.9, 0.9], "no difference shown"),
        ([0.99, 0.99], [0.5, 0.5], "too few seeds"),
        ([0.99], [0.5], "too few seeds"),
    ],
)
def test_seed_verdicts(distilled, alone, verdict):
    result = seed_difference(distilled, alone)
    assert result.verdict == verdict
    assert (result.ci is None) == (verdict == "too few seeds")


def test_seeds_must_pair_up():
    with pytest.raises(EdgeproofError, match="2 distilled and 1 results alone"):
        seed_difference([0.9, 0.9], [0.9])
