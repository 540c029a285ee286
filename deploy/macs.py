"""Multiply-accumulates of the convolutions and matrix products in a model file. Dimensions that are not static count as 1."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

from distill.optional import require

ONNX_COMPUTE = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})
IR_COMPUTE = frozenset({"Convolution", "GroupConvolution", "ConvolutionBackpropData", "MatMul"})
# Of a convolution's weights, the dimensions that are not summed over. A transposed one spreads what a plain one gathers:
# it is counted over its input.
_ONNX_OUTPUTS = {"Conv": 1, "ConvTranspose": 1}
_IR_OUTPUTS = {"Convolution": 1, "GroupConvolution": 2, "ConvolutionBackpropData": 1}
_TRANSPOSED = frozenset({"ConvTranspose", "ConvolutionBackpropData"})

Shape = Sequence[int]


def onnx_macs(model: Any) -> dict[str, int]:
    """First output of every convolution and matrix product of an ``onnx.ModelProto`` → its multiply-accumulates.

    One whose shapes cannot be inferred counts 0.
    """
    shapes = onnx_shapes(model)
    return {
        node.output[0]: _onnx_node(node, shapes) for node in model.graph.node if node.op_type in ONNX_COMPUTE
    }


def ir_macs(operation: Any) -> int:
    """Multiply-accumulates of one convolution or matrix product of an ``openvino.Model``."""
    kind = operation.get_type_name()
    first, second = (ir_shape(operation.input(port).get_partial_shape()) for port in (0, 1))
    output = ir_shape(operation.output(0).get_partial_shape())
    if kind == "MatMul":
        transposed = operation.get_attributes().get("transpose_a", False)
        return math.prod(output) * _reduced(first, transposed=transposed)
    places = first if kind in _TRANSPOSED else output
    return math.prod(places) * math.prod(second[_IR_OUTPUTS[kind] :])


def _onnx_node(node: Any, shapes: dict[str, Shape]) -> int:
    first, second, output = (shapes.get(name) for name in (*node.input[:2], node.output[0]))
    if first is None or second is None or output is None:
        return 0
    if node.op_type in _ONNX_OUTPUTS:
        places = first if node.op_type in _TRANSPOSED else output
        return math.prod(places) * math.prod(second[_ONNX_OUTPUTS[node.op_type] :])
    transposed = any(item.name == "transA" and item.i for item in node.attribute)
    return math.prod(output) * _reduced(first, transposed=transposed)


def _reduced(shape: Shape, *, transposed: bool) -> int:
    """The inner dimension of a product, of its first operand."""
    return shape[-2 if transposed and len(shape) > 1 else -1]


def onnx_shapes(model: Any) -> dict[str, Shape]:
    """Name of every tensor of an ``onnx.ModelProto`` → its shape, where it can be inferred."""
    graph = require("onnx").shape_inference.infer_shapes(model).graph
    values: Iterable[Any] = (*graph.input, *graph.value_info, *graph.output)
    shapes: dict[str, Shape] = {
        value.name: [dimension.dim_value or 1 for dimension in value.type.tensor_type.shape.dim]
        for value in values
        if value.type.tensor_type.HasField("shape")
    }
    return shapes | {tensor.name: list(tensor.dims) for tensor in graph.initializer}


def ir_shape(shape: Any) -> Shape:
    """An ``openvino.PartialShape`` as numbers."""
    return [dimension.get_length() if dimension.is_static else 1 for dimension in shape]
