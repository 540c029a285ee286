"""A student that post-training INT8 ruins: it is seen, and training with quantization in the loop repairs it."""

import copy
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from collapse_fixture import CALIBRATION, SPEC, TRAIN, VALID, Depthwise, Scores, plant, scores, taught, train
from training_fixture import network as tiny_network

from distill.methods.ground_truth import GroundTruth
from distill.training.fake_quant import FakeQuantized, InputQuantizer
from distill.training.inference import predict
from distill.training.normalize import normalize

TOOLS = ("nncf", "ort")


@dataclass(frozen=True)
class Collapse:
    before: Scores
    after: Scores
    names: tuple[tuple[str, ...], tuple[str, ...]]


@pytest.fixture(scope="session")
def collapse(tmp_path_factory) -> Collapse:
    folder = tmp_path_factory.mktemp("collapse")
    torch.manual_seed(0)
    student = Depthwise()
    train(student, folder / "student", objectives=[GroundTruth()], epochs=6, learning_rate=4e-3)
    unplanted = predict(student, VALID)
    plant(student)
    torch.testing.assert_close(predict(student, VALID), unplanted, atol=1e-3, rtol=1e-3)
    before, names = scores(student, folder / "before"), tuple(student.state_dict())
    teacher = copy.deepcopy(student)
    again = fake_quantized(student).train()
    train(again, folder / "again", objectives=taught(), teacher=teacher, epochs=4, learning_rate=1.5e-4)
    plain = again.plain()
    return Collapse(before, scores(plain, folder / "after", trained=True), (names, tuple(plain.state_dict())))


def fake_quantized(network, **options) -> FakeQuantized:
    return FakeQuantized(network, images=torch.from_numpy(np.stack(CALIBRATION)), spec=SPEC, **options)


@pytest.mark.parametrize("tool", TOOLS)
def test_post_training_int8_collapses(collapse: Collapse, tool: str) -> None:
    assert collapse.before.torch > 0.9
    assert collapse.before.int8[tool] < collapse.before.torch - 0.05


@pytest.mark.parametrize("tool", TOOLS)
def test_quantization_aware_distillation_repairs_it(collapse: Collapse, tool: str) -> None:
    assert collapse.after.int8[tool] > collapse.before.torch - 0.005


def test_the_plain_network_comes_back(collapse: Collapse) -> None:
    before, after = collapse.names
    assert sorted(before) == sorted(after)


def test_fake_quantization_answers_as_int8_does() -> None:
    """Weights of 8 bits for each channel, inputs of 8 bits over the range that the float network shows."""
    plain = tiny_network().eval()
    shown = normalize(torch.from_numpy(np.stack(CALIBRATION)), spec=SPEC)
    with torch.no_grad():
        features = plain.norm(plain.convolution(shown)).relu().mean((2, 3))
    network = fake_quantized(copy.deepcopy(plain)).eval()
    with torch.no_grad():
        logits = network(shown).logits
    first, last = [module for module in network.modules() if isinstance(module, InputQuantizer)]
    assert (first.low, first.high) == (shown.min(), shown.max())
    assert last.low == 0 and last.high == pytest.approx(float(features.max()))
    weight = network.network.convolution.weight.detach()
    steps = weight / plain.convolution.weight.detach().abs().amax((1, 2, 3), keepdim=True) * 127
    torch.testing.assert_close(steps, steps.round(), atol=1e-3, rtol=0)
    with torch.no_grad():
        exact = plain(shown).logits
    assert 0 < (logits - exact).abs().max() < 0.1 * exact.std() + 0.05


def test_seven_bits_where_the_processor_needs_it() -> None:
    network = fake_quantized(tiny_network(), reduce_range=True)
    weight = network.network.convolution.weight.detach()
    assert all(len(channel.unique()) <= 127 for channel in weight)
    plain = network.plain().convolution.weight.detach()
    steps = weight / plain.abs().amax((1, 2, 3), keepdim=True) * 63
    torch.testing.assert_close(steps, steps.round(), atol=1e-3, rtol=0)


def test_gradients_reach_the_float_weights_and_features_stay() -> None:
    images, student = normalize(torch.from_numpy(TRAIN.cache[:8]), spec=SPEC), Depthwise()
    with torch.no_grad():
        for _ in range(40):  # ranges are those of evaluation, which its normalization must know
            student(images)
    output = fake_quantized(student).train()(images)
    assert output.features["last"].shape == (8, 32, 4, 4)
    output.logits.sum().backward()
    weights = [parameter for name, parameter in student.named_parameters() if name.endswith("original")]
    assert len(weights) == 6
    assert all(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in weights)


def test_ranges_follow_the_weights_from_epoch_to_epoch() -> None:
    network = fake_quantized(tiny_network()).train()
    images = normalize(torch.from_numpy(TRAIN.cache[:8]), spec=SPEC)
    network(images)
    _, last = [module for module in network.modules() if isinstance(module, InputQuantizer)]
    before = float(last.high)
    with torch.no_grad():
        network.network.norm.weight.mul_(3)
        network.network.norm.bias.mul_(3)
        network.network.norm.running_mean.zero_()
    network(images)
    assert float(last.high) == before, "not at every step"
    network.eval()
    network(images)
    assert float(last.high) > 2 * before
