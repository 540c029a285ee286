"""What is folded at export changes nothing but rounding; what cannot be folded stays as it was."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from deploy_fixture import CALIBRATION
from torch import Tensor, nn
from torch.nn import functional

import deploy.onnx_graph
from deploy.folding import fold
from deploy.onnx_graph import export_onnx
from distill.errors import EdgeproofError
from distill.evaluation.calibration import Calibration
from distill.preprocess import PreprocessSpec
from distill.task import BINARY, Families, MultiClass
from distill.wrapped import wrap
from students import build_student

SIZE = 32
MEANS = {"mean": (0.5, 0.4, 0.3), "std": (0.2, 0.25, 0.3)}
ZERO = {"mean": (0.0, 0.0, 0.0), "std": (0.2, 0.25, 0.3)}
THREE = MultiClass(labels=("real", "gan", "diffusion"))
FAMILIES = Families(families=("gan", "diffusion"))
TEMPERATURE = Calibration(temperature=2.5)


class Pooled(nn.Module):
    """No convolution reads the image, no linear layer says the logit."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3)

    def forward(self, images: Tensor) -> Tensor:
        mixed = self.first(functional.avg_pool2d(images, 2) * images.mean((2, 3), keepdim=True))
        return mixed.relu().amax((1, 2, 3)) - images.mean((1, 2, 3))


class Twice(nn.Module):
    """Two layers read the image; the linear layer has no bias, and its weights are read twice."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Conv2d(3, 4, 3), nn.Conv2d(3, 4, 3)
        self.head = nn.Linear(4, 4, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        both = self.left(images).relu().mean((2, 3)) - self.right(images).relu().mean((2, 3))
        return self.head(self.head(both)).sum(1)


class Noisy(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(3, 1)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(functional.dropout(images.mean((2, 3)), 0.5, training=True))


def student(name: str, *, num_logits: int = 1, **options) -> nn.Module:
    torch.manual_seed(0)
    network = build_student(name, num_logits=num_logits, options=options)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None  # the statistics of what it is shown
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight)
    with torch.no_grad():
        network.train()(torch.randn(8, 3, SIZE, SIZE))
    return network.eval()


CASES = {
    "small_cnn": (lambda: student("small_cnn", blocks=2, dropout=0.3), MEANS, BINARY, CALIBRATION),
    "small_cnn, mean 0": (lambda: student("small_cnn", blocks=2), ZERO, BINARY, CALIBRATION),
    "frequency": (lambda: student("small_cnn", blocks=2, frequency=True), ZERO, BINARY, CALIBRATION),
    "rep_cnn": (
        lambda: student("rep_cnn", branches="repvgg", widths=[16, 32], depths=[1, 1]),
        ZERO, BINARY, CALIBRATION,
    ),
    "mobilenet_v2": (lambda: student("mobilenet_v2", width_mult=0.25), MEANS, BINARY, CALIBRATION),
    "classes": (lambda: student("small_cnn", blocks=2, num_logits=3), ZERO, THREE, TEMPERATURE),
    "families": (lambda: student("small_cnn", blocks=2, num_logits=3), ZERO, FAMILIES, CALIBRATION),
    "pooled": (lambda: wrap(Pooled().eval(), image_size=SIZE), MEANS, BINARY, CALIBRATION),
    "twice": (lambda: wrap(Twice().eval(), image_size=SIZE), MEANS, BINARY, CALIBRATION),
}  # fmt: skip
# of Sub, Mul and Div, those that are left; families add logits up in their own way, so theirs are not counted
LEFT = {
    "small_cnn": {"Sub": 1, "Mul": 0, "Div": 0},
    "small_cnn, mean 0": {"Sub": 0, "Mul": 0, "Div": 0},
    "rep_cnn": {"Sub": 0, "Mul": 0, "Div": 0},
    "mobilenet_v2": {"Sub": 1, "Mul": 0, "Div": 0},
    "classes": {"Sub": 0, "Mul": 0, "Div": 0},
    "pooled": {"Sub": 3, "Mul": 2, "Div": 1},
    "twice": {"Sub": 3, "Mul": 1, "Div": 1},
}


def exported(path: Path, name: str) -> None:
    make, normalization, task, calibration = CASES[name]
    torch.manual_seed(0)
    spec = PreprocessSpec(size=SIZE, **normalization)
    export_onnx(make(), preprocess=spec, calibration=calibration, task=task, path=path)


def answers(path: Path) -> list[np.ndarray]:
    """Probabilities and logits of a black, a white and some random images."""
    pixels = np.random.default_rng(0).integers(0, 256, (6, SIZE, SIZE, 3), dtype=np.uint8)
    pixels[0], pixels[1] = 0, 255
    session = onnxruntime.InferenceSession(path)
    return [
        np.stack(rows)
        for rows in zip(*(session.run(None, {"image": image[None]}) for image in pixels), strict=True)
    ]


@pytest.mark.parametrize("name", CASES)
def test_folding_is_exact(tmp_path, monkeypatch, name: str) -> None:
    monkeypatch.setattr(deploy.onnx_graph, "fold", lambda proto: None)
    exported(tmp_path / "plain.onnx", name)
    folded = onnx.load(tmp_path / "plain.onnx")
    fold(folded)
    onnx.checker.check_model(folded, full_check=True)
    onnx.save(folded, tmp_path / "folded.onnx")
    (probability, logit), (expected, exact) = (
        answers(tmp_path / "folded.onnx"),
        answers(tmp_path / "plain.onnx"),
    )
    assert exact.std(axis=0).max() > 1e-2, "the images must differ"
    tolerance = 1e-4 if name == "mobilenet_v2" else 1e-5  # 52 layers of random weights amplify rounding
    np.testing.assert_allclose(logit, exact, atol=tolerance * max(1.0, np.abs(exact).max()))
    np.testing.assert_allclose(probability, expected, atol=3 * tolerance)
    kinds = [node.op_type for node in folded.graph.node]
    assert "BatchNormalization" not in kinds or name == "frequency"
    assert "Dropout" not in kinds
    if name in LEFT:
        assert {kind: kinds.count(kind) for kind in ("Sub", "Mul", "Div")} == LEFT[name]
    used = {value for node in folded.graph.node for value in node.input}
    assert {tensor.name for tensor in folded.graph.initializer} <= used


def test_what_is_exported_is_folded(tmp_path) -> None:
    exported(tmp_path / "m.onnx", "small_cnn, mean 0")
    kinds = {node.op_type for node in onnx.load(tmp_path / "m.onnx").graph.node}
    assert kinds == {"Transpose", "Cast", "Conv", "Relu", "ReduceMean", "Gemm", "Squeeze", "Sigmoid"}


def test_a_graph_that_still_trains_is_refused(tmp_path) -> None:
    with pytest.raises(EdgeproofError, match=r"m\.onnx: Dropout in training form, expected a graph for"):
        export_onnx(
            wrap(Noisy(), image_size=SIZE), preprocess=PreprocessSpec(size=SIZE, **ZERO),
            calibration=CALIBRATION, task=BINARY, path=tmp_path / "m.onnx",
        )  # fmt: skip
    assert not (tmp_path / "m.onnx").exists()
