"""The labels' loss."""

import math

import numpy as np
import pytest
import torch
from methods_fixture import batch, gradient, loss_of, output

from distill.methods.ground_truth import GroundTruth, focal_loss


def test_bce_of_two_logits_by_hand():
    # p = 3/4 at logit ln 3: a fake costs -ln(3/4), a real -ln(1/4)
    loss = loss_of(GroundTruth(), output([math.log(3), math.log(3)]), batch((1.0, 0.0)))
    assert loss.item() == pytest.approx((math.log(4 / 3) + math.log(4)) / 2)


def test_pos_weight_scales_the_fakes_alone():
    loss = loss_of(GroundTruth(pos_weight=5.0), output([math.log(3), math.log(3)]), batch((1.0, 0.0)))
    assert loss.item() == pytest.approx((5 * math.log(4 / 3) + math.log(4)) / 2)


def test_focal_loss_by_hand():
    # missed probability 1/4 for the fake, 3/4 for the real, both squared
    loss = loss_of(
        GroundTruth(kind="focal", gamma=2.0), output([math.log(3), math.log(3)]), batch((1.0, 0.0))
    )
    assert loss.item() == pytest.approx((math.log(4 / 3) / 16 + math.log(4) * 9 / 16) / 2)


def test_focal_loss_with_pos_weight_by_hand():
    loss = loss_of(
        GroundTruth(kind="focal", gamma=1.0, pos_weight=2.0), output([math.log(3), 0.0]), batch((1.0, 0.0))
    )
    assert loss.item() == pytest.approx((2 * math.log(4 / 3) / 4 + math.log(2) / 2) / 2)


def test_gamma_is_ignored_for_plain_bce():
    one, other = (
        loss_of(GroundTruth(kind="bce", gamma=gamma), output([0.3]), batch((1.0,))) for gamma in (0.0, 4.0)
    )
    assert one == other


@pytest.mark.parametrize("gamma", [0.0, 2.0])
def test_the_loss_of_a_label_in_between_is_that_of_both(gamma):
    logits, weight = torch.tensor([0.7]), torch.tensor(3.0)
    one, zero, mixed = (
        focal_loss(logits, torch.tensor([label]), gamma=gamma, pos_weight=weight).item()
        for label in (1.0, 0.0, 0.3)
    )
    assert mixed == pytest.approx(0.3 * one + 0.7 * zero)


def test_logit_adjustment_by_hand():
    # ln 3 is added to 0: p = 3/4, a fake costs -ln(3/4)
    loss = loss_of(GroundTruth(adjustment=math.log(3)), output([0.0]), batch((1.0,)))
    assert loss.item() == pytest.approx(math.log(4 / 3))


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0])
def test_focal_gradient_is_finite_where_the_sigmoid_saturates(gamma):
    labels = torch.tensor([1.0, 0.0, 1.0, 0.0])
    grad = gradient(lambda x: focal_loss(x, labels, gamma=gamma), 200.0, -200.0, -200.0, 200.0)
    assert grad.isfinite().all()
    assert grad[2] < 0 < grad[3]  # the missed ones still pull


def test_cross_entropy_of_three_classes():
    logits = np.array([[1.0, 2.0, 0.5], [0.0, -1.0, 3.0]])
    expected = -(logits - np.log(np.exp(logits).sum(1, keepdims=True)))[[0, 1], [2, 1]].mean()
    assert loss_of(GroundTruth(), output(logits.tolist()), batch((2.0, 1.0))).item() == pytest.approx(
        expected
    )


def test_the_weight_multiplies_the_loss():
    plain, heavy = (loss_of(GroundTruth(weight=w), output([1.0]), batch((1.0,))).item() for w in (1.0, 2.5))
    assert heavy == pytest.approx(2.5 * plain)
