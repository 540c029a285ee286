"""Methods on logits: golden values written out in NumPy, what the papers claim, and what one logit allows."""

import math

import numpy as np
import pytest
import torch
from methods_fixture import (
    MANY,
    NAN,
    PAIR,
    THREE,
    batch,
    bernoulli,
    build,
    loss_of,
    output,
    pair_of,
    sigmoid,
    softmax,
)

from distill.errors import EdgeproofError
from distill.methods.dist import correlation
from distill.methods.kl import softened_kl
from distill.task import MultiClass

STUDENT = [[1.0, 2.0, 0.0], [0.5, 0.0, -1.0]]
TEACHER = [[2.0, 1.0, -1.0], [0.0, 0.5, 4.0]]


def kl(target, probability):
    return (target * np.log(target / probability)).sum(-1)


def value(name, student, teacher, labels, pair=MANY, **options):
    return loss_of(build(name, pair, **options), output(student), batch(labels, teacher=teacher)).item()


# dkd


@pytest.mark.parametrize("labels", [(1.0, 2.0), (0.0, 0.0)])
def test_dkd_by_numpy(labels):
    temperature, expected = 2.0, 0.0
    for student, teacher, label in zip(STUDENT, TEACHER, map(int, labels), strict=True):
        p, q = softmax(teacher, temperature), softmax(student, temperature)
        target = kl(np.array([p[label], 1 - p[label]]), np.array([q[label], 1 - q[label]]))
        rest = [i for i in range(3) if i != label]
        others = kl(p[rest] / p[rest].sum(), q[rest] / q[rest].sum())
        expected += temperature**2 * (1.5 * target + 3.0 * others) / 2
    found = value("dkd", STUDENT, TEACHER, labels, alpha=1.5, beta=3.0, temperature=temperature)
    assert found == pytest.approx(expected, rel=1e-5)


def test_dkd_is_kl_where_both_parts_weigh_as_there():
    """KL = TCKD + (1 - p_target) · NCKD (the paper's equation 5), for one image."""
    student, teacher = [STUDENT[0]], [TEACHER[0]]
    rest = 1 - softmax(teacher)[0, 2]
    found = value("dkd", student, teacher, (2.0,), alpha=1.0, beta=rest, temperature=1.0)
    whole = softened_kl(torch.tensor(student), torch.tensor(teacher), temperature=1.0).item()
    assert found == pytest.approx(whole, rel=1e-5)


def test_dkds_target_without_a_label_is_the_teachers_choice():
    known, unknown = (value("dkd", STUDENT, TEACHER, labels) for labels in ((0.0, 2.0), (-1.0, -1.0)))
    assert unknown == pytest.approx(known) and unknown != value("dkd", STUDENT, TEACHER, (1.0, 1.0))


# dist


def pearson(one, other):
    return np.corrcoef(one, other)[0, 1]


def test_dist_by_numpy():
    student, teacher = [*STUDENT, [0.0, 3.0, 1.0]], [*TEACHER, [1.0, 1.5, -2.0]]
    p, q = softmax(teacher, 2.0), softmax(student, 2.0)
    inter = np.mean([1 - pearson(p[i], q[i]) for i in range(3)])
    intra = np.mean([1 - pearson(p[:, k], q[:, k]) for k in range(3)])
    found = value("dist", student, teacher, (0.0,) * 3, inter=0.5, intra=2.0, temperature=2.0)
    assert found == pytest.approx(4 * (0.5 * inter + 2.0 * intra), rel=1e-5)


def test_dist_of_one_logit_is_the_correlation_over_the_batch():
    student, teacher = [1.0, -0.5, 0.2, 3.0], [2.0, 0.0, -1.0, 1.0]
    expected = 1 - pearson(sigmoid(teacher), sigmoid(student))
    assert value("dist", student, teacher, (0.0,) * 4, PAIR, inter=7.0) == pytest.approx(expected, rel=1e-5)


def test_dist_ignores_scale_and_shift_of_what_it_correlates():
    rows = torch.rand(3, 5)
    torch.testing.assert_close(correlation(rows, 7 * rows + 3), torch.ones(3))
    assert correlation(rows[:, :1], rows[:, :1]).tolist() == [0.0, 0.0, 0.0], "one number tells nothing"


# logit standardization


def test_logit_standardization_by_numpy():
    def standard(logits):
        logits = np.array(logits)
        return (logits - logits.mean(1, keepdims=True)) / logits.std(1, keepdims=True)

    p, q = (softmax(standard(logits), 2.0) for logits in (TEACHER, STUDENT))
    found = value("logit_standardization", STUDENT, TEACHER, (0.0, 0.0))
    assert found == pytest.approx(4 * kl(p, q).mean(), rel=1e-5)


def test_logit_standardization_lets_the_student_choose_its_scale():
    student = (3 * np.array(TEACHER) + 5).tolist()
    found = value("logit_standardization", student, TEACHER, (0.0, 0.0))
    assert found == pytest.approx(0.0, abs=1e-6) and value("kl", student, TEACHER, (0.0, 0.0)) > 0.1


# label smoothing


def test_label_smoothing_of_one_logit_by_hand():
    # p = 3/4 and smoothing 0.2: a fake's target is 0.9, a real's 0.1
    expected = (bernoulli(0.9, 0.75) + bernoulli(0.1, 0.75)) / 2
    logit = math.log(3)
    found = loss_of(
        build("label_smoothing", smoothing=0.2), output([logit, logit, 9.0]), batch((1.0, 0.0, -1.0))
    )
    assert found.item() == pytest.approx(expected, rel=1e-5)


def test_label_smoothing_of_three_classes_by_numpy():
    logs = np.log(softmax(STUDENT))
    targets = 0.7 * np.eye(3)[[1, 0]] + 0.1
    found = loss_of(build("label_smoothing", MANY, smoothing=0.3), output(STUDENT), batch((1.0, 0.0)))
    assert found.item() == pytest.approx(-(targets * logs).sum(1).mean(), rel=1e-5)


def test_label_smoothing_without_a_label_costs_nothing():
    assert loss_of(build("label_smoothing"), output([3.0]), batch((-1.0,))).item() == 0.0


def test_label_smoothing_listens_to_nobody():
    method = build("label_smoothing", pair_of(names=()))
    assert method.teachers == () and not method.needs.features
    with pytest.raises(EdgeproofError) as caught:
        build("label_smoothing", teachers=("teacher",))
    assert str(caught.value) == (
        "distillation.methods: label_smoothing: listens to no teacher, found teachers = ['teacher']; leave the key out"
    )


# all of them


@pytest.mark.parametrize("name", ["dist", "dkd", "kl", "logit_mse", "logit_standardization"])
def test_a_perfect_student_of_three_classes_has_nothing_to_learn(name):
    logits = torch.tensor(TEACHER, requires_grad=True)
    said = output(TEACHER)._replace(logits=logits)
    loss = loss_of(build(name, MANY), said, batch((0.0, 1.0), teacher=TEACHER))
    loss.backward()
    assert loss.item() == pytest.approx(0.0, abs=1e-5) and logits.grad.abs().max() < 1e-4


@pytest.mark.parametrize("name", ["dist", "logit_mse", "soft_bce"])
def test_a_perfect_student_of_one_logit_has_nothing_to_learn(name):
    assert value(name, [1.0, -2.0], [1.0, -2.0], (0.0, 1.0), PAIR) == pytest.approx(0.0, abs=1e-6)


TWO = pair_of(MultiClass(labels=("real", "generated")))


@pytest.mark.parametrize(
    ("name", "pair", "message"),
    [
        (
            "dkd",
            PAIR,
            "dkd weighs the classes beside the target, and with 1 logit there is but one: its NCKD is zero; use soft_bce",
        ),
        (
            "dkd",
            TWO,
            "dkd weighs the classes beside the target, and with 2 logits there is but one: its NCKD is zero; use kl",
        ),
        ("kl", PAIR, "kl is identically zero for one logit; use soft_bce or logit_mse"),
        (
            "logit_standardization",
            PAIR,
            "logit_standardization: the z-score of one logit is always 0, whatever the student says; use soft_bce or dist",
        ),
        (
            "logit_standardization",
            TWO,
            "logit_standardization: the z-score of two logits is always 1 and -1, whatever the student says; use kl or dist",
        ),
        ("soft_bce", MANY, "soft_bce is for one logit, not 3; use kl or logit_mse"),
    ],
)
def test_what_cannot_work_says_why(name, pair, message):
    with pytest.raises(EdgeproofError) as caught:
        build(name, pair)
    assert str(caught.value) == f"distillation.methods: {message}"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"warmup": 0.5, "until": 0.25}, "warmup = 0.5, until = 0.25"),
        ({"until": 0.0}, "until"),
        ({"warmup": 1.5}, "warmup"),
    ],
)
def test_a_schedule_that_cannot_be_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        build("logit_mse", **settings)


def test_unknown_boxes_do_not_matter_to_logits():
    seen = batch((0.0, 1.0), boxes=[[NAN] * 4] * 2, teacher=TEACHER)
    assert loss_of(build("dist", pair_of(THREE)), output(STUDENT), seen).isfinite()
