"""neural-compressor (3.x, PT2E) for OpenVINO: it quantizes the network itself, and what it makes is exported.

PT2E is what is left in it for convolutional networks: no ONNX, no API of version 2. What it converts would be useless as it
comes, so two things are done that it does not offer:

- weights are folded into 8 bits: its public ``convert`` leaves them in float, each behind a quantization of its own, which
  makes four times the file and several times the time;
- zero-points that are all zero are dropped: exporters share one such constant between layers of equal width, and OpenVINO
  then runs these layers in FP32.

It quantizes the inputs of convolutions and matrix products alone, and so leaves additions and the score in float. ONNX Runtime
cannot fuse that and would run it slower than FP32: the models are for OpenVINO.
"""

import contextlib
import logging
import os
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from deploy.artifact import OUTPUTS
from deploy.openvino_ir import export_openvino
from deploy.quantizers.base import BackendSettings, Images, Quantizer
from deploy.quantizers.nncf import count_layers
from distill.errors import EdgeproofError
from distill.optional import require
from distill.preprocess import Pixels

if TYPE_CHECKING:
    import onnx

    from deploy.onnx_graph import DeployGraph

OPSET = 20
_OBSERVERS = {"moving_minmax": "minmax", "histogram": "kl"}  # as neural-compressor calls them
_SEVEN_BITS = (-64, 63)
_CHATTY = ("neural_compressor", "torch.utils._pytree")


class IncSettings(BackendSettings):
    """``calibration`` finds the ranges of activations; ``symmetric`` ones put zero in the middle of their range.

    ``histogram`` clips where that costs the least. ``moving_minmax``, the tool's own default, is a moving average of each
    image's minimum and maximum, and clips whatever is brighter or noisier than most: the largest drift of one test image was
    0.3 to 0.5 in probability with it, 0.10 to 0.13 with ``histogram`` (two networks, 1,000 images).
    """

    calibration: Literal["moving_minmax", "histogram"] = "histogram"
    symmetric: bool = False


def quantize(
    *, source: Path, output: Path, images: Images, settings: IncSettings, network: "DeployGraph"
) -> None:
    """Write the INT8 form of ``network``, the graph that ``source`` was exported from, to ``output`` (``.xml``, ``.bin``).

    Args:
        source: the FP32 model, for messages.
        output: the INT8 model.
        images: to calibrate with.
        settings: of this tool.
        network: in evaluation mode.

    Raises:
        EdgeproofError: neural-compressor is missing, or the network cannot be quantized or exported.
    """
    require("neural_compressor")
    with _quiet():
        try:
            converted = _converted(network, images, settings)
            proto = _exported(converted, image=images[0], outputs=OUTPUTS[network.task.kind])
        except Exception as error:  # whatever a module does that cannot be traced
            reason = str(error).strip().partition("\n")[0] or type(error).__name__
            raise EdgeproofError(f"{source}: neural-compressor cannot quantize it ({reason})") from error
    _drop_zero_points(proto)
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=f".{output.stem}-") as temporary:
        path = Path(temporary, "model.onnx")
        path.write_bytes(proto.SerializeToString())
        export_openvino(path, path=output)


def _converted(network: "DeployGraph", images: Images, settings: IncSettings) -> Any:
    """The network with quantizations in it, batch normalization and weights folded."""
    import torch
    from neural_compressor.torch.algorithms.pt2e_quant.core import W8A8PT2EQuantizer
    from neural_compressor.torch.export import export
    from neural_compressor.torch.quantization import StaticQuantConfig, prepare

    shown = [torch.from_numpy(np.ascontiguousarray(image)) for image in images]
    config = StaticQuantConfig(act_algo=_OBSERVERS[settings.calibration], act_sym=settings.symmetric)
    prepared = prepare(export(network, (shown[0],)), quant_config=config, example_inputs=(shown[0],))
    with torch.no_grad():
        for image in shown:
            prepared(image)
    if settings.effective_reduce_range():
        _to_seven_bits(prepared)
    return W8A8PT2EQuantizer(None).convert(prepared, fold_quantize=True)


def _to_seven_bits(prepared: Any) -> None:
    # neural-compressor has no such setting; what it converts with is what the weights' observers say
    from torchao.quantization.pt2e.observer import PerChannelMinMaxObserver

    for module in prepared.modules():
        if isinstance(module, PerChannelMinMaxObserver):
            module.quant_min, module.quant_max = _SEVEN_BITS


def _exported(converted: Any, *, image: Pixels, outputs: tuple[str, str]) -> "onnx.ModelProto":
    import torch

    with torch.no_grad():
        program = torch.onnx.export(
            converted,
            (torch.from_numpy(image),),
            None,
            input_names=["image"],
            output_names=list(outputs),
            opset_version=OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    if program is None:
        raise EdgeproofError("torch.onnx.export returned no program")
    proto: onnx.ModelProto = program.model_proto
    return proto


def _drop_zero_points(proto: "onnx.ModelProto") -> None:
    """Of 8-bit weights, where they are all zero; what no operator reads any more goes too."""
    from onnx import numpy_helper

    constants = {tensor.name: tensor for tensor in proto.graph.initializer}
    for node in proto.graph.node:
        if node.op_type == "DequantizeLinear" and node.input[0] in constants and len(node.input) > 2:
            if not numpy_helper.to_array(constants[node.input[2]]).any():
                del node.input[2:]
    read = {name for node in proto.graph.node for name in node.input}
    kept = [tensor for tensor in proto.graph.initializer if tensor.name in read]
    del proto.graph.initializer[:]
    proto.graph.initializer.extend(kept)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without its log lines, and those of what it imports; other warnings pass."""
    os.environ.setdefault(
        "LOG_LEVEL_INC", "6"
    )  # otherwise it makes a folder for a log file in the user's home
    from neural_compressor.common import Logger

    Logger()  # made at the first call, it sets its level
    loggers = [logging.getLogger(name) for name in _CHATTY]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        # torchao's own source, when it is compiled for the first time
        warnings.filterwarnings("ignore", message="invalid escape sequence")
        # a converted graph has no mode of its own
        warnings.filterwarnings("ignore", message="Exporting a model while it is in training mode")
        try:
            for logger in loggers:
                logger.setLevel(logging.ERROR)
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


QUANTIZER = Quantizer(
    name="inc",
    runtime="openvino",
    settings_type=IncSettings,
    packages=("neural-compressor", "torchao", "torch", "openvino"),
    backend=quantize,
    count_layers=count_layers,
    needs_network=True,
)
