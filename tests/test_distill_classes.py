"""Metrics of K classes against scikit-learn, their intervals, and what the arms' resampling makes of them."""

import json
import math

import numpy as np
import pytest

from distill.errors import EdgeproofError
from distill.evaluation.arms import arm_difference, resample_means
from distill.evaluation.classes import class_metrics, class_reliability
from distill.evaluation.metrics import verdicts
from distill.evaluation.statistics import bootstrap_ci, bootstrap_mean

LABELS = [0, 0, 1, 1, 2]
PROBABILITIES = [[0.8, 0.1, 0.1], [0.3, 0.6, 0.1], [0.2, 0.7, 0.1], [0.1, 0.5, 0.4], [0.2, 0.2, 0.6]]


def drawn(count: int = 400, classes: int = 5):
    random = np.random.default_rng(0)
    scores = random.dirichlet(np.ones(classes), count)
    labels = np.where(random.random(count) < 0.6, scores.argmax(axis=1), random.integers(0, classes, count))
    return labels, scores


def test_every_metric_by_hand() -> None:
    found = class_metrics(LABELS, PROBABILITIES, resamples=0)
    assert (found.n, found.accuracy, found.accuracy_ci) == (5, 4 / 5, None)
    assert found.confusion == ((1, 1, 0), (0, 2, 0), (0, 0, 1))
    assert found.balanced_accuracy == pytest.approx((1 / 2 + 1 + 1) / 3)
    assert found.macro_f1 == pytest.approx((2 / 3 + 4 / 5 + 1) / 3)
    assert found.nll == pytest.approx(-sum(map(math.log, (0.8, 0.3, 0.7, 0.5, 0.6))) / 5)
    assert found.score == found.accuracy and found.guess == pytest.approx(2 / 5)
    assert (found.auc, found.n_real, found.tpr_at_5fpr, found.f1) == (None, None, None, None)
    # bins of 1/15: 0.8 right, 0.6 wrong and 0.6 right together, 0.7 right, 0.5 right
    assert found.ece == pytest.approx((0.2 + abs(1.2 - 1) + 0.3 + 0.5) / 5)


def test_metrics_agree_with_scikit_learn() -> None:
    from sklearn import metrics as reference

    labels, scores = drawn()
    found, said = class_metrics(labels, scores, resamples=20), scores.argmax(axis=1)
    assert found.accuracy == pytest.approx(reference.accuracy_score(labels, said))
    assert found.balanced_accuracy == pytest.approx(reference.balanced_accuracy_score(labels, said))
    assert found.macro_f1 == pytest.approx(reference.f1_score(labels, said, average="macro"))
    assert found.nll == pytest.approx(reference.log_loss(labels, scores))
    assert found.macro_auc == pytest.approx(reference.roc_auc_score(labels, scores, multi_class="ovr"))
    assert [list(row) for row in found.confusion] == reference.confusion_matrix(labels, said).tolist()
    assert found.accuracy_ci and found.accuracy_ci[0] < found.accuracy < found.accuracy_ci[1]
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["accuracy_ci"] == list(found.accuracy_ci)


def test_a_class_without_images_takes_no_part_in_means() -> None:
    labels, scores = drawn(classes=4)
    empty = np.concatenate([scores * 0.9, np.full((len(scores), 1), 0.1)], axis=1)
    found, whole = class_metrics(labels, empty, resamples=0), class_metrics(labels, scores, resamples=0)
    said_it = (empty.argmax(axis=1) == 4).any()
    assert not said_it and found.balanced_accuracy == whole.balanced_accuracy
    assert (found.macro_f1, found.macro_auc) == (
        pytest.approx(whole.macro_f1),
        pytest.approx(whole.macro_auc),
    )
    alone = class_metrics([1, 1], [[0.4, 0.6], [0.7, 0.3]], resamples=0)
    assert alone.macro_auc is None and alone.accuracy == alone.balanced_accuracy == 0.5


@pytest.mark.parametrize(
    ("labels", "scores", "message"),
    [
        ([0, 3], [[0.5, 0.5], [0.5, 0.5]], "label 3 among 2, expected 0 to 1"),
        ([0], [[0.5, 0.6]], "rows that do not add up to 1, expected a softmax"),
        ([0], [[float("nan"), 0.5]], "rows that do not add up to 1"),
        ([0, 1], [[0.5, 0.5]], r"labels \(2,\) and probabilities \(1, 2\): expected \[N\] and \[N, K\]"),
        ([], np.empty((0, 3)), r"labels \(0,\) and probabilities \(0, 3\)"),
    ],
)
def test_malformed_input_is_named(labels, scores, message) -> None:
    with pytest.raises(EdgeproofError, match=message):
        class_metrics(labels, scores)


def test_reliability_is_about_the_likeliest_class() -> None:
    found = class_reliability(LABELS, PROBABILITIES, bins=5)
    assert found["count"] == [0, 0, 1, 3, 1]
    assert found["confidence"][:2] == [None, None]
    assert found["confidence"][2:] == pytest.approx([0.5, 1.9 / 3, 0.8])
    assert found["accuracy"][2:] == pytest.approx([1, 2 / 3, 1])


def test_verdicts_of_two_and_of_many_classes() -> None:
    assert verdicts([0.2, 0.5, 0.9], 0.5).tolist() == [0, 1, 1]
    assert verdicts(PROBABILITIES, None).tolist() == [0, 1, 1, 1, 2]


def test_the_interval_of_a_mean_draws_whole_groups() -> None:
    """Copies within a group add nothing; as many images of their own would make the interval narrower."""
    values = np.random.default_rng(1).random(30) < 0.7
    groups = np.arange(30)
    once = bootstrap_mean(values, groups, n=500)
    copied = bootstrap_mean(np.repeat(values, 4), np.repeat(groups, 4), n=500)
    alone = bootstrap_mean(np.repeat(values, 4), n=500)
    assert once == copied and alone is not None and once is not None
    assert alone[1] - alone[0] < 0.7 * (once[1] - once[0])
    spread = math.sqrt(values.mean() * (1 - values.mean()) / 30)
    assert once[1] - once[0] == pytest.approx(2 * 1.96 * spread, rel=0.2)
    assert bootstrap_mean([], n=10) is None
    with pytest.raises(EdgeproofError, match="2 groups for 3 samples"):
        bootstrap_mean([1, 0, 1], ["a", "b"])


def test_a_mean_is_drawn_as_the_auc_is() -> None:
    """The same draws: an AUC over one pair a group is the share of pairs in order."""
    right = np.random.default_rng(2).random(40) < 0.8
    labels = np.tile([0, 1], 40)
    scores = np.stack([np.full(40, 0.5), np.where(right, 1.0, 0.0)], axis=1).ravel()
    pairs = bootstrap_ci(labels, scores, np.repeat(np.arange(40), 2), n=300, seed=3)
    assert pairs == pytest.approx(bootstrap_mean(right, n=300, seed=3))


def test_arms_are_compared_by_accuracy() -> None:
    random = np.random.default_rng(0)
    groups = np.repeat(np.arange(100), 2)
    alone = random.random((3, 200)) < 0.7
    distilled = alone | (random.random((3, 200)) < 0.4)
    ours, theirs = resample_means(distilled, groups, n=200), resample_means(alone, groups, n=200)
    assert ours.values == pytest.approx(distilled.mean(axis=1)) and ours.replicates.shape == (3, 200)
    found = arm_difference(ours, theirs)
    assert found is not None and found.groups == 100
    assert found.mean == pytest.approx(distilled.mean() - alone.mean())
    assert found.verdict == "shown by both"
    with pytest.raises(EdgeproofError, match=r"values \(5,\): expected \[S, N\]"):
        resample_means(np.ones(5))
