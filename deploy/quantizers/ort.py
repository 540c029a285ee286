"""ONNX Runtime's static quantization: QDQ, unsigned activations and signed weights (U8S8), per channel.

S8S8, the default of its documentation, gains almost nothing on x86. A layer that is left in float has float weights and
computes in float; what it reads still comes in 8 bits from the layer before, which otherwise could not be fused.
"""

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from deploy.quantization_record import FloatLayer
from deploy.quantizers.base import BackendSettings, Images, Quantizer
from distill.files import write_bytes
from distill.optional import require

# Sub, Mul, Div and Sigmoid are missing on purpose: the graph's first (normalization) and last (calibration)
# operators are made of these, and stay float.
OPERATORS = [
    "Conv",
    "Gemm",
    "MatMul",
    "Add",
    "MaxPool",
    "AveragePool",
    "GlobalAveragePool",
    "Relu",
    "Clip",
    "Concat",
]

COMPUTE = {"Conv", "ConvTranspose", "Gemm", "MatMul"}


class OrtSettings(BackendSettings):
    """``calibration`` finds the ranges of the activations; ``percentile`` is read by that method alone."""

    calibration: Literal["minmax", "percentile"] = "minmax"
    percentile: float = Field(default=99.99, gt=50.0, le=100.0)
    per_channel: bool = True


class _Reader:
    """The calibration images as ONNX Runtime reads them, one range at a time."""

    def __init__(self, images: Images) -> None:
        self._images = images
        self.set_range(0, len(images))

    def set_range(self, start_index: int, end_index: int) -> None:
        self._left: Iterator[Any] = iter(self._images[start_index:end_index])

    def __len__(self) -> int:
        return len(self._images)

    def get_next(self) -> dict[str, Any] | None:
        image = next(self._left, None)
        return None if image is None else {"image": image}


def quantize(
    *, source: Path, output: Path, images: Images, settings: OrtSettings, float_layers: Sequence[int] = ()
) -> None:
    """Write ``source`` (``.onnx``) as a QDQ model to ``output``."""
    onnx = require("onnx")
    require("onnxruntime")
    from onnxruntime import quantization as ort

    class Reader(_Reader, ort.CalibrationDataReader):  # type: ignore[misc]
        pass

    with tempfile.TemporaryDirectory(dir=output.parent, prefix=f".{output.stem}-") as temporary:
        prepared, quantized = Path(temporary) / "prepared.onnx", Path(temporary) / "quantized.onnx"
        layers = _layers(_prepare(source, prepared))
        ort.quantize_static(
            prepared,
            quantized,
            Reader(images),
            quant_format=ort.QuantFormat.QDQ,
            op_types_to_quantize=OPERATORS,
            nodes_to_exclude=[layers[position].name for position in float_layers],
            per_channel=settings.per_channel,
            reduce_range=settings.effective_reduce_range(),
            activation_type=ort.QuantType.QUInt8,
            weight_type=ort.QuantType.QInt8,
            calibrate_method=ort.CalibrationMethod[_METHODS[settings.calibration]],
            extra_options=_options(settings),
        )
        model = onnx.load(quantized)
        _drop_unused_opsets(model)
        onnx.checker.check_model(model)
        write_bytes(output, model.SerializeToString())


def find_layers(path: Path) -> tuple[FloatLayer, ...]:
    """The convolutions and matrix products of ``path``, as they are when they are quantized."""
    with tempfile.TemporaryDirectory() as temporary:
        model = _prepare(path, Path(temporary) / "prepared.onnx")
    shapes = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    return tuple(
        FloatLayer(position=position, kind=node.op_type, shape=shapes.get(node.input[1], ()))
        for position, node in enumerate(_layers(model))
    )


def _prepare(source: Path, path: Path) -> Any:
    """Write ``source`` as ONNX Runtime's quantizer wants it, every node with a name of its own."""
    from onnxruntime.quantization.shape_inference import quant_pre_process

    onnx = require("onnx")
    quant_pre_process(source, path, skip_symbolic_shape=True)  # the shape is static: nothing symbolic
    model = onnx.load(path)
    for number, node in enumerate(model.graph.node):
        node.name = f"{node.op_type}_{number}"
    onnx.save(model, path)
    return model


def _layers(model: Any) -> list[Any]:
    return [node for node in model.graph.node if node.op_type in COMPUTE]


def count_layers(path: Path) -> int:
    """QuantizeLinear operators in ``path``."""
    model = require("onnx").load(path)
    return sum(node.op_type == "QuantizeLinear" for node in model.graph.node)


_METHODS = {"minmax": "MinMax", "percentile": "Percentile"}


def _options(settings: OrtSettings) -> dict[str, Any]:
    # The score itself stays float: 256 steps of the logit would be felt in the ranking.
    options: dict[str, Any] = {"OpTypesToExcludeOutputQuantization": ["Gemm", "MatMul"]}
    if settings.calibration == "percentile":
        # Histograms keep every activation of a range of images in memory: one image at a time. (Its entropy
        # method is not offered: merged this way it collapsed, and merged at once it fills the memory.)
        options["CalibStridedMinMax"] = 1
        options["CalibPercentile"] = settings.percentile
    return options


def _drop_unused_opsets(model: Any) -> None:
    used = {node.domain for node in model.graph.node}
    kept = [entry for entry in model.opset_import if entry.domain in used]
    del model.opset_import[:]
    model.opset_import.extend(kept)


QUANTIZER = Quantizer(
    name="ort",
    runtime="onnxruntime",
    settings_type=OrtSettings,
    packages=("onnxruntime", "onnx"),
    backend=quantize,
    count_layers=count_layers,
    find_layers=find_layers,
)
