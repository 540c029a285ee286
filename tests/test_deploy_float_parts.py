"""What no quantizer touches: a classical head behind a network."""

from pathlib import Path

import numpy as np
import pytest
import torch

from deploy.artifact import MODEL_FILES
from deploy.compute_layers import compute_layers
from deploy.int8_check import inspect_int8
from deploy.interface import export, quantize
from distill.forms import Runtime
from distill.preprocess import PreprocessSpec
from students import build_student

SPEC = PreprocessSpec(size=32)


@pytest.fixture(scope="module")
def fp32(tmp_path_factory: pytest.TempPathFactory) -> dict[Runtime, Path]:
    torch.manual_seed(0)
    student = build_student("embed", options={"backbone": "timm:test_efficientnet", "head": "rbf_svm"}).eval()
    points, width = 400, student.width
    student.head.hold(
        {
            "mean": torch.zeros(width), "scale": torch.ones(width), "points": torch.randn(points, width),
            "squares": torch.full((points,), 250.0), "gamma": torch.tensor(1e-3),
            "coefficients": torch.randn(points, 1), "bias": torch.zeros(1),
        }
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("fp32")
    out: dict[Runtime, Path] = {"onnxruntime": folder / "onnx", "openvino": folder / "openvino"}
    export(student, SPEC, out=out, name="svm", data="simulated")
    return out


@pytest.mark.parametrize(("runtime", "tool"), [("onnxruntime", "ort"), ("openvino", "nncf")])
def test_a_head_stays_in_float_and_the_backbone_does_not(
    runtime: Runtime, tool: str, fp32: dict[Runtime, Path], tmp_path: Path
) -> None:
    images = list(np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3), dtype=np.uint8))
    settings = {"form": "plain"} if tool == "ort" else {}
    made = quantize(fp32[runtime], images, out=tmp_path / "int8", tool=tool, settings=settings)
    file = MODEL_FILES[runtime][0]
    layers = compute_layers(made / file)
    head = [layer for layer in layers if layer.in_float]
    assert len(head) == 2 and not any(
        layer.int8 or layer.int8_weights for layer in head
    )  # distances, coefficients
    rest = [layer for layer in layers if not layer.in_float]
    assert len(rest) > 10 and any(layer.int8_weights for layer in rest)
    # support vectors are most of the weights here: they do not count against what was quantized
    proof = inspect_int8(made / file, fp32_path=fp32[runtime] / file)
    assert proof.passed and proof.int8_weight_share > 0.9
