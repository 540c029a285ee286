"""The convolutions and matrix products of a model file: what each reads, writes and computes, in how many bits. Torch-free."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.float_parts import is_marked
from deploy.macs import IR_COMPUTE, ONNX_COMPUTE, ir_macs, ir_shape, onnx_macs, onnx_shapes
from deploy.openvino_ir import openvino_core
from distill.errors import EdgeproofError
from distill.optional import require

_ONNX_PASS = {"Flatten", "Identity", "MaxPool", "Reshape", "Slice", "Squeeze", "Transpose", "Unsqueeze"}
_IR_PASS = {"MaxPool", "Reshape", "Slice", "Squeeze", "StridedSlice", "Transpose", "Unsqueeze"}
_IR_WEIGHT_PASS = {"Convert", "Multiply", "Subtract", "Reshape", "Transpose", "FakeQuantize", "FakeConvert"}
_IR_INT8 = {"i8", "u8", "i4", "u4"}
# What engines compute while a layer's result is still in registers.
_ONNX_FUSED = _ONNX_PASS | {"Relu", "Clip", "LeakyRelu", "Add", "HardSigmoid", "Sigmoid", "Mul"}
_IR_FUSED = _IR_PASS | {"Relu", "ReLU", "Clamp", "PReLU", "Add", "Sigmoid", "Multiply", "Swish", "HSwish"}


@dataclass(frozen=True)
class ComputeLayer:
    """One convolution or matrix product; counts are of one image.

    Attributes:
        macs: multiply-accumulates.
        weights: shape of what is stored for it, empty for a product of two activations.
        inputs: elements of the activations that it reads.
        output: shape of what it writes.
        int8_weights: whether they are stored in 8 bits.
        int8: whether all that it multiplies has been quantized.
        int8_output: whether what it writes is quantized before anything else reads it.
        in_float: whether it belongs to a part that no quantizer touches (:mod:`deploy.float_parts`).
    """

    macs: int
    weights: tuple[int, ...]
    inputs: int
    output: tuple[int, ...]
    int8_weights: bool
    int8: bool
    int8_output: bool
    in_float: bool = False

    @property
    def elements(self) -> int:
        """How many weights there are."""
        return math.prod(self.weights) if self.weights else 0

    @property
    def output_elements(self) -> int:
        """How many numbers it writes."""
        return math.prod(self.output) if self.output else 0


def compute_layers(path: Path) -> list[ComputeLayer]:
    """All of them in ``path`` (``.onnx`` or ``.xml``), in the order in which they run.

    Raises:
        EdgeproofError: the file is missing or of another kind, or the package that reads it is not installed.
    """
    require_model(path)
    return list(_READERS[path.suffix](path))


def require_model(path: Path) -> None:
    """Raise :class:`EdgeproofError` unless ``path`` is a file that :func:`compute_layers` reads, by its name."""
    if not path.is_file():
        raise EdgeproofError(f"{path}: no such file, expected a model")
    if path.suffix not in _READERS:
        raise EdgeproofError(f"{path}: found suffix {path.suffix!r}, expected {' or '.join(_READERS)}")


def _onnx_layers(path: Path) -> Iterator[ComputeLayer]:
    onnx = require("onnx")
    model = onnx.load(path)
    producers = {name: node for node in model.graph.node for name in node.output}
    consumers = _onnx_consumers(model)
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    types, macs, shapes = onnx.TensorProto, onnx_macs(model), onnx_shapes(model)
    eight_bits = {types.INT8, types.UINT8, types.INT4, types.UINT4}
    for node in model.graph.node:
        if node.op_type not in ONNX_COMPUTE:
            continue
        source = _onnx_back(node.input[1], producers, {*_ONNX_PASS, "QuantizeLinear", "DequantizeLinear"})
        weight = constants.get(source)
        read = node.input[:1] if weight is not None else node.input[:2]
        yield ComputeLayer(
            macs=macs[node.output[0]],
            weights=tuple(weight.dims) if weight is not None else (),
            inputs=sum(math.prod(shapes.get(name, (0,))) for name in read),
            output=tuple(shapes.get(node.output[0], ())),
            int8_weights=weight is not None and weight.data_type in eight_bits,
            int8=all(_onnx_quantized(name, producers) for name in node.input[:2]),
            int8_output=_onnx_requantized(node.output[0], consumers),
            in_float=is_marked(node.name),
        )


def _onnx_consumers(model: Any) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for node in model.graph.node:
        for name in node.input:
            found.setdefault(name, []).append(node)
    return found


def _onnx_quantized(name: str, producers: dict[str, Any]) -> bool:
    source = producers.get(_onnx_back(name, producers, _ONNX_PASS))
    return source is not None and source.op_type == "DequantizeLinear"


def _onnx_back(name: str, producers: dict[str, Any], passing: set[str]) -> str:
    while name in producers and producers[name].op_type in passing:
        name = producers[name].input[0]
    return name


def _onnx_requantized(name: str, consumers: dict[str, list[Any]]) -> bool:
    readers = consumers.get(name, [])
    while readers and readers[0].op_type in _ONNX_FUSED:
        readers = consumers.get(readers[0].output[0], [])
    return bool(readers) and readers[0].op_type == "QuantizeLinear"


def _ir_layers(path: Path) -> Iterator[ComputeLayer]:
    for operation in openvino_core().read_model(path).get_ordered_ops():
        if operation.get_type_name() not in IR_COMPUTE:
            continue
        weight = _ir_back(operation, 1, _IR_WEIGHT_PASS)
        constant = weight.get_type_name() == "Constant"
        stored = constant and weight.get_element_type().get_type_name() in _IR_INT8
        yield ComputeLayer(
            macs=ir_macs(operation),
            weights=tuple(weight.get_output_shape(0)) if constant else (),
            inputs=sum(_ir_elements(operation, port) for port in ((0,) if constant else (0, 1))),
            output=tuple(ir_shape(operation.output(0).get_partial_shape())),
            int8_weights=stored,
            int8=_ir_quantized(operation, 0) and (stored or _ir_quantized(operation, 1)),
            int8_output=_ir_requantized(operation),
            in_float=is_marked(operation.get_friendly_name()),
        )


def _ir_elements(operation: Any, port: int) -> int:
    return math.prod(ir_shape(operation.input(port).get_partial_shape()))


def _ir_quantized(operation: Any, port: int) -> bool:
    return bool(_ir_back(operation, port, _IR_PASS).get_type_name() == "FakeQuantize")


def _ir_back(operation: Any, port: int, passing: set[str]) -> Any:
    source = operation.input_value(port).get_node()
    while source.get_type_name() in passing:
        source = source.input_value(0).get_node()
    return source


def _ir_requantized(operation: Any) -> bool:
    readers = list(operation.output(0).get_target_inputs())
    while readers and readers[0].get_node().get_type_name() in _IR_FUSED:
        readers = list(readers[0].get_node().output(0).get_target_inputs())
    return bool(readers) and readers[0].get_node().get_type_name() == "FakeQuantize"


_READERS = {".onnx": _onnx_layers, ".xml": _ir_layers}
