"""Backbones, the spectrum of an image, and the student that puts a classical head behind them."""

import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import onnxruntime
import pytest
import scipy.fft
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from deploy.onnx_graph import export_onnx
from distill.evaluation.calibration import Calibration
from distill.preprocess import PreprocessSpec
from distill.task import BINARY
from students import OptionError, build_student
from students.spectrum import PLANES, Spectrum

SPEC = PreprocessSpec(size=32)


def _planes(images: np.ndarray) -> np.ndarray:
    red, green, blue = images.transpose(1, 0, 2, 3)
    planes = np.stack([(red + green + blue) / 3, red - green, (red + green) / 2 - blue], axis=1)
    return planes - planes.mean((2, 3), keepdims=True)


@pytest.mark.parametrize("size", [32, 33])
def test_the_spectrum_is_scipys_averaged_over_rings(size: int) -> None:
    images = np.random.default_rng(0).normal(size=(3, 3, size, size))
    bands = 12
    power = np.abs(scipy.fft.fft2(_planes(images))) ** 2 / size**2
    frequency = scipy.fft.fftfreq(size)
    radius = np.hypot(frequency[:, None], frequency[None]) / np.sqrt(0.5)
    ring = np.minimum((radius * bands).astype(int), bands - 1)
    log_power = np.log(np.maximum(power, 1e-6))
    expected = np.stack([log_power[:, :, ring == band].mean(-1) for band in range(bands)], axis=-1)
    said = Spectrum(bands=bands)(torch.from_numpy(images).float())
    assert said.shape == (3, PLANES * bands)
    np.testing.assert_allclose(said.numpy(), expected.reshape(3, -1), atol=2e-4)


def test_a_ring_without_a_frequency_is_zero() -> None:
    said = Spectrum(bands=64)(torch.randn(1, 3, 16, 16))
    assert said.isfinite().all() and (said == 0).any()


def test_a_period_of_four_pixels_shows_in_its_ring() -> None:
    wave = torch.cos(torch.arange(64) * torch.pi / 2).expand(1, 3, 64, 64)
    noise = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 0.1
    module = Spectrum(bands=32)
    gained = (module(noise + wave) - module(noise))[0, :32]
    assert int(gained.argmax()) == int(0.25 / np.sqrt(0.5) * 32)


@pytest.mark.parametrize("backbone", ["spectrum", "timm:test_efficientnet", "torchvision:squeezenet1_1"])
def test_backbone_and_head_are_exported_as_one(backbone: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    student = build_student("embed", options={"backbone": backbone}).eval()
    student.head.hold({"weight": torch.randn_like(student.head.weight) / 8, "bias": torch.tensor([0.3])})
    calibration = Calibration(temperature=1.5, bias=-0.2)
    path = tmp_path / "model.onnx"
    export_onnx(student, preprocess=SPEC, calibration=calibration, task=BINARY, path=path)
    images = np.random.default_rng(1).integers(0, 256, (6, 32, 32, 3), dtype=np.uint8)
    mean, std = np.array(SPEC.mean), np.array(SPEC.std)
    normal = torch.from_numpy((((images / 255) - mean) / std).transpose(0, 3, 1, 2)).float()
    with torch.no_grad():
        expected = BINARY.probabilities(student(normal).logits.numpy(), calibration=calibration)
    session = onnxruntime.InferenceSession(path)
    said = np.concatenate([session.run(None, {"image": image[None]})[0] for image in images])
    np.testing.assert_allclose(said, expected, atol=1e-5)
    assert np.ptp(said) > 1e-3


def test_an_embedding_is_what_the_classifier_would_have_read() -> None:
    for backbone, last in (
        ("timm:test_efficientnet", "classifier"),
        ("torchvision:mobilenet_v3_small", "classifier.3"),
    ):
        student = build_student("embed", options={"backbone": backbone}).eval()
        whole = build_student_of(backbone).eval()
        whole.load_state_dict(student.backbone.state_dict(), strict=False)
        seen: list[Tensor] = []
        whole.get_submodule(last).register_forward_pre_hook(
            lambda module, inputs, seen=seen: seen.append(inputs[0])
        )
        images = torch.randn(2, 3, 32, 32)
        with torch.no_grad():
            whole(images)
            torch.testing.assert_close(student.embed(images), seen[0])


def build_student_of(name: str) -> nn.Module:
    import timm
    import torchvision

    library, _, model = name.partition(":")
    return (
        timm.create_model(model, num_classes=1)
        if library == "timm"
        else torchvision.models.get_model(model, weights=None, num_classes=1)
    )


def test_the_backbone_stays_as_it_is() -> None:
    student = build_student("embed", options={"backbone": "timm:test_efficientnet"}).train()
    assert not any(module.training for module in student.backbone.modules())
    assert not any(parameter.requires_grad for parameter in student.parameters())


def test_weights_of_a_backbone_come_from_a_file(tmp_path: Path) -> None:
    torch.manual_seed(1)
    whole = build_student_of("torchvision:resnet18")
    save_file(whole.state_dict(), tmp_path / "resnet18.safetensors")
    options = {"backbone": "torchvision:resnet18", "weights": str(tmp_path / "resnet18.safetensors")}
    student = build_student("embed", options=options)
    torch.testing.assert_close(student.backbone.conv1.weight, whole.conv1.weight)


def test_spectrum_is_a_student_by_itself() -> None:
    student = build_student("spectrum", num_logits=3, options={"head": "knn", "bands": 8})
    assert student(torch.randn(2, 3, 32, 32)).logits.shape == (2, 3)
    assert student.head.points.shape == (1, 3 * 8)


# --- open_clip ----------------------------------------------------------------------------------------------


class Tower(nn.Module):
    output_dim = 6

    def __init__(self) -> None:
        super().__init__()
        self.proj = nn.Linear(3, 6)

    def forward(self, images: Tensor) -> Tensor:
        found: Tensor = self.proj(images.mean((2, 3)))
        return found


def _open_clip(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("open_clip")
    model = nn.Module()
    model.visual = Tower()
    module.create_model = lambda name, pretrained, force_image_size: model  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "open_clip", module)


def test_an_image_tower_of_open_clip_is_a_backbone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _open_clip(monkeypatch)
    weight, bias = torch.randn(6, 3), torch.randn(6)
    whole = {"visual.proj.weight": weight, "visual.proj.bias": bias, "text.embedding": torch.zeros(2)}
    save_file(whole, tmp_path / "clip.safetensors")
    options = {"backbone": "openclip:ViT-B-32", "weights": str(tmp_path / "clip.safetensors")}
    student = build_student("embed", options=options)
    torch.testing.assert_close(student.backbone.proj.weight, weight)
    assert student.embed(torch.zeros(2, 3, 16, 16)).shape == (2, 6)


def test_open_clip_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "open_clip", None)
    with pytest.raises(
        OptionError, match=r"openclip:ViT-B-32: package open_clip .*pip install 'edgeproof\[clip\]'"
    ):
        build_student("embed", options={"backbone": "openclip:ViT-B-32"})


def test_a_real_image_tower_takes_images_of_the_size_asked_for_and_its_own_weights(tmp_path: Path) -> None:
    open_clip = pytest.importorskip("open_clip")
    torch.manual_seed(0)
    tower = open_clip.create_model("ViT-S-32", pretrained=None, force_image_size=64).visual.eval()
    save_file(tower.state_dict(), tmp_path / "clip.safetensors")
    options = {
        "backbone": "openclip:ViT-S-32",
        "image_size": 64,
        "weights": str(tmp_path / "clip.safetensors"),
    }
    student, images = build_student("embed", options=options).eval(), torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(student.embed(images), tower(images))
    assert student.width == tower.output_dim


def test_weights_of_open_clip_are_a_file() -> None:
    with pytest.raises(OptionError, match="pretrained is not offered.*create_model.*visual.state_dict"):
        build_student("embed", options={"backbone": "openclip:ViT-S-32", "pretrained": True})


# --- bad input ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"backbone": "resnet"}, r"unknown backbone 'resnet'; choose one of: spectrum, timm:<name>"),
        ({"backbone": "timm:resnte18"}, "unknown timm model 'resnte18'; close matches: "),
        ({"backbone": "torchvision:resnte18"}, "unknown torchvision model 'resnte18'; close matches: "),
        ({"pretrained": True}, "backbone spectrum: it has no weights"),
        ({"fine_tune_epochs": 1}, "backbone spectrum: it has no weights, expected fine_tune_epochs = 0"),
        ({"head": "svm"}, "option head is 'svm', expected 'logistic', 'linear_svm'"),
        ({"folds": 1}, "option folds is 1, expected greater than or equal to 2"),
    ],
)
def test_wrong_options_are_one_line(options: dict[str, object], message: str) -> None:
    with pytest.raises(OptionError, match=message) as caught:
        build_student("embed", options=options)
    assert "\n" not in str(caught.value)
