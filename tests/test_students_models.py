import pytest
import torch
from torch import nn

from students import FITTED, STUDENTS, build_student

SMALL = {
    "small_cnn": {"blocks": 2},
    "rep_cnn": {"widths": [16, 32], "depths": [2, 1], "branches": "qarepvgg"},
    "mobilenet_v2": {"width_mult": 0.25},
    "resnet18": {},
    "embed": {"backbone": "timm:test_efficientnet"},
    "spectrum": {"bands": 8},
}


@pytest.fixture
def images():
    return torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def parameters(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def test_every_student_has_a_small_setting_here():
    assert set(SMALL) == set(STUDENTS)


@pytest.mark.parametrize("name", STUDENTS)
@pytest.mark.parametrize(("num_logits", "shape"), [(1, (2,)), (3, (2, 3))])
def test_output_has_the_promised_shapes(name, num_logits, shape, images):
    model = build_student(name, num_logits=num_logits, options=SMALL[name])
    output = model(images)
    assert output.logits.shape == shape
    assert {k: v.shape[:2] for k, v in output.features.items()} == {
        k: (2, channels) for k, channels in model.feature_channels.items()
    }
    assert list(output.features) == list(model.feature_channels)
    sides = [v.shape[-1] for v in output.features.values()]
    assert sides == sorted(sides, reverse=True)
    assert output.boxes is None and output.auxiliary is None


@pytest.mark.parametrize("name", [name for name in STUDENTS if name not in FITTED])
def test_gradients_reach_every_parameter(name, images):
    # Training mode gives none to a linear batch norm whose shift the next batch norm takes away again.
    model = build_student(name, options=SMALL[name]).eval()
    model(images).logits.square().sum().backward()
    assert [n for n, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0] == []


@pytest.mark.parametrize("name", STUDENTS)
def test_channels_last_and_bfloat16_agree_with_the_plain_run(name, images):
    model = build_student(name, options=SMALL[name]).eval()
    expected = model(images).logits
    model = model.to(memory_format=torch.channels_last)
    images = images.contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(model(images).logits, expected, atol=1e-4, rtol=1e-4)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(model(images).logits.float(), expected, atol=0.3, rtol=0.1)


@pytest.mark.parametrize(
    ("name", "count"),
    [("small_cnn", 310_641), ("rep_cnn", 459_153), ("mobilenet_v2", 2_225_153), ("resnet18", 11_177_025)],
)
def test_default_parameter_counts(name, count):
    assert parameters(build_student(name)) == count


def test_small_cnn_parameter_count_by_hand():
    # conv 3·16·9, BN 2·16; conv 16·32·9, BN 2·32; linear 32·32 + 32, linear 32·3 + 3
    model = build_student("small_cnn", num_logits=3, options={"blocks": 2, "convs_per_block": 1})
    assert parameters(model) == 432 + 32 + 4608 + 64 + 1056 + 99


def test_small_cnn_keeps_the_channels_that_int8_likes():
    model = build_student("small_cnn", options={"blocks": 6, "base_channels": 48, "convs_per_block": 1})
    assert list(model.feature_channels.values()) == [48, 96, 192, 256, 256, 256]
    kinds = {type(m) for m in model.modules() if not list(m.children())}
    assert kinds == {nn.Conv2d, nn.BatchNorm2d, nn.ReLU, nn.Dropout, nn.Linear}
    assert all(m.groups == 1 for m in model.modules() if isinstance(m, nn.Conv2d))


def test_small_cnn_halves_the_image_in_each_block(images):
    output = build_student("small_cnn", options={"blocks": 3})(images)
    assert [v.shape[-1] for v in output.features.values()] == [32, 16, 8]


def test_frozen_resnet18_trains_its_head_alone(images):
    model = build_student("resnet18", options={"frozen": True})
    assert model.frozen
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5, momentum=0.9, weight_decay=0.1)
    model.train()
    for _ in range(2):
        optimizer.zero_grad()
        model(images).logits.square().sum().backward()
        optimizer.step()
    changed = {name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed == {"network.fc.weight", "network.fc.bias"}
    assert {n for n, p in model.named_parameters() if p.requires_grad} == changed
    assert model.training and model.network.fc.training and not model.network.bn1.training


def test_unfrozen_resnet18_updates_batch_statistics(images):
    model = build_student("resnet18").train()
    before = model.network.bn1.running_mean.clone()
    model(images)
    assert not model.frozen and not torch.equal(model.network.bn1.running_mean, before)


def test_dropout_is_active_only_in_training(images):
    model = build_student("small_cnn", options={"blocks": 2, "dropout": 0.9})
    model.eval()
    assert torch.equal(model(images).logits, model(images).logits)
    model.train()
    torch.manual_seed(0)
    assert not torch.equal(model(images).logits, model(images).logits)
