"""NNCF post-training quantization of an OpenVINO model (per-channel weights, fast bias correction).

NNCF's OpenVINO backend needs no compiler, unlike its torch backend.
"""

import contextlib
import io
import logging
from pathlib import Path
from typing import Literal

from pydantic import Field

from deploy.openvino_ir import save_openvino
from deploy.quantizers.base import BackendSettings, Images, Quantizer, require


class NncfSettings(BackendSettings):
    """``mixed`` has asymmetric activations, which SiLU-like networks need; ``performance`` is all symmetric."""

    preset: Literal["mixed", "performance"] = "mixed"
    subset_size: int = Field(default=300, ge=1)
    fast_bias_correction: bool = True


def quantize(*, source: Path, output: Path, images: Images, settings: NncfSettings) -> None:
    """Write ``source`` (``.xml``) as an INT8 model to ``output`` (``.xml`` and ``.bin``)."""
    openvino = require("openvino")
    nncf = require("nncf")
    nncf.set_log_level(logging.ERROR)
    # Without VNNI every layer risks overflow, with it none: NNCF's own default repairs the first layer only.
    overflow_fix = nncf.OverflowFix.ENABLE if settings.effective_reduce_range() else nncf.OverflowFix.DISABLE
    with contextlib.redirect_stdout(io.StringIO()):  # progress bars of its own
        model = nncf.quantize(
            openvino.Core().read_model(source),
            nncf.Dataset(list(images)),
            preset=nncf.QuantizationPreset(settings.preset),
            subset_size=min(settings.subset_size, len(images)),
            fast_bias_correction=settings.fast_bias_correction,
            advanced_parameters=nncf.AdvancedQuantizationParameters(overflow_fix=overflow_fix),
        )
    save_openvino(model, output)


def count_layers(path: Path) -> int:
    """FakeQuantize operators in ``path``."""
    model = require("openvino").Core().read_model(path)
    return sum(operation.get_type_name() == "FakeQuantize" for operation in model.get_ops())


QUANTIZER = Quantizer(
    name="nncf_openvino",
    runtime="openvino",
    settings_type=NncfSettings,
    packages=("nncf", "openvino"),
    backend=quantize,
    count_layers=count_layers,
)
