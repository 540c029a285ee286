"""Proof that INT8 really happened: what a quantized file stores and computes, not what its name says.

The work is counted, not the operators: a first convolution or a classifier that stays in float on purpose is judged by its
share of the multiply-accumulates. Parts that no quantizer touches (:mod:`deploy.float_parts`) are left out of the count.
"""

from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from deploy.compute_layers import compute_layers, require_model

# Ends of a network may stay float on purpose: of a tiny one, the first convolution is an eighth of the work, and the
# classifier a seventh of the weights. Most may not.
MIN_WEIGHT_SHARE = 0.8
MIN_MAC_SHARE = 0.75


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


def inspect_int8(path: Path, *, fp32_path: Path) -> Int8Evidence:
    """Judge the INT8 model ``path`` (``.onnx`` or ``.xml``) beside its FP32 form ``fp32_path``.

    Raises:
        EdgeproofError: a file is missing or of another kind.
    """
    for file in (path, fp32_path):
        require_model(file)
    operators = [layer for layer in compute_layers(path) if not layer.in_float]
    weights = _share((item.elements, item.int8_weights) for item in operators)
    macs = _share((item.macs, item.int8) for item in operators)
    failures = []
    if not operators:
        failures.append("no convolution or matrix product to quantize in the file")
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
