import inspect
import math
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from methods_fixture import (
    MANY,
    PAIR,
    STUDENT,
    TEACHER,
    batch,
    bernoulli,
    build,
    gradient,
    loss_of,
    maps,
    output,
    pair_of,
    sigmoid,
)

from distill.errors import EdgeproofError
from distill.methods import METHODS, Link, Method, Needs, Pair, build_method, features_of
from distill.methods.hint import Hint, hint_loss
from distill.methods.kl import KL, softened_kl
from distill.methods.logit_mse import LogitMSE
from distill.methods.objective import Step
from distill.methods.soft_bce import SoftBCE, soft_bce
from distill.probe import FeatureMap
from distill.recipe import MethodSettings
from students.output import ModelOutput

# soft_bce


@pytest.mark.parametrize("temperature", [1.0, 2.0, 5.0])
def test_soft_bce_by_numpy(temperature):
    student, teacher = [1.5, -0.5, 0.2], [3.0, -2.0, 0.7]
    target, probability = (sigmoid(np.array(v) / temperature) for v in (teacher, student))
    expected = temperature**2 * (bernoulli(target, probability) - bernoulli(target, target)).mean()
    method = SoftBCE(PAIR, temperature=temperature)
    assert loss_of(method, output(student), batch(teacher=teacher)).item() == pytest.approx(
        expected, rel=1e-5
    )


def test_soft_bce_by_hand():
    # teacher 3/4, student 1/2: KL = 3/4 ln(3/2) + 1/4 ln(1/2)
    loss = soft_bce(torch.tensor([0.0]), torch.tensor([math.log(3)]), temperature=1.0)
    assert loss.item() == pytest.approx(0.75 * math.log(1.5) + 0.25 * math.log(0.5))


@pytest.mark.parametrize("temperature", [1.0, 2.0, 5.0])
def test_soft_bce_of_the_teacher_itself_is_zero(temperature):
    logits = torch.tensor([3.0, -2.0, 0.1])
    assert soft_bce(logits, logits, temperature=temperature).item() == 0.0


@pytest.mark.parametrize("temperature", [1.0, 2.0, 5.0])
def test_soft_bce_gradient_by_numpy(temperature):
    # d/ds T² · BCE(σ(s/T), σ(t/T)) = T · (σ(s/T) - σ(t/T))
    grad = gradient(lambda x: soft_bce(x, torch.tensor([3.0]), temperature=temperature), 1.0)
    assert grad.item() == pytest.approx(temperature * (sigmoid(1 / temperature) - sigmoid(3 / temperature)))


def test_soft_bce_gradient_does_not_vanish_with_temperature():
    # for T → ∞ it tends to a quarter of the difference of the logits: logit matching (Hinton et al. 2015, 2.1)
    grad = gradient(lambda x: soft_bce(x, torch.tensor([3.0]), temperature=1000.0), 1.0)
    assert grad.item() == pytest.approx((1.0 - 3.0) / 4, rel=1e-3)


def test_soft_bce_is_stationary_at_the_teacher():
    assert gradient(lambda x: soft_bce(x, torch.tensor([0.8]), temperature=4.0), 0.8).abs().item() < 1e-7


def test_soft_bce_refuses_several_logits():
    with pytest.raises(EdgeproofError, match="soft_bce is for one logit, not 3; use kl or logit_mse"):
        SoftBCE(MANY)


# logit_mse


def test_logit_mse_by_hand():
    assert loss_of(LogitMSE(PAIR), output([1.0, -2.0]), batch(teacher=[3.0, 1.0])).item() == pytest.approx(
        (4 + 9) / 2
    )


def test_logit_mse_of_two_classes_by_hand():
    assert loss_of(LogitMSE(PAIR), output([[1.0, 0.0]]), batch(teacher=[[0.0, 3.0]])).item() == pytest.approx(
        (1 + 9) / 2
    )


# kl


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_kl_by_numpy(temperature):
    student, teacher = (
        np.array([[1.0, 2.0, 0.0], [0.5, 0.0, -1.0]]),
        np.array([[2.0, 1.0, 0.0], [0.0, 0.0, 4.0]]),
    )

    def softmax(x):
        return np.exp(x / temperature) / np.exp(x / temperature).sum(1, keepdims=True)

    p, q = softmax(teacher), softmax(student)
    expected = temperature**2 * (p * np.log(p / q)).sum(1).mean()
    method = KL(MANY, temperature=temperature)
    assert loss_of(method, output(student.tolist()), batch(teacher=teacher.tolist())).item() == pytest.approx(
        expected, rel=1e-5
    )


def test_kl_of_logits_zero_and_z_is_soft_bce():
    student, teacher, temperature = torch.tensor([1.5, -0.5]), torch.tensor([3.0, -2.0]), 2.0
    pairs = [torch.stack([torch.zeros(2), value], dim=1) for value in (student, teacher)]
    expected = soft_bce(student, teacher, temperature=temperature).item()
    assert softened_kl(*pairs, temperature=temperature).item() == pytest.approx(expected, rel=1e-5)


def test_kl_refuses_one_logit():
    with pytest.raises(
        EdgeproofError, match="kl is identically zero for one logit; use soft_bce or logit_mse"
    ):
        KL(PAIR)


@pytest.mark.parametrize("method", [KL(MANY), LogitMSE(PAIR), SoftBCE(PAIR), Hint(PAIR)])
def test_a_method_without_its_teacher_says_so(method):
    with pytest.raises(ValueError, match=rf"{method.name} needs what teacher said, but the batch holds \[\]"):
        loss_of(method, output([1.0], features={"s2": torch.zeros(1, 8, 1, 1)}), batch())


# hint


def test_hint_loss_by_hand():
    # one cell: student (3, 4) → (0.6, 0.8), teacher (1, 0); difference (-0.4, 0.8)
    student, teacher = torch.tensor([3.0, 4.0]), torch.tensor([1.0, 0.0])
    loss = hint_loss(student.view(1, 2, 1, 1), teacher.view(1, 2, 1, 1))
    assert loss.item() == pytest.approx(0.16 + 0.64)


def test_hint_pools_the_larger_map_down():
    student = torch.tensor([[1.0, 3.0], [5.0, 7.0]]).view(1, 1, 2, 2).repeat(1, 2, 1, 1)
    student[:, 1] = torch.tensor([[0.0, 0.0], [0.0, 16.0]])  # means 4 and 4
    teacher = torch.tensor([1.0, 1.0]).view(1, 2, 1, 1)
    assert hint_loss(student, teacher).item() == pytest.approx(0.0, abs=1e-6)
    assert hint_loss(teacher, student).item() == pytest.approx(0.0, abs=1e-6)


def test_hint_ignores_the_size_of_activations():
    student, teacher = torch.rand(2, 3, 4, 4), torch.rand(2, 3, 4, 4)
    assert hint_loss(1000 * student, teacher).item() == pytest.approx(
        hint_loss(student, teacher).item(), rel=1e-4
    )


def test_the_hints_projection_trains_and_stays_out_of_the_student():
    student = torch.nn.Conv2d(3, 4, 1)
    before = set(student.state_dict())
    hint = Hint(Pair({"s": FeatureMap(4, 8, 4)}, {"teacher": {"t": FeatureMap(6, 4, 4)}}))
    features = {"s": student(torch.rand(2, 3, 8, 8))}
    out = ModelOutput(logits=torch.zeros(2), features=features)
    loss_of(hint, out, batch((0.0, 1.0), features={"t": torch.rand(2, 6, 4, 4).half()})).backward()
    assert hint.projection.weight.grad.abs().sum() > 0 and student.weight.grad.abs().sum() > 0
    assert set(student.state_dict()) == before
    assert {name.split(".")[0] for name in hint.state_dict()} == {"projection"}


def test_a_hint_without_the_teachers_feature_says_so():
    hint = Hint(Pair({"s": FeatureMap(1, 1, 1)}, {"teacher": {"t": FeatureMap(1, 1, 1)}}))
    with pytest.raises(ValueError, match="feature 't'"):
        loss_of(
            hint,
            output([0.0], features={"s": torch.zeros(1, 1, 1, 1)}),
            batch(features={"u": torch.zeros(1, 1, 1, 1)}),
        )


# table


SEVERAL = ("several_teachers",)
CLASSES = ("dkd", "kl", "logit_standardization")  # whose mathematics want more than one logit


def built(name, **options):
    """Any method of the table, on a task that it is made for."""
    names = ("teacher", "second") if name in SEVERAL else ("teacher",)
    given = {"teachers": names} if name in SEVERAL else {}
    task = MANY.task if name in CLASSES else None
    return build(name, pair_of(task, names=names), samples=16, weight=0.25, **given, **options)


def lesson(name, *, seed=0):
    """What a student and its teachers say of four images."""
    torch.manual_seed(seed)
    shape = (4, 3) if name in CLASSES else (4,)
    features = {**maps(TEACHER, seed=seed + 1), "boxes": torch.tensor([[4.0, 4, 20, 20]] * 4)}
    features |= {"box_logits": torch.ones(4), "attention.p2": torch.rand(4, 1, 8, 8)}
    features |= {"attention.p3": torch.rand(4, 1, 4, 4)}
    said = {key: value.clone().requires_grad_() for key, value in features.items()}
    student = ModelOutput(torch.randn(shape, requires_grad=True), maps(STUDENT, seed=seed + 2, grad=True))
    seen = batch((0.0, 1.0, 1.0, 0.0))
    teachers = {
        key: ModelOutput(torch.randn(shape, requires_grad=True), said) for key in ("teacher", "second")
    }
    return student, seen._replace(teachers=teachers, images=torch.randn(4, 3, 32, 32))


@pytest.mark.parametrize("autocast", [False, True])
@pytest.mark.parametrize("name", sorted(METHODS))
def test_every_method_teaches_the_student_and_not_the_teacher(name, autocast):
    method = built(name)
    assert (method.name, method.weight, method.warmup, method.until) == (name, 0.25, 0.0, 1.0)
    student, seen = lesson(name)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
        loss = loss_of(method, student, seen)
    assert loss.ndim == 0 and loss.isfinite() and loss.dtype == torch.float32
    loss.backward()
    reached = [value.grad for value in (student.logits, *student.features.values()) if value.grad is not None]
    assert any(grad.abs().sum() > 0 for grad in reached)
    theirs = [value for said in seen.teachers.values() for value in (said.logits, *said.features.values())]
    assert all(value.requires_grad and value.grad is None for value in theirs)


@pytest.mark.parametrize("name", sorted(set(METHODS) - {"crd"}))  # which draws anew at every step
def test_every_methods_schedule(name):
    """Linear up to its weight, nothing any more from ``until`` on."""
    method = built(name, warmup=0.25, until=0.75)
    full = built(name)
    full.load_state_dict(method.state_dict())
    student, seen = lesson(name)
    method.eval(), full.eval()  # fmt: skip
    whole = loss_of(full, student, seen).item()
    expected = {0: 0.0, 10: 0.4 * whole, 25: whole, 74: whole, 75: 0.0, 99: 0.0}
    for number, loss in expected.items():
        found = loss_of(method, student, seen, Step(epoch=0, epochs=1, step=number, steps=100))
        assert found.item() == pytest.approx(loss, rel=1e-4, abs=1e-6)
        assert found.requires_grad is (number < 75)


@pytest.mark.parametrize("name", sorted(set(METHODS) - {"label_smoothing", "mutual"}))
def test_every_method_that_listens_wants_a_teacher(name):
    with pytest.raises(EdgeproofError, match=f"{name} listens to no teacher, expected one"):
        build(name, pair_of(MANY.task, names=()))


def test_a_hint_takes_the_last_features_unless_told():
    last = build_method(MethodSettings(name="hint"), pair=PAIR)
    assert last.links == (Link("s2", "t2"),)
    assert last.projection.weight.shape == (32, 8, 1, 1)
    told = build_method(MethodSettings(name="hint", student_feature="s1", teacher_feature="t1"), pair=PAIR)
    assert told.projection.weight.shape == (16, 4, 1, 1)


@pytest.mark.parametrize(
    ("settings", "pair", "message"),
    [
        (
            {"name": "hints"},
            PAIR,
            "unknown distillation method 'hints'; choose one of: .*hint, .*kl, .*logit_mse, .*soft_bce, .*or name your "
            "own as module:factory",
        ),
        ({"name": "kl"}, PAIR, "kl is identically zero for one logit; use soft_bce or logit_mse"),
        ({"name": "soft_bce"}, MANY, "soft_bce is for one logit, not 3; use kl or logit_mse"),
        (
            {"name": "hint", "teacher_feature": "t9"},
            PAIR,
            "unknown teacher feature 't9'; choose one of: t1, t2",
        ),
        (
            {"name": "hint", "student_feature": "s9"},
            PAIR,
            "unknown student feature 's9'; choose one of: s1, s2",
        ),
        (
            {"name": "kl", "temprature": 2},
            MANY,
            "distillation.methods: kl: unknown option 'temprature'; choose one of: temperature",
        ),
        (
            {"name": "soft_bce", "temperature": 0},
            PAIR,
            "distillation.methods: soft_bce: option temperature is 0, expected greater than 0",
        ),
        (
            {"name": "logit_mse", "temperature": 2.0},
            PAIR,
            "distillation.methods: logit_mse: unknown option 'temperature'",
        ),
        (
            {"name": "hint"},
            Pair(student={}, teachers=PAIR.teachers),
            "student feature: the model offers none",
        ),
        (
            {"name": "logit_mse"},
            Pair(student=PAIR.student, teachers={}),
            "distillation.methods: logit_mse listens to no teacher, expected one",
        ),
    ],
)
def test_a_method_that_does_not_fit_is_named(settings, pair, message):
    with pytest.raises(EdgeproofError, match=message) as caught:
        build_method(MethodSettings(**settings), pair=pair)
    assert "\n" not in str(caught.value)


def test_only_hints_want_features_each_once():
    plain, hint, again, other = (
        build_method(MethodSettings(**settings), pair=PAIR)
        for settings in (
            {"name": "logit_mse"},
            {"name": "hint"},
            {"name": "hint"},
            {"name": "hint", "teacher_feature": "t1"},
        )
    )
    assert features_of([plain]) == {"teacher": ()}
    assert features_of([plain, hint, again]) == {"teacher": ("t2",)}
    assert features_of([plain, hint, again, other]) == {"teacher": ("t1", "t2")}


def test_features_are_told_apart_by_teacher():
    """A method may listen to several teachers and read other features of each."""

    class Both(Method):
        name = "both"

        @property
        def needs(self):
            return Needs(features={"large": ("l",), "face": ("f",)})

    shape = FeatureMap(8, 4, 8)
    pair = Pair(student=PAIR.student, teachers={"large": {"l": shape}, "face": {"f": shape}})
    only = LogitMSE(Pair(student=PAIR.student, teachers={"third": {}}))
    assert features_of([Both(pair), only]) == {"large": ("l",), "face": ("f",), "third": ()}


def test_a_method_hears_its_own_teacher_alone():
    method = LogitMSE(Pair(student=PAIR.student, teachers={"face": {}}))
    said = {name: output([value]) for name, value in (("teacher", 9.0), ("face", 3.0))}
    seen = batch()._replace(teachers=said)
    assert loss_of(method, output([1.0]), seen).item() == pytest.approx(4.0)


def test_the_guide_lists_every_method_with_its_options():
    text = (Path(__file__).parents[1] / "docs" / "methods.md").read_text(encoding="utf-8")
    rows = {
        match[1]: match[0] for match in re.finditer(r"^\|[^|]*\| `(\w+)` \|.*$", text, flags=re.MULTILINE)
    }
    assert set(rows) == set(METHODS)
    for name, method in METHODS.items():
        options = set(inspect.signature(method).parameters) - {"pair", "weight"}
        last = rows[name].rsplit("|", 2)[1]
        many, one = {"student_features", "teacher_features"}, {"student_feature", "teacher_feature"}
        shown = set(re.findall(r"`(\w+)`", last)) | (
            many if " FF" in last else one if " F" in last else set()
        )
        assert options <= shown, name
