"""What an operator of a runtime's profile does, in plain words. Torch-free."""

import math
from collections.abc import Sequence

from deploy.compute_layers import ComputeLayer
from deploy.profilers import Operator, Shape

_CONVOLUTIONS = {
    "Convolution",
    "GroupConvolution",
    "Deconvolution",
    "QLinearConv",
    "ConvInteger",
    "ConvTranspose",
}
_PRODUCTS = ("FullyConnected", "MatMul", "Gemm")  # and what the engines make of these names
_PRECISIONS = {"int8": "INT8", "fp32": "FP32", "bf16": "BF16", "fp16": "FP16"}
# By what an engine calls it; ONNX Runtime's names first, then OpenVINO's.
_WORDS = {
    **dict.fromkeys(("Transpose", "ReorderInput", "ReorderOutput", "Reorder", "Permute"), "change of memory layout"),
    **dict.fromkeys(("Cast", "Convert"), "change of number type"),
    **dict.fromkeys(("QuantizeLinear", "FakeQuantize", "DynamicQuantizeLinear"), "quantizing to INT8"),
    "DequantizeLinear": "return from INT8 to float",
    **dict.fromkeys(("Sub", "Mul", "Add", "Div", "QLinearAdd", "QLinearMul", "Sum", "Eltwise"), "elementwise arithmetic"),
    **dict.fromkeys(("Subtract", "Multiply", "Divide"), "elementwise arithmetic"),
    **dict.fromkeys(("GlobalAveragePool", "QLinearGlobalAveragePool", "ReduceMean", "Reduce"), "average over the image"),
    **dict.fromkeys(("MaxPool", "AveragePool", "QLinearAveragePool", "Pooling", "AvgPool"), "pooling"),
    **dict.fromkeys(("Relu", "Clip", "Sigmoid", "QLinearSigmoid", "HardSigmoid", "HardSwish", "QuickGelu"), "activation"),
    **dict.fromkeys(("Clamp", "Swish", "HSwish", "Gelu", "PRelu", "LeakyRelu"), "activation"),
    **dict.fromkeys(("Concat", "QLinearConcat", "Split", "Slice", "StridedSlice", "Gather"), "copying of parts"),
    **dict.fromkeys(("Reshape", "Flatten", "Squeeze", "Unsqueeze", "Expand"), "change of shape"),
    **dict.fromkeys(("Softmax", "LogSoftmax"), "softmax"),
    "Subgraph": "small operators compiled into one",
    "MVN": "normalization",
}  # fmt: skip


def words_of(operator: Operator, layers: Sequence[ComputeLayer] = ()) -> str:
    """Such as ``3×3 convolution, 64 → 128 channels, at 28×28, INT8``.

    Args:
        operator: of a profile.
        layers: of the model's file: ONNX Runtime's profile shows no weights of an INT8 convolution, so its kernel is that
            of the layer with the same channels and size.
    """
    precision = _PRECISIONS.get(operator.precision, "")
    if operator.kind in _CONVOLUTIONS or operator.kind.endswith("Conv"):
        return _joined(*_convolution(operator, layers), precision)
    if any(word in operator.kind for word in _PRODUCTS):
        return _joined("matrix product", _sizes(operator), precision)
    words = _WORDS.get(operator.kind, operator.kind)
    if words == "change of memory layout" and operator.name.startswith("image"):
        words = "change of the input's memory layout"
    return _joined(words, _at(operator), precision)


def _convolution(operator: Operator, layers: Sequence[ComputeLayer]) -> tuple[str, str, str]:
    if len(operator.output) != 4 or not operator.shapes or len(operator.shapes[0]) != 4:
        return "convolution", "", ""
    weights = _weights(operator)
    last = _channels_last(operator.shapes[0], operator.output, weights)
    size, made = (
        (operator.output[1:3], operator.output[3]) if last else (operator.output[2:], operator.output[1])
    )
    read = operator.shapes[0][3 if last else 1]
    weights = weights or _stored(layers, read=read, made=made, size=size)
    kind = "depthwise convolution" if _groups(weights, read) == read > 1 else "convolution"
    kind = f"{weights[-2]}×{weights[-1]} {kind}" if weights else kind
    return kind, f"{read} → {made} channels", f"at {size[0]}×{size[1]}"


def _weights(operator: Operator) -> Shape:
    """``[out, in, height, width]``; OpenVINO puts the groups of a grouped convolution in front."""
    second = operator.shapes[1] if len(operator.shapes) > 1 else ()
    return second if len(second) in (4, 5) else ()


def _channels_last(read: Shape, made: Shape, weights: Shape) -> bool:
    """Each engine tells shapes as they lie in memory. Without weights, images are taken to be square."""
    if weights:
        return weights[0] == made[3] != made[1] and len(weights) == 4
    return made[1] == made[2] and read[1] == read[2]


def _groups(weights: Shape, read: int) -> int:
    if len(weights) == 5:
        return weights[0]
    return read // weights[1] if len(weights) == 4 and weights[1] else 1


def _stored(layers: Sequence[ComputeLayer], *, read: int, made: int, size: Shape) -> Shape:
    """The weights of the layer that fits."""
    fitting = (
        layer for layer in layers if layer.output[1:] == (made, *size) and _channels_read(layer) == read
    )
    return next((layer.weights for layer in fitting), ())


def _channels_read(layer: ComputeLayer) -> int:
    if len(layer.weights) != 4:
        return 0
    # of one group: a depthwise layer's weights say 1
    return layer.weights[0] if layer.weights[1] == 1 else layer.weights[1]


def _sizes(operator: Operator) -> str:
    if not operator.shapes or not operator.shapes[0] or not operator.output:
        return ""
    return f"{operator.shapes[0][-1]} → {operator.output[-1]}"


def _at(operator: Operator) -> str:
    """Where it works on an image: its numbers, as they lie."""
    return "×".join(map(str, operator.output[1:])) if math.prod(operator.output or (1,)) > 1 else ""


def _joined(*parts: str) -> str:
    return ", ".join(part for part in parts if part)
