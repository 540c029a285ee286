"""neural-compressor: the network itself is quantized, its weights folded, and OpenVINO runs all of it in INT8."""

import logging
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from deploy_fixture import CALIBRATION, SPEC, TinyDetector, images, tiny_detector
from torch import Tensor, nn

import deploy
from deploy.artifact import Manifest, read_manifest
from deploy.int8_check import inspect_int8
from deploy.onnx_graph import DeployGraph
from deploy.openvino_ir import openvino_core
from deploy.quantizers import inc
from distill.errors import EdgeproofError
from distill.task import BINARY
from students.output import ModelOutput


class Wide(TinyDetector):
    """Two convolutions of equal width, which share a constant of zero-points where it is left to the exporter."""

    def __init__(self, num_logits: int = 1) -> None:
        super().__init__(num_logits)
        self.more = nn.Conv2d(16, 64, 3, stride=2, padding=1)
        self.again = nn.Conv2d(64, 64, 3, padding=1)
        self.last = nn.Conv2d(64, 16, 3, padding=1)

    def forward(self, x: Tensor) -> ModelOutput:
        deep = super().forward(x).features["deep"]
        last = self.last(torch.relu(self.again(torch.relu(self.more(deep)))))
        logits = self.head(last.mean(dim=(2, 3)))
        return ModelOutput(logits.flatten() if self.num_logits == 1 else logits, {"deep": deep})


@dataclass(frozen=True)
class Quantized:
    fp32: Path
    int8: Path
    network: Wide
    mode: bool
    said: str
    warned: int

    @property
    def manifest(self) -> Manifest:
        return read_manifest(self.int8)


def wide() -> Wide:
    torch.manual_seed(0)
    network = Wide()
    network.load_state_dict(tiny_detector().state_dict(), strict=False)
    return network.eval()


@pytest.fixture(scope="session")
def quantized(tmp_path_factory: pytest.TempPathFactory) -> Quantized:
    folder, network = tmp_path_factory.mktemp("inc"), wide()
    fp32 = deploy.export(network, SPEC, out=folder / "fp32", calibration=CALIBRATION)
    network.train()
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings(record=True) as warned:
        lines: list[str] = []
        patch.setattr(logging.StreamHandler, "emit", lambda self, record: _keep(record, lines))
        int8 = deploy.quantize(
            fp32, np.concatenate(images(32, seed=1)), out=folder / "int8", tool="inc", network=network
        )
    mode = network.training
    return Quantized(fp32, int8, network.eval(), mode, "\n".join(lines), len(warned))


def _keep(record: logging.LogRecord, lines: list[str]) -> None:
    if record.levelno > logging.DEBUG:
        lines.append(f"{record.name}: {record.getMessage()}")


def test_it_is_int8_and_answers_as_fp32_does(quantized: Quantized) -> None:
    proof = inspect_int8(quantized.int8 / "model.xml", fp32_path=quantized.fp32 / "model.xml")
    assert proof.passed, proof.reason
    assert (proof.int8_weight_share, proof.int8_mac_share) == (1.0, 1.0)
    shown = np.concatenate(images(24, seed=2))
    exact, found = (deploy.Detector.load(folder).run(shown) for folder in (quantized.fp32, quantized.int8))
    assert 0 < np.abs(found - exact).max() < 0.25 * exact.std()


def test_weights_are_folded_and_zero_points_gone(quantized: Quantized) -> None:
    """An exporter's shared zero-points would stand between a weight and its scale."""
    sizes = [(folder / "model.bin").stat().st_size for folder in (quantized.int8, quantized.fp32)]
    assert sizes[0] < 0.3 * sizes[1]
    model = openvino_core().read_model(quantized.int8 / "model.xml")
    weights = [op for op in model.get_ops() if op.get_type_name() == "Constant" and is_int8(op)]
    assert len(weights) == 6
    for weight in weights:
        [convert] = readers(weight)
        assert [reader.get_type_name() for reader in readers(convert)] == ["Multiply"]


def is_int8(operation) -> bool:
    return operation.get_element_type().get_type_name() == "i8"


def readers(operation) -> list:
    return [target.get_node() for target in operation.output(0).get_target_inputs()]


def test_what_was_done_is_on_record(quantized: Quantized) -> None:
    record = quantized.manifest.quantizer
    assert record is not None
    assert (record.name, record.tool, record.runtime, record.samples) == ("inc", "inc", "openvino", 32)
    assert record.settings == {"calibration": "histogram", "symmetric": False}
    assert set(record.versions) == {"neural-compressor", "torchao", "torch", "openvino"}
    assert quantized.manifest.threshold == read_manifest(quantized.fp32).threshold


def test_it_is_quiet_and_leaves_the_network_as_it_was(quantized: Quantized) -> None:
    assert quantized.mode, "still in training mode"
    assert (quantized.said, quantized.warned) == ("", 0)
    for fresh, now in zip(wide().parameters(), quantized.network.parameters(), strict=True):
        assert torch.equal(fresh, now)


@pytest.mark.parametrize("reduce_range", [True, False])
def test_weights_have_seven_bits_where_the_processor_needs_it(reduce_range: bool) -> None:
    graph = DeployGraph(tiny_detector(), preprocess=SPEC, calibration=CALIBRATION, task=BINARY).eval()
    settings = inc.IncSettings(reduce_range=reduce_range, calibration="moving_minmax", symmetric=True)
    with inc._quiet():
        converted = inc._converted(graph, images(2, seed=1), settings)
    weights = [value for value in converted.buffers() if value.dtype == torch.int8]
    largest = max(int(weight.long().abs().max()) for weight in weights)
    assert len(weights) == 3 and largest in ({63, 64} if reduce_range else {127, 128})


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"network": None}, "quantizer inc: found no network, expected the PyTorch module"),
        ({"network": tiny_detector()}, r"the network given answers .* where the artifact answers"),
        ({"network": tiny_detector(3)}, r"the network given cannot answer .*invalid for input of size 3"),
        (
            {"settings": {"symetric": True}},
            r"symetric: found True.*settings: calibration, reduce_range, symm",
        ),
        ({"settings": {"calibration": "minmax"}}, r"calibration: found 'minmax'"),
    ],
)
def test_mistakes_are_one_line(quantized: Quantized, tmp_path: Path, given: dict, says: str) -> None:
    options = {"network": quantized.network, **given}
    with pytest.raises(EdgeproofError, match=says) as caught:
        deploy.quantize(quantized.fp32, images(2, seed=1)[0], out=tmp_path / "int8", tool="inc", **options)
    assert "\n" not in str(caught.value) and not (tmp_path / "int8").exists()


def test_a_missing_package_names_its_extra(
    quantized: Quantized, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "neural_compressor", None)
    with pytest.raises(EdgeproofError, match=r"neural_compressor cannot be imported .*edgeproof\[inc\]"):
        deploy.quantize(
            quantized.fp32, images(2, seed=1)[0], out=tmp_path / "int8", tool="inc", network=quantized.network
        )
