"""Golden values by hand or in NumPy; the formulas of each task stand nowhere else."""

import math
import subprocess
import sys

import numpy as np
import pytest
import torch

from distill.data.samples import Sample
from distill.errors import EdgeproofError
from distill.evaluation.calibration import MAX_TEMPERATURE, Calibration
from distill.methods.objective import Batch, Step
from distill.recipe import LossSettings, TaskSettings
from distill.task import BINARY, Binary, Families, MultiClass, find_task, task_of_labels
from students.output import ModelOutput

THREE = MultiClass(labels=("real", "gan", "diffusion"))
FAMILIES = Families(families=("gan", "diffusion"))
STEP = Step(epoch=0, epochs=1, step=0)


def test_what_each_task_is():
    assert (BINARY.num_logits, BINARY.kind, BINARY.metric) == (1, "binary", "AUC")
    assert BINARY.labels == ("real", "generated")
    assert (THREE.num_logits, THREE.kind, THREE.metric) == (3, "multiclass", "accuracy")
    assert find_task(TaskSettings()) is BINARY
    three = TaskSettings(kind="multiclass", labels=THREE.labels)
    assert find_task(three) == THREE
    kinds = find_task(TaskSettings(kind="families", labels=("real", "gan", "diffusion")))
    assert kinds == FAMILIES and (kinds.num_logits, kinds.kind, kinds.metric) == (3, "binary", "AUC")
    assert kinds.labels == BINARY.labels, "what its samples' labels number, and what it is judged by"


def test_what_a_sidecar_says_of_each_task_tells_them_apart():
    assert BINARY.described == "binary"
    assert THREE.described == {"kind": "multiclass", "labels": ["real", "gan", "diffusion"]}
    assert FAMILIES.described == {"kind": "families", "labels": ["real", "gan", "diffusion"]}


def test_a_task_from_a_manifest():
    assert task_of_labels("binary", ("photo", "fake")) == Binary(labels=("photo", "fake"))
    assert task_of_labels("multiclass", THREE.labels) == THREE


def test_the_sigmoid_by_hand():
    found = BINARY.probabilities([0.0, math.log(3), -math.log(3), 1e4, -1e4])
    assert found.tolist() == pytest.approx([0.5, 0.75, 0.25, 1.0, 0.0])
    assert np.isfinite(found).all() and found.dtype == np.float64
    calibration = Calibration(temperature=2.0, bias=math.log(3))
    assert BINARY.probabilities([2 * math.log(2)], calibration=calibration)[0] == pytest.approx(6 / 7)
    assert BINARY.generated(found) is found


def test_the_softmax_by_hand():
    logits = np.log([[1.0, 2.0, 5.0], [2.0, 1.0, 1.0]])
    np.testing.assert_allclose(THREE.probabilities(logits), [[1 / 8, 2 / 8, 5 / 8], [1 / 2, 1 / 4, 1 / 4]])
    hot = THREE.probabilities(2 * logits, calibration=Calibration(temperature=2.0))
    np.testing.assert_allclose(hot, THREE.probabilities(logits))
    np.testing.assert_allclose(THREE.probabilities([1e4, 0.0, -1e4]), [1, 0, 0])
    with pytest.raises(
        EdgeproofError, match="the classes real, gan, diffusion do not tell whether an image is gen"
    ):
        THREE.generated(THREE.probabilities(logits))


@pytest.mark.parametrize("families", [("gan",), ("gan", "diffusion", "other")])
def test_the_binary_score_of_families_is_the_sum_of_their_soft_labels(families):
    task = Families(families=families)
    logits = np.random.default_rng(0).normal(0, 4, (50, 1 + len(families)))
    shares = MultiClass(("real", *families)).probabilities(logits)
    found = task.generated(task.probabilities(logits))
    np.testing.assert_allclose(found, shares[:, 1:].sum(axis=1), rtol=1e-9)
    np.testing.assert_allclose(BINARY.probabilities(task.answers(logits)), found, rtol=1e-12)
    tensor = torch.from_numpy(logits)
    one_by_one = torch.cat([task.deployed(row[None]) for row in tensor])
    np.testing.assert_allclose(one_by_one, task.answers(logits), rtol=1e-12)
    far = np.array([[0.0, *(1e4 for _ in families)], [1e4, *(0.0 for _ in families)]])
    assert task.probabilities(far).tolist() == pytest.approx([1.0, 0.0])
    assert torch.isfinite(task.deployed(torch.from_numpy(far[:1]))).all()


def test_families_are_judged_as_real_or_generated():
    logits = np.log([[5.0, 1.0, 2.0], [2.0, 3.0, 3.0], [1.0, 1.0, 1.0]])
    generated = BINARY.probabilities(FAMILIES.answers(logits))  # 3/8, 6/8, 2/3
    assert FAMILIES.score([0, 1, 1], logits) == BINARY.score([0, 1, 1], generated) == 1.0
    assert FAMILIES.score([0, 2, 1], logits) == 1.0, "a family's number is a generated one too"
    assert FAMILIES.loss(torch.from_numpy(logits), torch.tensor([0.0, 1.0, 1.0])) == pytest.approx(
        -(math.log(5 / 8) + math.log(6 / 8) + math.log(2 / 3)) / 3
    )
    assert FAMILIES.threshold([0, 1, 1], FAMILIES.probabilities(logits)) == pytest.approx((3 / 8 + 2 / 3) / 2)
    random = np.random.default_rng(0)
    many, labels = random.normal(0, 2, (500, 3)), random.integers(0, 2, 500)
    assert FAMILIES.calibrate(labels, many) == BINARY.calibrate(labels, FAMILIES.answers(many))


def test_what_families_learn_is_the_generator():
    samples = [
        Sample("a", 1, generator="diffusion"), Sample("b", 0), Sample("c", -1), Sample("d", 1, generator="gan"),
    ]  # fmt: skip
    assert FAMILIES.targets(samples).tolist() == [2, 0, -1, 1]
    assert BINARY.targets(samples).tolist() == [1, 0, -1, 1]
    objective = FAMILIES.ground_truth(LossSettings(), labels=np.array([0, 1, 2]))
    logits = torch.tensor([[1.0, 2.0, 5.0]]).log()
    assert objective(ModelOutput(logits, {}), batch([2.0]), STEP).item() == pytest.approx(math.log(8 / 5))
    with pytest.raises(
        EdgeproofError, match="e.png: generator 'x' to train on, expected one of gan, diffusion"
    ):
        FAMILIES.targets([Sample("e.png", 1, generator="x")])


def test_losses_by_hand():
    assert BINARY.loss(torch.tensor([math.log(3)] * 2), torch.tensor([1.0, 0.0])) == pytest.approx(
        (math.log(4 / 3) + math.log(4)) / 2
    )
    logits = torch.tensor([[1.0, 2.0, 5.0], [2.0, 1.0, 1.0]]).log()
    assert THREE.loss(logits, torch.tensor([2.0, 0.0])) == pytest.approx((math.log(8 / 5) + math.log(2)) / 2)


def test_scores_by_hand():
    # of the four pairs of a real and a fake three are in order
    assert BINARY.score([0, 0, 1, 1], [0.1, 0.4, 0.3, 0.9]) == pytest.approx(3 / 4)
    assert BINARY.score([0, 1], [-5.0, -4.0]) == 1.0
    assert THREE.score([0, 2, 1], [[3, 1, 2], [0, 1, 4], [9, 1, 2]]) == pytest.approx(2 / 3)


def test_the_temperature_that_a_set_was_drawn_with_is_found():
    """Logits four times too sure: the best temperature is 4, and the NLL has its minimum there."""
    random = np.random.default_rng(0)
    true = random.normal(0, 1.5, (4000, 3))
    chances = THREE.probabilities(true)
    labels = (chances.cumsum(axis=1) > random.random((4000, 1))).argmax(axis=1)
    found = THREE.calibrate(labels, 4 * true)
    assert found.bias == 0.0 and found.temperature == pytest.approx(4.0, rel=0.05)

    def nll(temperature):
        said = THREE.probabilities(4 * true, calibration=Calibration(temperature=temperature))
        return -np.log(said[np.arange(4000), labels]).mean()

    assert nll(found.temperature) <= min(nll(found.temperature * factor) for factor in (0.98, 1.02))
    one = BINARY.calibrate((random.random(4000) < BINARY.probabilities(true[:, 0] + 1)), 4 * true[:, 0])
    assert (one.temperature, one.bias) == (pytest.approx(4.0, rel=0.1), pytest.approx(1.0, abs=0.1))


def test_a_temperature_stays_in_its_bounds():
    wrong = 10 * np.eye(3)[[1, 2, 0]]
    assert THREE.calibrate([0, 1, 2], wrong).temperature == pytest.approx(MAX_TEMPERATURE, rel=1e-3)


def test_thresholds_are_on_the_probability_of_generated():
    """The one that parts the classes; K classes have none."""
    assert 0.2 < BINARY.threshold([0, 0, 1, 1], [0.1, 0.2, 0.3, 0.9]) <= 0.3
    assert THREE.threshold([0, 1], [[0.9, 0.1, 0.0], [0.1, 0.8, 0.1]]) is None


def batch(labels):
    count = len(labels)
    return Batch(
        torch.zeros(count, 3, 4, 4), torch.tensor(labels), torch.zeros(count, 4), torch.arange(count)
    )


@pytest.mark.parametrize(("wish", "weight"), [("auto", 3.0), ("none", 1.0), (5.0, 5.0)])
def test_the_ground_truth_of_two_classes(wish, weight):
    objective = BINARY.ground_truth(LossSettings(pos_weight=wish), labels=np.array([0, 0, 0, 1]), weight=0.5)
    loss = objective(ModelOutput(torch.tensor([math.log(3)]), {}), batch([1.0]), STEP)
    assert loss.item() == pytest.approx(0.5 * weight * math.log(4 / 3))


@pytest.mark.parametrize("tau", [1.0, 0.5])
def test_logit_adjustment_adds_the_log_odds_of_the_training_split(tau):
    settings = LossSettings(logit_adjustment=tau)
    objective = BINARY.ground_truth(settings, labels=np.array([0, 0, 0, 1]))
    loss = objective(ModelOutput(torch.zeros(1), {}), batch([1.0]), STEP)
    assert loss.item() == pytest.approx(math.log(1 + 3**tau))  # odds (1/3)^tau of a fake


@pytest.mark.parametrize("settings", [LossSettings(pos_weight="auto"), LossSettings(logit_adjustment=1.0)])
def test_the_weight_of_a_class_that_is_missing(settings):
    with pytest.raises(EdgeproofError, match="the weight of the rarer class: no generated sample among 2"):
        BINARY.ground_truth(settings, labels=np.array([0, 0]))


@pytest.mark.parametrize("shift", [math.log(0.83 / 0.17), -3.0, 0.5 * math.log(100)])
@pytest.mark.parametrize("count", [12, 2000])
def test_calibration_undoes_any_shift_of_the_logits(shift, count):
    """Whatever made up for imbalanced classes is undone, on few images as on many."""
    random = np.random.default_rng(0)
    logits = random.normal(-1.5, 2, count)
    labels = (random.random(count) < BINARY.probabilities(logits)).astype(int)
    plain, shifted = (BINARY.calibrate(labels, logits + by) for by in (0.0, shift))
    np.testing.assert_allclose(
        BINARY.probabilities(logits + shift, calibration=shifted),
        BINARY.probabilities(logits, calibration=plain),
        atol=1e-5,
    )
    assert shifted.temperature == pytest.approx(plain.temperature, rel=1e-3)
    assert shifted.bias == pytest.approx(plain.bias - shift / plain.temperature, abs=1e-3)


def test_the_ground_truth_may_be_focal():
    objective = BINARY.ground_truth(LossSettings(kind="focal", focal_gamma=1.0), labels=np.array([0, 1]))
    loss = objective(ModelOutput(torch.tensor([math.log(3)]), {}), batch([1.0]), STEP)
    assert loss.item() == pytest.approx(math.log(4 / 3) / 4)


@pytest.mark.filterwarnings("error")
def test_one_class_alone_has_a_loss_too():
    """Unless its balance is asked for, nothing is divided by its number."""
    objective = BINARY.ground_truth(LossSettings(), labels=np.array([0, 0]))
    assert objective(ModelOutput(torch.zeros(1), {}), batch([0.0]), STEP).item() == pytest.approx(math.log(2))


def test_the_ground_truth_of_several_classes():
    objective = THREE.ground_truth(LossSettings(), labels=np.array([0, 1, 2]), weight=2.0)
    logits = torch.tensor([[1.0, 2.0, 5.0], [7.0, 7.0, 7.0]]).log()
    loss = objective(ModelOutput(logits, {}), batch([2.0, -1.0]), STEP)
    assert loss.item() == pytest.approx(2 * math.log(8 / 5)), "an image without a label takes no part"
    for settings in (
        LossSettings(kind="focal"),
        LossSettings(pos_weight="auto"),
        LossSettings(logit_adjustment=1),
    ):
        with pytest.raises(
            EdgeproofError, match="focal loss, pos_weight and logit_adjustment are for one logit"
        ):
            THREE.ground_truth(settings, labels=np.array([0, 1, 2]))


def test_imports_without_torch():
    code = "import sys, distill.task\nsys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_probabilities_score_as_the_logits_they_come_from():
    random = np.random.default_rng(3)
    for task, columns, classes in (
        (BINARY, (), 2),
        (Families(("real", "a", "b")), (3,), 2),
        (MultiClass(("x", "y", "z")), (3,), 3),
    ):
        labels, logits = random.integers(0, classes, 200), random.normal(size=(200, *columns))
        calibration = Calibration(temperature=2.0, bias=0.0)
        found = task.score_of(labels, task.probabilities(logits, calibration=calibration))
        assert found == pytest.approx(task.score(labels, logits), abs=1e-12)
