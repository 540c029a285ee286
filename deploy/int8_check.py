"""Proof that INT8 really happened: what a quantized file stores and computes, not what its name says."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from deploy.openvino_ir import openvino_core
from distill.errors import EdgeproofError
from distill.optional import require

# A few layers may stay float on purpose (a score, a squeeze-and-excitation gate); most may not.
MIN_WEIGHT_SHARE = 0.9
MIN_OPERATOR_SHARE = 0.75

_ONNX_COMPUTE = {"Conv", "ConvTranspose", "Gemm", "MatMul"}
_ONNX_PASS = {"Flatten", "Identity", "MaxPool", "Reshape", "Slice", "Squeeze", "Transpose", "Unsqueeze"}
_IR_COMPUTE = {"Convolution", "GroupConvolution", "ConvolutionBackpropData", "MatMul"}
_IR_PASS = {"MaxPool", "Reshape", "Slice", "Squeeze", "StridedSlice", "Transpose", "Unsqueeze"}
_IR_WEIGHT_PASS = {"Convert", "Multiply", "Subtract", "Reshape", "Transpose", "FakeQuantize", "FakeConvert"}
_IR_INT8 = {"i8", "u8", "i4", "u4"}


class Int8Evidence(BaseModel):
    """What was found in an INT8 file.

    Attributes:
        int8_weight_share: of all weight elements of convolutions and matrix products, those stored in 8 bits.
        size_ratio: bytes of the INT8 model over bytes of its FP32 form (about 0.25 for a large one; reported
            only, since in a tiny model the graph outweighs the weights).
        quantized_operator_share: of those operators, the ones whose input goes through a quantization.
        passed: both shares reach their minimum.
        reason: the verdict in words.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    int8_weight_share: float
    size_ratio: float
    quantized_operator_share: float
    passed: bool
    reason: str


@dataclass(frozen=True)
class _Operator:
    elements: int  # 0: a product of two activations
    int8_weights: bool
    quantized_input: bool


def inspect_int8(path: Path, *, fp32_path: Path) -> Int8Evidence:
    """Judge the INT8 model ``path`` (``.onnx`` or ``.xml``) beside its FP32 form ``fp32_path``.

    Raises:
        EdgeproofError: a file is missing or of another kind.
    """
    for file in (path, fp32_path):
        if not file.is_file():
            raise EdgeproofError(f"{file}: no such file, expected a model")
        if file.suffix not in _READERS:
            raise EdgeproofError(f"{file}: found suffix {file.suffix!r}, expected {' or '.join(_READERS)}")
    operators = list(_READERS[path.suffix](path))
    ratio = _bytes(path) / _bytes(fp32_path)
    elements = sum(operator.elements for operator in operators)
    weights = sum(operator.elements for operator in operators if operator.int8_weights) / max(elements, 1)
    quantized = sum(operator.quantized_input for operator in operators) / max(len(operators), 1)
    failures = []
    if not operators:
        failures.append("no convolution or matrix product in the file")
    if weights < MIN_WEIGHT_SHARE:
        failures.append(f"{weights:.0%} of the weights are stored as INT8, expected {MIN_WEIGHT_SHARE:.0%}")
    if quantized < MIN_OPERATOR_SHARE:
        failures.append(f"{quantized:.0%} of the operators are quantized, expected {MIN_OPERATOR_SHARE:.0%}")
    passed = (
        f"{weights:.0%} of the weights are stored as INT8, {quantized:.0%} of the operators are quantized"
    )
    return Int8Evidence(
        int8_weight_share=weights,
        size_ratio=ratio,
        quantized_operator_share=quantized,
        passed=not failures,
        reason="; ".join(failures) or passed,
    )


def _bytes(path: Path) -> int:
    binary = path.with_suffix(".bin")
    return path.stat().st_size + (binary.stat().st_size if path.suffix == ".xml" and binary.is_file() else 0)


def _onnx_operators(path: Path) -> Iterator[_Operator]:
    onnx = require("onnx")
    graph = onnx.load(path).graph
    producers = {name: node for node in graph.node for name in node.output}
    constants = {tensor.name: tensor for tensor in graph.initializer}
    eight_bits = {
        onnx.TensorProto.INT8,
        onnx.TensorProto.UINT8,
        onnx.TensorProto.INT4,
        onnx.TensorProto.UINT4,
    }
    for node in graph.node:
        if node.op_type not in _ONNX_COMPUTE:
            continue
        source = _onnx_back(node.input[1], producers, {*_ONNX_PASS, "QuantizeLinear", "DequantizeLinear"})
        weight = constants.get(source)
        activation = producers.get(_onnx_back(node.input[0], producers, _ONNX_PASS))
        yield _Operator(
            elements=_product(weight.dims) if weight is not None else 0,
            int8_weights=weight is not None and weight.data_type in eight_bits,
            quantized_input=activation is not None and activation.op_type == "DequantizeLinear",
        )


def _onnx_back(name: str, producers: dict[str, Any], passing: set[str]) -> str:
    while name in producers and producers[name].op_type in passing:
        name = producers[name].input[0]
    return name


def _ir_operators(path: Path) -> Iterator[_Operator]:
    for operation in openvino_core().read_model(path).get_ordered_ops():
        if operation.get_type_name() not in _IR_COMPUTE:
            continue
        weight = _ir_back(operation, 1, _IR_WEIGHT_PASS)
        constant = weight.get_type_name() == "Constant"
        yield _Operator(
            elements=_product(weight.get_output_shape(0)) if constant else 0,
            int8_weights=constant and weight.get_element_type().get_type_name() in _IR_INT8,
            quantized_input=_ir_back(operation, 0, _IR_PASS).get_type_name() == "FakeQuantize",
        )


def _ir_back(operation: Any, port: int, passing: set[str]) -> Any:
    source = operation.input_value(port).get_node()
    while source.get_type_name() in passing:
        source = source.input_value(0).get_node()
    return source


def _product(shape: Any) -> int:
    result = 1
    for size in shape:
        result *= int(size)
    return result


_READERS = {".onnx": _onnx_operators, ".xml": _ir_operators}
