"""Proof that INT8 really happened: what a quantized file stores and computes, not what its name says.

The work is counted, not the operators: a first convolution or a classifier that stays in float on purpose is judged by its
share of the multiply-accumulates.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from deploy.macs import IR_COMPUTE, ONNX_COMPUTE, ir_macs, onnx_macs
from deploy.openvino_ir import openvino_core
from distill.errors import EdgeproofError
from distill.optional import require

# Ends of a network may stay float on purpose: of a tiny one, the first convolution is an eighth of the work, and the
# classifier a seventh of the weights. Most may not.
MIN_WEIGHT_SHARE = 0.8
MIN_MAC_SHARE = 0.75

_ONNX_PASS = {"Flatten", "Identity", "MaxPool", "Reshape", "Slice", "Squeeze", "Transpose", "Unsqueeze"}
_IR_PASS = {"MaxPool", "Reshape", "Slice", "Squeeze", "StridedSlice", "Transpose", "Unsqueeze"}
_IR_WEIGHT_PASS = {"Convert", "Multiply", "Subtract", "Reshape", "Transpose", "FakeQuantize", "FakeConvert"}
_IR_INT8 = {"i8", "u8", "i4", "u4"}


class Int8Evidence(BaseModel):
    """What was found in an INT8 file.

    Attributes:
        int8_weight_share: of all weight elements of convolutions and matrix products, those stored in 8 bits.
        size_ratio: bytes of the INT8 model over bytes of its FP32 form (about 0.25 for a large one; reported
            only, since in a tiny model the graph outweighs the weights).
        int8_mac_share: of all multiply-accumulates, those of operators whose input and weights both go through a
            quantization.
        passed: both shares reach their minimum.
        reason: the verdict in words.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    int8_weight_share: float
    size_ratio: float
    int8_mac_share: float
    passed: bool
    reason: str


@dataclass(frozen=True)
class _Operator:
    macs: int
    elements: int  # 0: a product of two activations
    int8_weights: bool  # stored in 8 bits
    int8: bool  # what it multiplies has been quantized, on both sides


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
    weights = _share((item.elements, item.int8_weights) for item in operators)
    macs = _share((item.macs, item.int8) for item in operators)
    failures = []
    if not operators:
        failures.append("no convolution or matrix product in the file")
    if weights < MIN_WEIGHT_SHARE:
        failures.append(f"{weights:.0%} of the weights are stored as INT8, expected {MIN_WEIGHT_SHARE:.0%}")
    if macs < MIN_MAC_SHARE:
        failures.append(f"{macs:.0%} of the work is done in INT8, expected {MIN_MAC_SHARE:.0%}")
    passed = f"{weights:.0%} of the weights are stored as INT8, {macs:.0%} of the work is done in INT8"
    return Int8Evidence(
        int8_weight_share=weights,
        size_ratio=_bytes(path) / _bytes(fp32_path),
        int8_mac_share=macs,
        passed=not failures,
        reason="; ".join(failures) or passed,
    )


def _share(parts: Iterator[tuple[int, bool]]) -> float:
    found = list(parts)
    return sum(size for size, counts in found if counts) / max(sum(size for size, _ in found), 1)


def _bytes(path: Path) -> int:
    binary = path.with_suffix(".bin")
    return path.stat().st_size + (binary.stat().st_size if path.suffix == ".xml" and binary.is_file() else 0)


def _onnx_operators(path: Path) -> Iterator[_Operator]:
    onnx = require("onnx")
    model = onnx.load(path)
    producers = {name: node for node in model.graph.node for name in node.output}
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    types, macs = onnx.TensorProto, onnx_macs(model)
    eight_bits = {types.INT8, types.UINT8, types.INT4, types.UINT4}
    for node in model.graph.node:
        if node.op_type not in ONNX_COMPUTE:
            continue
        source = _onnx_back(node.input[1], producers, {*_ONNX_PASS, "QuantizeLinear", "DequantizeLinear"})
        weight = constants.get(source)
        yield _Operator(
            macs=macs[node.output[0]],
            elements=math.prod(weight.dims) if weight is not None else 0,
            int8_weights=weight is not None and weight.data_type in eight_bits,
            int8=all(_onnx_quantized(name, producers) for name in node.input[:2]),
        )


def _onnx_quantized(name: str, producers: dict[str, Any]) -> bool:
    source = producers.get(_onnx_back(name, producers, _ONNX_PASS))
    return source is not None and source.op_type == "DequantizeLinear"


def _onnx_back(name: str, producers: dict[str, Any], passing: set[str]) -> str:
    while name in producers and producers[name].op_type in passing:
        name = producers[name].input[0]
    return name


def _ir_operators(path: Path) -> Iterator[_Operator]:
    for operation in openvino_core().read_model(path).get_ordered_ops():
        if operation.get_type_name() not in IR_COMPUTE:
            continue
        weight = _ir_back(operation, 1, _IR_WEIGHT_PASS)
        constant = weight.get_type_name() == "Constant"
        stored = constant and weight.get_element_type().get_type_name() in _IR_INT8
        yield _Operator(
            macs=ir_macs(operation),
            elements=math.prod(weight.get_output_shape(0)) if constant else 0,
            int8_weights=stored,
            int8=_ir_quantized(operation, 0) and (stored or _ir_quantized(operation, 1)),
        )


def _ir_quantized(operation: Any, port: int) -> bool:
    return bool(_ir_back(operation, port, _IR_PASS).get_type_name() == "FakeQuantize")


def _ir_back(operation: Any, port: int, passing: set[str]) -> Any:
    source = operation.input_value(port).get_node()
    while source.get_type_name() in passing:
        source = source.input_value(0).get_node()
    return source


_READERS = {".onnx": _onnx_operators, ".xml": _ir_operators}
