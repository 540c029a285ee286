"""ONNX Runtime's static quantization: QDQ, unsigned activations and signed weights (U8S8), per channel.

S8S8, the default of its documentation, gains almost nothing on x86. A layer that is left in float has float weights and
computes in float; what it reads still comes in 8 bits from the layer before, which otherwise could not be fused. Which
layers compute in INT8 at all is a matter of the form (:mod:`deploy.quantizers.ort_forms`): the fastest is kept.
"""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from deploy.float_parts import MARK, is_marked
from deploy.macs import ONNX_COMPUTE, onnx_macs
from deploy.quantization_record import FloatLayer, FormRecord
from deploy.quantizers.base import BackendSettings, Images, Quantizer
from deploy.quantizers.ort_forms import FORMS, Form, choose, expand_constants, float_nodes, measure, skipped
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


class OrtSettings(BackendSettings):
    """``calibration`` finds the ranges of the activations; ``percentile`` is read by that method alone.

    ``form`` is one of :mod:`deploy.quantizers.ort_forms`; ``auto`` builds them, times them here and keeps the fastest.
    """

    form: Literal["auto"] | Form = "auto"
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


@dataclass(frozen=True)
class _Builder:
    """Makes the forms of one network; its activations are calibrated once.

    Attributes:
        folder: for what is made.
        images: to calibrate with.
        settings: of the tool.
        float_layers: positions of the layers that stay in float in every form.
    """

    folder: Path
    images: Images
    settings: OrtSettings
    float_layers: Sequence[int]

    @property
    def prepared(self) -> Path:
        """The FP32 model as it is quantized."""
        return self.folder / "prepared.onnx"

    def build(self, form: Form) -> Path:
        """One QDQ model."""
        onnx = require("onnx")
        from onnxruntime import quantization as ort

        class Reader(_Reader, ort.CalibrationDataReader):  # type: ignore[misc]
            pass

        model = onnx.load(self.prepared)
        layers = _layers(model)
        excluded = {layers[position].name for position in self.float_layers} | set(float_nodes(model, form))
        excluded |= {node.name for node in model.graph.node if is_marked(node.name)}
        source, output = self.folder / f"{form}-float.onnx", self.folder / f"{form}.onnx"
        if form == "expand":
            expand_constants(model)
        onnx.save(model, source)
        settings = self.settings
        ort.quantize_static(
            source,
            output,
            Reader(self.images),
            quant_format=ort.QuantFormat.QDQ,
            op_types_to_quantize=OPERATORS,
            nodes_to_exclude=sorted(excluded),
            per_channel=settings.per_channel,
            reduce_range=settings.effective_reduce_range(),
            activation_type=ort.QuantType.QUInt8,
            weight_type=ort.QuantType.QInt8,
            calibrate_method=ort.CalibrationMethod[_METHODS[settings.calibration]],
            extra_options=_options(settings),
            calibration_cache_path=self.folder / "ranges.json",
        )
        model = onnx.load(output)
        _drop_unused_opsets(model)
        onnx.checker.check_model(model)
        write_bytes(output, model.SerializeToString())
        return output


def quantize(
    *, source: Path, output: Path, images: Images, settings: OrtSettings, float_layers: Sequence[int] = ()
) -> tuple[FormRecord, ...]:
    """Write ``source`` (``.onnx``) as a QDQ model to ``output``; what was found of each form, if several were tried."""
    require("onnx")
    require("onnxruntime")
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=f".{output.stem}-") as temporary:
        builder = _Builder(Path(temporary), images, settings, float_layers)
        model = _prepare(source, builder.prepared)
        if settings.form != "auto":
            write_bytes(output, builder.build(settings.form).read_bytes())
            return ()
        others = skipped(model) if _layers(model) else dict.fromkeys(FORMS[1:], "no layer to leave in float")
        built = {form: builder.build(form) for form in FORMS if form not in others}
        forms = choose(measure(built, source=source, images=images), others=others)
        kept = {row.form for row in forms if row.kept}
        write_bytes(output, next(path.read_bytes() for form, path in built.items() if form in kept))
        return forms


def find_layers(path: Path) -> tuple[FloatLayer, ...]:
    """The convolutions and matrix products of ``path``, as they are when they are quantized."""
    with tempfile.TemporaryDirectory() as temporary:
        model = _prepare(path, Path(temporary) / "prepared.onnx")
    shapes = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    macs = onnx_macs(model)
    return tuple(
        FloatLayer(
            position=position,
            kind=node.op_type,
            shape=shapes.get(node.input[1], ()),
            macs=macs[node.output[0]],
        )
        for position, node in enumerate(_layers(model))
    )


def _prepare(source: Path, path: Path) -> Any:
    """Write ``source`` as ONNX Runtime's quantizer wants it, every node with a name of its own."""
    from onnxruntime.quantization.shape_inference import quant_pre_process

    onnx = require("onnx")
    quant_pre_process(source, path, skip_symbolic_shape=True)  # the shape is static: nothing symbolic
    model = onnx.load(path)
    for number, node in enumerate(model.graph.node):
        node.name = f"{MARK if is_marked(node.name) else ''}{node.op_type}_{number}"
    onnx.save(model, path)
    return model


def _layers(model: Any) -> list[Any]:
    return [node for node in model.graph.node if node.op_type in ONNX_COMPUTE]


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
