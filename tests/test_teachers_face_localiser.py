import numpy as np
import pytest
import torch
from torch import nn
from torchvision.ops import roi_align

from teachers.cbam import CBAM
from teachers.face_localiser import FaceLocaliser, crop_regions, decode_boxes

SIZE = (32, 64)  # height, width


@pytest.fixture
def localiser():
    torch.manual_seed(0)
    return FaceLocaliser(8)


@pytest.fixture
def levels():
    generator = torch.Generator().manual_seed(1)
    shapes = {"p3": (2, 8, 4, 8), "p4": (2, 8, 2, 4)}
    return {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}


def test_decoded_boxes_by_hand():
    distances = torch.tensor([0.1, 0.2, 0.3, 0.4]).view(1, 4, 1, 1).expand(1, 4, 1, 2)
    # Cell centres of a 1 × 2 map on a 32 × 64 image: (16, 16) and (48, 16).
    expected = [[16 - 6.4, 16 - 6.4, 16 + 19.2, 16 + 12.8], [48 - 6.4, 16 - 6.4, 48 + 19.2, 16 + 12.8]]
    torch.testing.assert_close(decode_boxes(distances, SIZE)[0, :, 0].T, torch.tensor(expected))


def test_first_boxes_span_half_of_the_image(localiser, levels):
    nn.init.zeros_(localiser.distances.weight)
    found = localiser(levels, SIZE)
    sides = found.box_maps["p4"][:, 2:] - found.box_maps["p4"][:, :2]
    torch.testing.assert_close(sides[:, 0], torch.full((2, 2, 4), 32.0))
    torch.testing.assert_close(sides[:, 1], torch.full((2, 2, 4), 16.0))


def test_boxes_never_shrink_to_a_point(localiser, levels):
    nn.init.constant_(localiser.distances.bias, -30.0)
    boxes = localiser(levels, SIZE).boxes
    assert torch.all(boxes[:, 2] - boxes[:, 0] > 0.09 * 64)
    assert torch.all(boxes[:, 3] - boxes[:, 1] > 0.09 * 32)


def test_chosen_box_is_the_softmax_weighted_mean(localiser, levels):
    found = localiser(levels, SIZE)
    logits = np.concatenate([m[0].detach().numpy().ravel() for m in found.confidence_maps.values()])
    boxes = np.concatenate([m[0].detach().numpy().reshape(4, -1) for m in found.box_maps.values()], axis=1)
    weights = np.exp(logits) / np.exp(logits).sum()
    mean = (boxes * weights).sum(1)
    np.testing.assert_allclose(found.boxes[0].detach(), np.clip(mean, 0, [64, 32, 64, 32]), rtol=1e-4)
    np.testing.assert_allclose(found.box_logits[0].detach(), (logits * weights).sum(), atol=1e-6)


@pytest.mark.parametrize(("bias", "whole"), [(-30.0, True), (30.0, False)])
def test_region_falls_back_to_the_whole_image_without_confidence(localiser, levels, bias, whole):
    nn.init.constant_(localiser.confidence.bias, bias)
    found = localiser(levels, SIZE)
    image = torch.tensor([0.0, 0.0, 64.0, 32.0]).expand(2, 4)
    torch.testing.assert_close(found.regions, image if whole else found.boxes)
    assert not torch.allclose(found.boxes, image)


def test_boxes_stay_inside_the_image(localiser, levels):
    nn.init.constant_(localiser.distances.bias, 5.0)
    found = localiser(levels, SIZE)
    torch.testing.assert_close(found.boxes, torch.tensor([0.0, 0.0, 64.0, 32.0]).expand(2, 4))
    assert found.box_maps["p3"].min() < -64  # the maps that a box loss reads keep their gradient


def test_crop_equals_torchvision_roi_align():
    torch.manual_seed(0)
    features = torch.randn(4, 3, 4, 8)
    boxes = torch.tensor([[0, 0, 64, 32], [10.5, 3, 40, 30], [30, 10, 31, 11], [40, 0, 64, 8.0]])
    expected = roi_align(features, list(boxes.split(1)), 5, 1 / 8, sampling_ratio=2, aligned=True)
    torch.testing.assert_close(crop_regions(features, boxes, SIZE, bins=5), expected, atol=1e-5, rtol=1e-5)


def test_crop_has_the_box_gradient_that_torchvision_lacks():
    features = torch.randn(1, 3, 4, 8, generator=torch.Generator().manual_seed(0)).double().requires_grad_()
    boxes = torch.tensor([[10.5, 3, 40, 29]], dtype=torch.float64, requires_grad=True)
    roi_align(features, [boxes], 2, 1 / 8, sampling_ratio=2, aligned=True).sum().backward()
    assert boxes.grad is None or not boxes.grad.any()
    assert torch.autograd.gradcheck(lambda f, b: crop_regions(f, b, SIZE, bins=2), (features, boxes))


class Exported(nn.Module):
    """What is not a plain convolution in the teacher: attention, localiser and crop."""

    def __init__(self, localiser: FaceLocaliser) -> None:
        super().__init__()
        self.cbam, self.localiser = CBAM(8), localiser

    def forward(self, p3, p4):
        p3 = self.cbam(p3)
        found = self.localiser({"p3": p3, "p4": p4}, SIZE)
        return crop_regions(p3, found.regions, SIZE), found.boxes, found.box_logits


def test_exported_graph_gives_the_same_numbers(localiser, levels, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    nn.init.normal_(localiser.confidence.weight)
    nn.init.normal_(localiser.distances.weight, std=0.1)
    model = Exported(localiser).eval()
    inputs = tuple(level[:1] for level in levels.values())
    path = tmp_path / "localiser.onnx"
    torch.onnx.export(model, inputs, path, dynamo=True, external_data=False, opset_version=18, verbose=False)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [argument.name for argument in session.get_inputs()]
    outputs = session.run(None, {n: level.numpy() for n, level in zip(names, inputs, strict=True)})
    with torch.no_grad():
        expected = model(*inputs)
    for output, tensor in zip(outputs, expected, strict=True):
        np.testing.assert_allclose(output, tensor.numpy(), atol=1e-4)
