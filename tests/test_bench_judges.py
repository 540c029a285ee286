"""What differs between judging two classes and K: measures, statistics of arms, differences, and the gate on INT8."""

import numpy as np
import pytest

from bench.gate import accuracy_gate
from bench.judges import BinaryJudge, ClassJudge, judge_of
from bench.records.accuracy import ModelAccuracy, Reliability
from bench.records.identity import identity_of
from distill.evaluation.arms import resample
from distill.evaluation.calibration import Calibration
from distill.evaluation.classes import class_metrics
from distill.evaluation.metrics import binary_metrics
from distill.recipe import GateSettings, parse_recipe
from distill.roster import roster_of
from distill.task import BINARY, Families, MultiClass

LABELS = np.array([0, 1, 2, 2, 1, 0])
OURS = np.eye(3)[[0, 1, 2, 2, 1, 1]]
THEIRS = np.eye(3)[[0, 1, 1, 2, 0, 1]]
GROUPS = ("a", "a", "b", "c", "d", "e")


def test_each_task_has_its_judge() -> None:
    assert isinstance(judge_of(BINARY), BinaryJudge)
    assert isinstance(judge_of(Families(families=("a", "b"))), BinaryJudge)
    assert isinstance(judge_of(MultiClass(("a", "b"))), ClassJudge)
    assert (BinaryJudge().measure, ClassJudge().measure) == ("auc", "accuracy")
    assert BinaryJudge().statistics == ("auc", "tpr_at_5fpr", "tpr_at_1fpr")
    assert ClassJudge().statistics == ("accuracy",)


def test_two_classifiers_are_compared_by_the_images_they_get_right() -> None:
    found = ClassJudge().paired(LABELS, OURS, THEIRS, GROUPS, n=400)
    assert found.difference == pytest.approx(5 / 6 - 3 / 6)
    assert found.ci is not None and found.ci[0] == 0.0 and found.ci[1] > found.difference, "never is it worse"
    same = ClassJudge().paired(LABELS, OURS, OURS, GROUPS, n=50)
    assert (same.difference, same.ci) == (0.0, (0.0, 0.0))


def test_what_k_classes_do_not_have() -> None:
    judge = ClassJudge()
    assert judge.refit(LABELS, OURS) is None and judge.roc(LABELS, OURS) is None
    assert judge.tells(LABELS) and not judge.tells(LABELS[:0])
    assert judge.reliability(LABELS, OURS).accuracy[-1] == pytest.approx(5 / 6)
    with pytest.raises(ValueError, match="a binary model has a threshold"):
        BinaryJudge().metrics(
            np.array([0, 1]), np.array([0.1, 0.9]), threshold=None, groups=GROUPS[:2], resamples=0
        )


def test_arms_of_two_classes_are_resampled_as_before() -> None:
    """All three statistics; replicates of the last epoch of the AUC alone."""
    random = np.random.default_rng(0)
    labels, scores = random.integers(0, 2, 60), random.normal(size=(2, 60))
    groups = [str(number // 2) for number in range(60)]
    judge, whole = BinaryJudge(), resample(labels, scores, groups)
    best, last = (judge.resampled(labels, scores, groups, epoch) for epoch in ("best", "last"))
    assert list(best) == list(last) == [*judge.statistics]
    for name in judge.statistics:
        np.testing.assert_array_equal(best[name].replicates, whole[name].replicates)
        np.testing.assert_array_equal(last[name].values, whole[name].values)
    assert last["tpr_at_1fpr"].replicates.shape == (2, 0) and last["auc"].replicates.size


def test_arms_of_k_classes_are_resampled_by_accuracy() -> None:
    found = ClassJudge().resampled(LABELS, np.stack([OURS, THEIRS]), GROUPS, "best")
    assert found["accuracy"].values.tolist() == pytest.approx([5 / 6, 3 / 6])
    assert found["accuracy"].groups == 5 and found["accuracy"].replicates.shape[0] == 2


@pytest.mark.parametrize(("limit", "passed"), [(0.4, True), (0.3, False)])
def test_the_gate_holds_int8_to_its_drop_of_accuracy(limit: float, passed: bool) -> None:
    recipe = parse_recipe(
        {"name": "g", "data": {"path": "x"}, "students": {"s": {"name": "small_cnn"}}}, origin="r"
    )
    roster = roster_of(recipe, runtimes={"nncf": "openvino"})
    nothing = Reliability(confidence=(), accuracy=(), count=())

    def model(item, probabilities) -> ModelAccuracy:
        return ModelAccuracy(
            identity=identity_of(item), threshold=None, refit_threshold=None, calibration=Calibration(),
            splits={"test": class_metrics(LABELS, probabilities, resamples=0)}, generators={}, roc=None,
            reliability=nothing,
        )  # fmt: skip

    items = [*roster.models, *roster.judged]
    models = {
        item.key: model(item, THEIRS if getattr(item, "precision", "") == "int8" else OURS) for item in items
    }
    gate = accuracy_gate(
        models,
        teacher=roster.teachers[0],
        limits=GateSettings(accuracy_drop=limit, auc_drop=0.0, above_chance=-1, teacher_gap=1),
    )
    assert [(check.name, check.measure) for check in gate.checks] == [
        ("s-openvino-int8-nncf accuracy drop", "accuracy_drop"),
        ("s loss against the teacher", "teacher_gap"),
        ("s-openvino-int8-nncf loss against the teacher", "teacher_gap"),
    ]
    assert gate.checks[0].value == pytest.approx(2 / 6) and gate.passed is passed
    accepted = accuracy_gate(
        models, teacher=roster.teachers[0],
        limits=GateSettings(
            accuracy_drop=limit, above_chance=-1, teacher_gap=1, accept=(gate.checks[0].name,)
        ),
    )  # fmt: skip
    assert accepted.passed


def test_the_measure_of_each_task_and_what_guessing_scores() -> None:
    two = binary_metrics([0, 1, 1], [0.2, 0.6, 0.1], threshold=0.5, resamples=0)
    many = class_metrics(LABELS, OURS, resamples=0)
    assert (two.score, two.guess, two.accuracy) == (two.auc, 0.5, None)
    assert (many.score, many.guess, many.auc) == (5 / 6, 2 / 6, None)
