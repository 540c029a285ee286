import logging

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import nn

from students import OptionError
from teachers import TEACHERS, build_teacher

TINY = {"backbone": "test_efficientnet", "fpn_channels": 16}
NAME = "efficientnet_fpn_cbam"


@pytest.fixture
def images():
    return torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def tiny(num_logits=1, **options):
    torch.manual_seed(0)
    return build_teacher(NAME, num_logits=num_logits, options=TINY | options)


def failure(name=NAME, **options) -> str:
    with pytest.raises(OptionError) as caught:
        build_teacher(name, options=options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def parameters(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def test_output_has_the_promised_shapes(images):
    model = tiny(num_logits=3)
    output = model(images)
    assert output.logits.shape == (2, 3)
    assert {k: tuple(v.shape) for k, v in output.features.items()} == {
        "p3": (2, 16, 8, 8),
        "p4": (2, 16, 4, 4),
        "p5": (2, 16, 2, 2),
    }
    assert model.feature_channels == {"p3": 16, "p4": 16, "p5": 16}
    assert output.boxes.shape == (2, 4) and output.box_logits.shape == (2,)
    assert {k: tuple(v.shape) for k, v in output.auxiliary.items()} == {
        f"{kind}_map_p{n}": (2, *extra, 64 // 2**n, 64 // 2**n)
        for kind, extra in (("confidence", ()), ("box", (4,)))
        for n in (3, 4, 5)
    }
    assert tiny()(images).logits.shape == (2,)


@pytest.mark.parametrize(
    "switched_off", [(), ("fpn",), ("cbam",), ("localiser",), ("fpn", "cbam", "localiser")]
)
def test_gradients_reach_every_parameter_whatever_is_switched_off(switched_off, images):
    model = tiny(**dict.fromkeys(switched_off, False)).eval()
    output = model(images)
    assert list(output.features) == list(model.feature_channels)
    assert (output.boxes is None) == ("localiser" in switched_off)
    output.logits.square().sum().backward()
    assert [n for n, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0] == []


def test_switches_remove_what_they_name():
    whole = parameters(tiny())
    names = {n.split(".")[0] for n, _ in tiny(cbam=False, localiser=False).named_parameters()}
    assert names == {"backbone", "pyramid", "classifier"}
    # The top-down pathway's own weights are its 3×3 convolutions and their BN, one per level.
    assert whole - parameters(tiny(fpn=False)) == 3 * (16 * 16 * 9 + 2 * 16)


def test_classification_alone_trains_the_box(images):
    model = tiny(dropout=0.0)
    model(images).logits.sum().backward()
    assert model.localiser.distances.weight.grad.abs().sum() > 1e-3
    assert model.localiser.confidence.weight.grad.abs().sum() > 1e-3


def test_unconfident_localiser_leaves_the_box_without_influence(images):
    model = tiny(dropout=0.0).eval()
    nn.init.constant_(model.localiser.confidence.bias, -40.0)
    before = model(images)
    nn.init.constant_(model.localiser.distances.bias, -5.0)
    after = model(images)
    assert not torch.allclose(before.boxes, after.boxes)
    torch.testing.assert_close(before.logits, after.logits)


def test_level_count_and_odd_image_size():
    output = tiny(levels=4)(torch.randn(2, 3, 70, 54))
    assert [tuple(v.shape[-2:]) for v in output.features.values()] == [(18, 14), (9, 7), (5, 4), (3, 2)]


def test_channels_last_and_bfloat16(images):
    model = tiny().eval()
    expected = model(images)
    model = model.to(memory_format=torch.channels_last)
    images = images.contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(model(images).logits, expected.logits, atol=1e-4, rtol=1e-4)
    with torch.autocast("cpu", torch.bfloat16):
        output = model(images)
    assert output.boxes.dtype == torch.float32
    torch.testing.assert_close(output.logits.float(), expected.logits, atol=0.3, rtol=0.1)
    output.logits.float().sum().backward()
    assert all(p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize(("options", "count"), [({}, 10_103_336 + 825_156), (TINY, 82_300 + 16_004)])
def test_parameter_counts_of_backbone_and_rest(options, count):
    assert parameters(build_teacher(NAME, options=options)) == count


@pytest.mark.parametrize(
    ("name", "shapes"),
    [
        ("test_resnet", [(32, 40), (48, 20), (192, 10), (96, 5)]),
        ("test_vit", [(64, 10)] * 4),
        ("test_convnext", [(24, 40), (32, 20), (48, 10), (64, 5)]),
    ],
)
def test_timm_classifier_equals_timm(name, shapes):
    model = build_teacher(f"timm:{name}", num_logits=3).eval()
    images = torch.randn(2, 3, 160, 160)
    output = model(images)
    torch.testing.assert_close(output.logits, model.network(images))
    assert [(v.shape[1], v.shape[2]) for v in output.features.values()] == shapes
    assert model.feature_channels == {k: v.shape[1] for k, v in output.features.items()}


def test_timm_binary_logits_and_image_size():
    model = build_teacher("timm:test_vit", options={"image_size": 64})
    output = model(torch.randn(2, 3, 64, 64))
    assert output.logits.shape == (2,)
    output.logits.sum().backward()
    assert all(p.grad is not None for p in model.parameters())


def test_names_and_options_that_do_not_exist():
    assert (
        failure("resnet")
        == f"unknown teacher 'resnet'; choose one of: {', '.join(sorted(TEACHERS))}, timm:<name>"
    )
    assert failure("timm:resnet81").startswith("unknown timm model 'resnet81'; close matches: resnet18")
    assert failure("timm:zzzzzzzzzzzz").endswith("timm.list_models() lists them")
    assert failure("timm:test_vit", wide=1) == (
        "teacher timm:test_vit: unknown option 'wide'; "
        "choose one of: image_size, dropout, pretrained, weights, grad_checkpointing"
    )
    assert failure("timm:test_resnet", image_size=64).startswith("timm model test_resnet: cannot be built (")
    assert failure(backbone="efficientnet_b33").startswith(
        "unknown timm model 'efficientnet_b33'; close matches"
    )
    assert failure(fpn_channels=12).endswith("option fpn_channels is 12, expected a multiple of 8")


def test_backbones_without_a_pyramid():
    assert failure(backbone="test_vit") == (
        "backbone 'test_vit' has no pyramid: its feature maps have strides [16, 16, 16]"
    )
    assert failure(backbone="test_convnext", levels=5) == (
        "option levels is 5, but backbone 'test_convnext' has 4 feature maps"
    )


def test_local_weights_of_the_backbone(tmp_path, caplog):
    torch.manual_seed(1)
    source = timm.create_model("test_efficientnet")
    save_file(source.state_dict(), tmp_path / "w.safetensors")
    model = tiny(weights=str(tmp_path / "w.safetensors"))
    state = source.state_dict()
    assert all(torch.equal(v, state[k]) for k, v in model.backbone.state_dict().items())
    save_file({"conv_stem.weight": torch.zeros(1)}, tmp_path / "w.safetensors")
    text = failure(**TINY, weights=str(tmp_path / "w.safetensors"))
    assert "does not fit EfficientNet, conv_stem.weight has [1], expected [24, 3, 3, 3] (and" in text


def test_local_weights_of_a_timm_classifier(tmp_path, caplog):
    source = timm.create_model("test_resnet", num_classes=1000)
    path = tmp_path / "w.safetensors"
    save_file(source.state_dict(), path)
    with caplog.at_level(logging.WARNING):
        model = build_teacher("timm:test_resnet", options={"weights": path})
    assert caplog.messages == [
        f"{path}: the classifier (fc.weight, fc.bias) was left out and starts untrained"
    ]
    assert torch.equal(model.network.conv1[0].weight, source.conv1[0].weight)


@pytest.mark.parametrize("name", [NAME, "timm:test_efficientnet"])
def test_without_network_the_error_tells_the_way_out(name, monkeypatch):
    def offline(*_, **__):
        raise ConnectionError("offline")

    monkeypatch.setattr("timm.models._builder.load_state_dict_from_hf", offline)
    options = {"backbone": "test_efficientnet"} if name == NAME else {}
    assert failure(name, pretrained=True, **options) == (
        "timm model test_efficientnet: pretrained weights cannot be had (offline); "
        "give a local file with the option weights = '<file>.safetensors'"
    )


def test_gradient_checkpoints_change_no_gradient_and_no_exported_graph():
    torch.manual_seed(0)
    plain = build_teacher("timm:test_vit", options={"image_size": 64})
    kept = build_teacher("timm:test_vit", options={"image_size": 64, "grad_checkpointing": True})
    kept.load_state_dict(plain.state_dict())
    images = torch.rand(2, 3, 64, 64)
    for network in (plain, kept):
        network.train()(images).logits.sum().backward()
    assert kept.network.grad_checkpointing and not plain.network.grad_checkpointing
    for ours, theirs in zip(kept.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad)
    assert not kept.eval().network.grad_checkpointing
