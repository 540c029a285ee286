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
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field

from deploy.float_parts import is_marked
from deploy.macs import IR_COMPUTE, ir_macs
from deploy.openvino_ir import openvino_core, save_openvino
from deploy.quantization_record import FloatLayer
from deploy.quantizers.base import BackendSettings, Images, Quantizer, Validation
from distill.optional import require
from distill.preprocess import Pixels

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
    nncf = _nncf()
    model = openvino_core().read_model(source)
    options = _options(nncf, model, images=images, settings=settings, float_layers=float_layers)
    with contextlib.redirect_stdout(io.StringIO()):  # progress bars of its own
        quantized = nncf.quantize(
            model, nncf.Dataset(list(images)), **options, advanced_parameters=_advanced(nncf, settings)
        )
    save_openvino(quantized, output)


def control_accuracy(
    *, source: Path, images: Images, settings: NncfSettings, validation: Validation
) -> tuple[int, ...]:
    """Positions of the layers that NNCF's accuracy control leaves in float so that ``validation`` holds.

    It takes quantizations back in groups, the one that costs the most first, without quantizing anew; a group may hold
    several layers. It knows no bound, so that what it leaves may be no INT8 any more.
    """
    nncf = _nncf()
    model = openvino_core().read_model(source)
    numbered = list(enumerate(validation.images))
    with contextlib.redirect_stdout(io.StringIO()):
        controlled = nncf.quantize_with_accuracy_control(
            model,
            nncf.Dataset(list(images)),
            nncf.Dataset(numbered, lambda item: item[1]),
            partial(_validate, validation),
            max_drop=validation.max_drop,
            **_options(nncf, model, images=images, settings=settings),
            advanced_quantization_parameters=_advanced(nncf, settings),
            advanced_accuracy_restorer_parameters=nncf.AdvancedAccuracyRestorerParameters(
                ranking_subset_size=len(numbered), num_ranking_workers=1
            ),
        )
    now = {node.get_friendly_name(): node for node in controlled.get_ops()}
    names = [layer.get_friendly_name() for layer in _layers(model)]
    return tuple(position for position, name in enumerate(names) if _is_float(now[name]))


def _validate(
    validation: Validation, compiled: Any, items: Iterable[tuple[int, Pixels]]
) -> tuple[float, list[float]]:
    """The score, and a value for each image: without these NNCF would ask for the score of every image by itself."""
    request = compiled.create_infer_request()
    logits = []
    for _, image in items:
        request.infer({0: image})
        logits.append(np.array(request.get_output_tensor(1).data[0], dtype=np.float32))
    # NNCF first asks about one image alone, to learn what is returned: no score can be told there
    whole = len(logits) == len(validation.images)
    # and it divides by the score, which may be 0: drops are the same one higher
    score = 1.0 + validation.score(np.stack(logits)) if whole else 0.0
    return score, [float(value.max()) for value in logits]


def _is_float(layer: Any) -> bool:
    """Whether a layer of a quantized model reads float weights; of two activations, one that was not quantized."""
    sources = [value.get_node().get_type_name() for value in layer.input_values()[:2]]
    return sources[1] == "Constant" or (_weightless(layer) and "FakeQuantize" not in sources)


def _weightless(layer: Any) -> bool:
    pending = [layer.input_value(1).get_node()]
    while pending:
        node = pending.pop()
        if node.get_type_name() == "Parameter":
            return True
        pending += [value.get_node() for value in node.input_values()]
    return False


def _nncf() -> Any:
    # NNCF looks for torch's compiler, and torch then warns of a CUDA toolkit without a GPU.
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
    nncf = require("nncf")
    nncf.set_log_level(logging.ERROR)
    return nncf


def _options(
    nncf: Any, model: Any, *, images: Images, settings: NncfSettings, float_layers: Sequence[int] = ()
) -> dict[str, Any]:
    layers = _layers(model)
    ignored = {*_tail(model), *(layers[position].get_friendly_name() for position in float_layers)}
    ignored |= {name for node in model.get_ordered_ops() if is_marked(name := node.get_friendly_name())}
    return {
        "preset": nncf.QuantizationPreset(settings.preset),
        "subset_size": min(settings.subset_size or len(images), len(images)),
        "fast_bias_correction": settings.fast_bias_correction,
        "ignored_scope": nncf.IgnoredScope(names=sorted(ignored), validate=False),
    }


def count_layers(path: Path) -> int:
    """FakeQuantize operators in ``path``."""
    model = openvino_core().read_model(path)
    return sum(operation.get_type_name() == "FakeQuantize" for operation in model.get_ops())


def find_layers(path: Path) -> tuple[FloatLayer, ...]:
    """The convolutions and matrix products of ``path``."""
    return tuple(
        FloatLayer(
            position=position, kind=layer.get_type_name(), shape=_weight_shape(layer), macs=ir_macs(layer)
        )
        for position, layer in enumerate(_layers(openvino_core().read_model(path)))
    )


def _layers(model: Any) -> list[Any]:
    return [node for node in model.get_ordered_ops() if node.get_type_name() in IR_COMPUTE]


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
            if name not in names and source.get_type_name() not in {*IR_COMPUTE, "Constant", "Parameter"}:
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
    control_accuracy=control_accuracy,
    trained_settings={"bias_correction": False},
)
