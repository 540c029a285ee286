"""A tiny detector, exported and quantized once a session."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from deploy.artifact import QuantizationRecord, write_artifact
from deploy.onnx_graph import export_onnx, export_openvino
from deploy.quantizers import QUANTIZERS
from distill.evaluation.calibration import Calibration
from distill.preprocess import PreprocessSpec
from distill.task import BINARY
from students.output import ModelOutput

SIZE = 32
SPEC = PreprocessSpec(size=SIZE, mean=(0.5, 0.4, 0.3), std=(0.2, 0.25, 0.3))
CALIBRATION = Calibration(temperature=1.7, bias=-0.4)
THRESHOLD = 0.37
SETTINGS = {"ort": {"form": "plain"}, "nncf": {}}  # no test depends on which form is the fastest here


class TinyDetector(nn.Module):
    feature_channels = {"stem": 16, "deep": 16}

    def __init__(self, num_logits: int = 1) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(16)
        self.deep = nn.Conv2d(16, 16, 3, padding=1)
        self.head = nn.Linear(16, num_logits)
        self.num_logits = num_logits

    def forward(self, x: Tensor) -> ModelOutput:
        stem = torch.relu(self.norm(self.stem(x)))
        deep = torch.relu(self.deep(stem) + stem)
        logits = self.head(deep.mean(dim=(2, 3)))
        return ModelOutput(logits.flatten() if self.num_logits == 1 else logits, {"stem": stem, "deep": deep})


def tiny_detector(num_logits: int = 1) -> TinyDetector:
    generator = torch.Generator().manual_seed(7)
    model = TinyDetector(num_logits)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.3)
        model.norm.running_mean.copy_(torch.randn(16, generator=generator))
        model.norm.running_var.copy_(torch.rand(16, generator=generator) + 0.5)
        model.norm.weight.fill_(1.0)
    return model.eval()


def images(count: int, *, seed: int) -> list[np.ndarray]:
    """Blocks of flat colour with noise, so that the logits differ from image to image."""
    rng = np.random.default_rng(seed)
    blocks = rng.integers(0, 256, (count, 1, 4, 4, 3)).repeat(SIZE // 4, axis=2).repeat(SIZE // 4, axis=3)
    return list((blocks + rng.normal(0, 10, blocks.shape)).clip(0, 255).astype(np.uint8))


@dataclass(frozen=True)
class Deployed:
    folder: Path
    model: TinyDetector
    pixels: np.ndarray  # [24, SIZE, SIZE, 3], not used to calibrate
    logits: np.ndarray  # calibrated, as NumPy computes them from the torch model's output
    records: dict[str, QuantizationRecord]

    @property
    def probabilities(self) -> np.ndarray:
        return 1 / (1 + np.exp(-self.logits))


@cache
def build_deployed(root: Path) -> Deployed:
    """``fp32.onnx|xml``, ``int8.onnx|xml`` and the artifacts ``fp32/``, ``int8/`` with all of them."""
    folder = root / "deployed"
    folder.mkdir()
    model = tiny_detector()
    pixels = np.concatenate(images(24, seed=2))
    normalized = torch.from_numpy(SPEC.normalize(pixels)).permute(0, 3, 1, 2)
    with torch.no_grad():
        model.head.bias -= model(normalized).logits.mean()  # both verdicts occur
        raw = model(normalized).logits.numpy().astype(np.float64)
    export_onnx(model, preprocess=SPEC, calibration=CALIBRATION, task=BINARY, path=folder / "fp32.onnx")
    export_openvino(folder / "fp32.onnx", path=folder / "fp32.xml")
    records = {}
    for name, suffix in (("ort", ".onnx"), ("nncf", ".xml")):
        records[name] = QUANTIZERS[name].quantize(
            source=folder / f"fp32{suffix}",
            output=folder / f"int8{suffix}",
            images=images(16, seed=1),
            settings=SETTINGS[name],
        )
    for precision in ("fp32", "int8"):
        write_artifact(
            folder / precision,
            name="tiny",
            files={f"model.{kind}": folder / f"{precision}.{kind}" for kind in ("onnx", "xml", "bin")},
            preprocess=SPEC,
            threshold=THRESHOLD,
            calibration=CALIBRATION,
            precision=precision,
        )
    return Deployed(folder, model, pixels, raw / 1.7 - 0.4, records)
