"""NNCF post-training quantization of an OpenVINO model (per-channel weights, fast bias correction).

NNCF's OpenVINO backend needs no compiler, unlike its torch backend. Two of its defaults are changed (what that
gained: docs/lab-notes.md):

- activation ranges are the minimum and maximum over all images, not the mean of each image's, which clips
  every image that is brighter or noisier than most;
- operators after the last convolution or matrix product stay float: the score itself would be rounded to 256
  steps and clipped to what calibration met.
"""

import contextlib
import io
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from deploy.openvino_ir import openvino_core, save_openvino
from deploy.quantization_record import FloatLayer
from deploy.quantizers.base import BackendSettings, Images, Quantizer
from distill.optional import require

COMPUTE = {"Convolution", "ConvolutionBackpropData", "GroupConvolution", "MatMul"}
_RANGES = {"minmax": "MINMAX", "mean_minmax": "MEAN_MINMAX"}


class NncfSettings(BackendSettings):
    """``mixed`` has asymmetric activations, which SiLU-like networks need; ``performance`` is symmetric.

    ``subset_size`` is how many of the calibration images NNCF looks at: all of them by default.
    ``bias_correction`` shifts biases by what rounding adds to a layer's mean output. A network that was trained with the
    rounding has learned that itself, and is made worse.
    """

    preset: Literal["mixed", "performance"] = "mixed"
    calibration: Literal["minmax", "mean_minmax"] = "minmax"
    subset_size: int | None = Field(default=None, ge=1)
    bias_correction: bool = True
    fast_bias_correction: bool = True


def quantize(
    *, source: Path, output: Path, images: Images, settings: NncfSettings, float_layers: Sequence[int] = ()
) -> None:
    """Write ``source`` (``.xml``) as an INT8 model to ``output`` (``.xml`` and ``.bin``)."""
    # NNCF looks for torch's compiler, and torch then warns of a CUDA toolkit without a GPU.
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
    nncf = require("nncf")
    nncf.set_log_level(logging.ERROR)
    model = openvino_core().read_model(source)
    layers = _layers(model)
    ignored = {*_tail(model), *(layers[position].get_friendly_name() for position in float_layers)}
    with contextlib.redirect_stdout(io.StringIO()):  # progress bars of its own
        quantized = nncf.quantize(
            model,
            nncf.Dataset(list(images)),
            preset=nncf.QuantizationPreset(settings.preset),
            subset_size=min(settings.subset_size or len(images), len(images)),
            fast_bias_correction=settings.fast_bias_correction,
            ignored_scope=nncf.IgnoredScope(names=sorted(ignored), validate=False),
            advanced_parameters=_advanced(nncf, settings),
        )
    save_openvino(quantized, output)


def count_layers(path: Path) -> int:
    """FakeQuantize operators in ``path``."""
    model = openvino_core().read_model(path)
    return sum(operation.get_type_name() == "FakeQuantize" for operation in model.get_ops())


def find_layers(path: Path) -> tuple[FloatLayer, ...]:
    """The convolutions and matrix products of ``path``."""
    return tuple(
        FloatLayer(position=position, kind=layer.get_type_name(), shape=_weight_shape(layer))
        for position, layer in enumerate(_layers(openvino_core().read_model(path)))
    )


def _layers(model: Any) -> list[Any]:
    return [node for node in model.get_ordered_ops() if node.get_type_name() in COMPUTE]


def _weight_shape(layer: Any) -> tuple[int, ...]:
    source = layer.input_value(1).get_node()
    return tuple(source.get_output_shape(0)) if source.get_type_name() == "Constant" else ()


def _advanced(nncf: Any, settings: NncfSettings) -> Any:
    from nncf.quantization.range_estimator import RangeEstimatorParametersSet

    # Without VNNI every layer may overflow, with it none; NNCF's own default repairs the first layer only.
    reduce_range = settings.effective_reduce_range()
    return nncf.AdvancedQuantizationParameters(
        disable_bias_correction=not settings.bias_correction,
        overflow_fix=nncf.OverflowFix.ENABLE if reduce_range else nncf.OverflowFix.DISABLE,
        activations_range_estimator_params=getattr(
            RangeEstimatorParametersSet, _RANGES[settings.calibration]
        ),
    )


def _tail(model: Any) -> list[str]:
    # Found by structure, in this very model: names change from export to export.
    names: set[str] = set()
    pending = list(model.get_results())
    while pending:
        for value in pending.pop().input_values():
            source = value.get_node()
            name = source.get_friendly_name()
            if name not in names and source.get_type_name() not in {*COMPUTE, "Constant", "Parameter"}:
                names.add(name)
                pending.append(source)
    return sorted(names)


QUANTIZER = Quantizer(
    name="nncf",
    runtime="openvino",
    settings_type=NncfSettings,
    packages=("nncf", "openvino"),
    backend=quantize,
    count_layers=count_layers,
    find_layers=find_layers,
    trained_settings={"bias_correction": False},
)
