"""The localiser's supervision by known boxes."""

import math

import numpy as np
import pytest
import torch
from methods_fixture import NAN, batch, bernoulli, loss_of, output

from distill.methods.face_box import FaceBox
from students.output import ModelOutput


def test_giou_and_confidence_by_hand():
    # boxes 0..4 and 2..6 squared: intersection 4, union 28, hull 36 → GIoU = 4/28 - 8/36
    out = output([0.0], boxes=torch.tensor([[0.0, 0.0, 4.0, 4.0]]), box_logits=torch.tensor([math.log(3)]))
    loss = loss_of(FaceBox(), out, batch(boxes=[[2.0, 2.0, 6.0, 6.0]]))
    assert loss.item() == pytest.approx(1 - (4 / 28 - 8 / 36) + math.log(4 / 3), rel=1e-5)


def test_boxes_apart_have_a_gradient():
    # the hull of 0..2 and 6..8 (squared) is 64, the union 8: GIoU = 0 - 56/64
    boxes = torch.tensor([[0.0, 0.0, 2.0, 2.0]], requires_grad=True)
    loss = loss_of(
        FaceBox(), output([0.0], boxes=boxes, box_logits=torch.zeros(1)), batch(boxes=[[6.0, 6.0, 8.0, 8.0]])
    )
    loss.backward()
    assert loss.item() == pytest.approx(1 + 56 / 64 + math.log(2), rel=1e-5)
    assert (boxes.grad[0, 2:] < 0).all()  # growing towards the face helps


def test_an_image_without_a_face_trains_the_confidence_alone():
    boxes = torch.tensor([[0.0, 0.0, 4.0, 4.0]], requires_grad=True)
    confidence = torch.tensor([math.log(3)], requires_grad=True)
    loss = loss_of(FaceBox(), output([0.0], boxes=boxes, box_logits=confidence), batch(boxes=[[0.0] * 4]))
    loss.backward()
    assert loss.item() == pytest.approx(math.log(4))
    assert boxes.grad is None or not boxes.grad.any()
    assert confidence.grad.item() == pytest.approx(3 / 4)


def test_unknown_boxes_take_no_part():
    known, unknown = [2.0, 2.0, 6.0, 6.0], [NAN] * 4
    one = output([0.0], boxes=torch.tensor([[0.0, 0.0, 4.0, 4.0]]), box_logits=torch.zeros(1))
    two = output(
        [0.0] * 2, boxes=torch.tensor([[0.0, 0, 4, 4], [9.0, 9, 9, 9]]), box_logits=torch.tensor([0.0, 99.0])
    )
    alone = loss_of(FaceBox(), one, batch(boxes=[known]))
    assert loss_of(FaceBox(), two, batch((0.0, 0.0), boxes=[known, unknown])).item() == pytest.approx(
        alone.item()
    )


@pytest.mark.parametrize("fields", [{}, {"boxes": torch.ones(1, 4), "box_logits": torch.ones(1)}])
def test_nothing_known_or_no_localiser_costs_nothing_but_keeps_the_graph(fields):
    logits = torch.tensor([2.0], requires_grad=True)
    loss = loss_of(FaceBox(), ModelOutput(logits=logits, features={}, **fields), batch())
    loss.backward()
    assert loss.item() == 0.0 and logits.grad.item() == 0.0


def test_maps_are_supervised_in_the_central_half_of_the_box():
    # 4 × 4 cells of 8 px on 32 px; the face 0..32 has its central half at 8..24: the four middle cells
    inside = np.zeros((4, 4))
    inside[1:3, 1:3] = 1
    boxes = torch.zeros(1, 4, 4, 4)
    boxes[:, 2:] = 32.0  # every cell predicts the face exactly
    auxiliary = {
        "confidence_map_p3": torch.full((1, 4, 4), math.log(3)),
        "box_map_p3": boxes,
        "other": torch.ones(3),
    }
    face = torch.tensor([[0.0, 0.0, 32.0, 32.0]])
    out = output([0.0], boxes=face, box_logits=torch.zeros(1), auxiliary=auxiliary)
    expected = math.log(2) + bernoulli(inside, 0.75).mean()
    assert loss_of(FaceBox(), out, batch(boxes=face.tolist())).item() == pytest.approx(expected, rel=1e-5)


def test_maps_of_an_image_without_a_face_are_all_background():
    auxiliary = {
        "confidence_map_p3": torch.full((1, 2, 2), math.log(3)),
        "box_map_p3": torch.zeros(1, 4, 2, 2),
    }
    out = output([0.0], boxes=torch.zeros(1, 4), box_logits=torch.zeros(1), auxiliary=auxiliary)
    assert loss_of(FaceBox(), out, batch(boxes=[[0.0] * 4])).item() == pytest.approx(
        math.log(2) + math.log(4)
    )
