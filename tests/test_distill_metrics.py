import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from distill.errors import EdgeproofError
from distill.evaluation.calibration import fit_calibration
from distill.evaluation.metrics import binary_metrics, choose_threshold, reliability, roc_auc, roc_points

# Two reals and three fakes; at 0.5: one real called generated, one fake called real.
LABELS = [0, 0, 1, 1, 1]
PROBABILITIES = [0.1, 0.6, 0.3, 0.8, 0.9]


def test_every_metric_of_five_samples_by_hand():
    result = binary_metrics(LABELS, PROBABILITIES, threshold=0.5, resamples=0)
    assert (result.n, result.n_real, result.n_fake) == (5, 2, 3)
    assert result.confusion == ((1, 1), (1, 2))
    assert result.tpr == pytest.approx(2 / 3)
    assert result.tnr == pytest.approx(1 / 2)
    assert result.balanced_accuracy == pytest.approx(7 / 12)
    assert result.f1 == pytest.approx(2 * 2 / (2 * 2 + 1 + 1))
    assert result.auc == pytest.approx(5 / 6)  # six pairs, one (0.3 against 0.6) lost
    assert result.ap == pytest.approx((1 + 1 + 3 / 4) / 3)
    assert result.tpr_at_1fpr == pytest.approx(2 / 3)
    assert result.tpr_at_5fpr == pytest.approx(2 / 3)
    # ROC goes (0, 2/3) -> (1/2, 2/3): FPR = 1 - TPR = 1/3 lies on that step
    assert result.eer == pytest.approx(1 / 3)
    # each sample is alone in its bin of width 1/15
    assert result.ece == pytest.approx((0.1 + 0.6 + 0.7 + 0.2 + 0.1) / 5)
    assert result.brier == pytest.approx((0.01 + 0.36 + 0.49 + 0.04 + 0.01) / 5)
    assert result.nll == pytest.approx(-sum(math.log(p) for p in (0.9, 0.4, 0.3, 0.8, 0.9)) / 5)
    assert result.auc_ci is None


def test_probability_equal_to_the_threshold_is_generated():
    assert binary_metrics([1, 0], [0.5, 0.4], threshold=0.5, resamples=0).confusion == ((1, 0), (0, 1))


def test_metrics_equal_scikit_learn():
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 2, 300)
    p = np.clip(generator.normal(0.3 + 0.3 * labels, 0.25), 0.01, 0.99).round(2)
    result = binary_metrics(labels, p, threshold=0.45, resamples=10)
    called = (p >= 0.45).astype(int)
    assert result.auc == pytest.approx(reference.roc_auc_score(labels, p))
    assert result.ap == pytest.approx(reference.average_precision_score(labels, p))
    assert result.f1 == pytest.approx(reference.f1_score(labels, called))
    assert result.balanced_accuracy == pytest.approx(reference.balanced_accuracy_score(labels, called))
    assert result.nll == pytest.approx(reference.log_loss(labels, p))
    assert result.brier == pytest.approx(reference.brier_score_loss(labels, p))
    assert result.to_dict()["confusion"] == reference.confusion_matrix(labels, called).tolist()
    fpr, tpr, _ = reference.roc_curve(labels, p, drop_intermediate=False)
    assert result.tpr_at_5fpr == pytest.approx(tpr[fpr <= 0.05].max())
    assert result.tpr_at_1fpr == pytest.approx(tpr[fpr <= 0.01].max())
    assert fpr[np.argmin(abs(fpr - 1 + tpr))] == pytest.approx(result.eer, abs=0.02)
    assert result.auc_ci[0] < result.auc < result.auc_ci[1]


def test_ece_by_hand_and_reliability_bins():
    # bin 0 (< 1/15): 0.02, 0.04, one of them generated; bin 14: 1.0, generated
    labels, p = [0, 1, 1], [0.02, 0.04, 1.0]
    assert binary_metrics(labels, p, threshold=0.5, resamples=0).ece == pytest.approx(
        (2 * abs(0.03 - 0.5) + 0) / 3
    )
    bins = reliability(labels, p)
    assert bins["count"] == [2] + [0] * 13 + [1]
    assert bins["confidence"][0] == pytest.approx(0.03)
    assert bins["accuracy"][0] == pytest.approx(0.5)
    assert bins["confidence"][1] is None
    assert bins["accuracy"][14] == 1.0


def test_saturated_probabilities_keep_the_nll_finite():
    result = binary_metrics([0, 1], [1.0, 0.0], threshold=0.5, resamples=0)
    assert result.nll == pytest.approx(-math.log(1e-7))
    assert (result.auc, result.eer) == (0.0, 1.0)


@pytest.mark.parametrize("labels", [[], [0, 0], [1, 1]], ids=["empty", "reals", "fakes"])
def test_a_split_with_one_class_gives_none_not_a_crash(labels):
    p = [0.2, 0.7][: len(labels)]
    result = binary_metrics(labels, p, threshold=0.5)
    for value in (result.auc, result.auc_ci, result.ap, result.eer, result.balanced_accuracy):
        assert value is None
    assert (result.tpr is None) == (1 not in labels)
    assert (result.tnr is None) == (0 not in labels)
    assert (result.nll is None) == (not labels)
    assert roc_points(labels, p) is None
    assert json.loads(json.dumps(result.to_dict(), allow_nan=False))["n"] == len(labels)


def test_auc_takes_any_scores_and_names_a_missing_class():
    assert roc_auc([0, 1, 1], [-7.0, 3.0, -9.0]) == pytest.approx(0.5)
    with pytest.raises(EdgeproofError, match="AUC: no generated sample among 2"):
        roc_auc([0, 0], [0.1, 0.2])


@pytest.mark.parametrize(
    ("p", "message"), [([0.5, 1.5], "probability 1.5"), ([0.5, math.nan], "NaN"), ([0.5], "one length")]
)
def test_bad_probabilities_are_named(p, message):
    with pytest.raises(EdgeproofError, match=message):
        binary_metrics([0, 1], p, threshold=0.5)


def test_threshold_lies_midway_between_separated_classes():
    assert choose_threshold([0, 0, 1, 1], [0.1, 0.2, 0.6, 0.9]) == pytest.approx(0.4)


def test_threshold_ties_go_to_the_one_nearest_to_a_half():
    # calling 0.9 alone, or all but 0.1, is 3/4 right either way: 0.85 against 0.2
    assert choose_threshold([0, 1, 0, 1], [0.1, 0.3, 0.8, 0.9]) == pytest.approx(0.2)
    assert choose_threshold([0, 1, 0, 1], [0.1, 0.5, 0.51, 0.55]) == pytest.approx(0.53)


def test_threshold_objectives_differ_on_imbalanced_data():
    labels, p = [1, 0, 1] + [0] * 17, [0.9, 0.8, 0.3] + [0.31] * 4 + [0.1] * 13
    # one of two fakes at no false alarm but one: F1 2/3 above 0.8; balanced accuracy prefers both fakes
    assert choose_threshold(labels, p, objective="f1") == pytest.approx(0.85)
    assert choose_threshold(labels, p) == pytest.approx(0.2)
    with pytest.raises(EdgeproofError, match="unknown threshold objective 'accuracy'"):
        choose_threshold(labels, p, objective="accuracy")


@pytest.mark.parametrize(("labels", "missing"), [([0, 0], "generated"), ([1, 1], "real"), ([], "generated")])
def test_threshold_and_calibration_need_both_classes(labels, missing):
    values = [0.2, 0.4][: len(labels)]
    for job in (choose_threshold, fit_calibration):
        with pytest.raises(EdgeproofError, match=f"no {missing} sample"):
            job(labels, values)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 20)), min_size=2, max_size=40))
def test_no_threshold_beats_the_chosen_one(samples):
    labels, p = [y for y, _ in samples], [s / 20 for _, s in samples]
    if len(set(labels)) < 2:
        return
    chosen = choose_threshold(labels, p)
    assert 0 <= chosen <= 1
    best = binary_metrics(labels, p, threshold=chosen, resamples=0).balanced_accuracy
    for other in np.linspace(0, 1, 21):
        value = binary_metrics(labels, p, threshold=float(other), resamples=0).balanced_accuracy
        assert value <= best + 1e-9


def test_roc_points_are_few_and_keep_the_area():
    generator = np.random.default_rng(2)
    labels = generator.integers(0, 2, 5000)
    p = 1 / (1 + np.exp(-generator.normal(2 * labels - 1, 1)))
    roc = roc_points(labels, p)
    fpr, tpr = np.array(roc["fpr"]), np.array(roc["tpr"])
    assert len(fpr) == len(tpr) <= 101
    assert (fpr[0], tpr[0], fpr[-1], tpr[-1]) == (0, 0, 1, 1)
    assert (np.diff(fpr) >= 0).all() and (np.diff(tpr) >= 0).all()
    assert np.trapezoid(tpr, fpr) == pytest.approx(reference.roc_auc_score(labels, p), abs=2e-3)
    assert roc_points([0, 1], [0.2, 0.8]) == {"fpr": [0.0, 0.0, 1.0], "tpr": [0.0, 1.0, 1.0]}


def synthetic(*, temperature, bias, n=40_000, seed=0, offset=0.0):
    """Logits of which sigmoid(logit / temperature + bias) is the true probability."""
    generator = np.random.default_rng(seed)
    score = generator.normal(0, 2, n)
    labels = generator.random(n) < 1 / (1 + np.exp(-score))
    return labels.astype(int), (score - bias) * temperature + offset


@pytest.mark.parametrize(("temperature", "bias"), [(1.0, 0.0), (3.0, -1.0), (0.4, 2.0), (1.5, 300.0)])
def test_calibration_recovers_the_true_parameters(temperature, bias):
    result = fit_calibration(*synthetic(temperature=temperature, bias=bias))
    assert result.temperature == pytest.approx(temperature, rel=0.05)
    assert result.bias == pytest.approx(bias, abs=0.05 + 0.03 * abs(bias))
    assert result == fit_calibration(*synthetic(temperature=temperature, bias=bias))


def test_pos_weight_shift_is_taken_off():
    weight = 0.83 / 0.17
    labels, logits = synthetic(temperature=2.0, bias=0.0, offset=math.log(weight))
    alone = fit_calibration(labels, logits, pos_weight=weight, fit_bias=False)
    assert alone.temperature == pytest.approx(2.0, rel=0.05)
    assert alone.bias == pytest.approx(-math.log(weight) / alone.temperature)
    # a fitted bias finds the shift whether or not it is told
    told, untold = fit_calibration(labels, logits, pos_weight=weight), fit_calibration(labels, logits)
    assert told.temperature == pytest.approx(untold.temperature, rel=1e-4)
    assert told.bias == pytest.approx(untold.bias, abs=1e-4)


def test_calibration_stays_in_bounds_and_finite():
    separated = fit_calibration([0, 0, 1, 1], [-0.01, -0.02, 0.01, 0.02])
    assert separated.temperature == pytest.approx(0.05)
    backwards = fit_calibration([1, 1, 0, 0], [-5.0, -4.0, 4.0, 5.0])
    assert backwards.temperature == pytest.approx(20.0)
    constant = fit_calibration([0, 0, 0, 1], [3.0, 3.0, 3.0, 3.0])
    p = 1 / (1 + math.exp(-(3.0 / constant.temperature + constant.bias)))
    # Platt's targets: one 2/3 and three 1/5
    assert p == pytest.approx((2 / 3 + 3 / 5) / 4, abs=1e-4)


def test_calibration_lowers_the_nll_without_moving_the_ranking():
    labels, logits = synthetic(temperature=4.0, bias=1.0, n=2000)
    before = binary_metrics(labels, 1 / (1 + np.exp(-logits)), threshold=0.5, resamples=0)
    fitted = fit_calibration(labels, logits)
    after = binary_metrics(
        labels, 1 / (1 + np.exp(-(logits / fitted.temperature + fitted.bias))), threshold=0.5, resamples=0
    )
    assert after.nll < before.nll
    assert after.ece < before.ece
    assert after.auc == pytest.approx(before.auc)


def test_bad_pos_weight_is_named():
    with pytest.raises(EdgeproofError, match="pos_weight is 0, expected a positive number"):
        fit_calibration([0, 1], [0.0, 1.0], pos_weight=0.0)
