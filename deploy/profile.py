"""Where a model's time goes, from the engine's own profile, and why an INT8 model is slow, in words. Torch-free.

The cause is judged by shares of one profile, never by comparing times: a loaded machine slows all operators alike.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Final

import numpy as np
from pydantic import Field

from deploy.artifact import read_manifest
from deploy.profilers import Operator, profile_operators
from distill.forms import Runtime
from distill.machine import processor
from distill.preprocess import Pixels
from distill.record import Frozen

_NOTABLE: Final = 0.1  # of the time
_QUANTIZING: Final = frozenset(
    {"QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "FakeQuantize"}
)
_LAYOUT: Final = frozenset(
    {"Transpose", "ReorderInput", "ReorderOutput", "Reorder", "Cast", "Convert", "Reshape", "Expand"}
)
_ELEMENTWISE: Final = frozenset({"Sub", "Mul", "Add", "Div"})
_ACTIVATIONS: Final = frozenset(
    {
        "Sigmoid",
        "QuickGelu",
        "HardSigmoid",
        "HardSwish",
        "Gelu",
        "Erf",
        "Tanh",
        "Softmax",
        "Subgraph",
        "Eltwise",
    }
)
_LANES: Final = 4  # input channels that one INT8 dot product of ONNX Runtime takes


class KindShare(Frozen):
    """All operators of a kind: their share of the time, and what they take together, in microseconds."""

    kind: str
    share: Annotated[float, Field(ge=0, le=1)]
    microseconds: Annotated[float, Field(ge=0)]
    operators: Annotated[int, Field(ge=1)]


class Cause(Frozen):
    """Why a part of the time is spent, in words, and its share."""

    text: str
    share: Annotated[float, Field(ge=0, le=1)]


class Profile(Frozen):
    """Where the time of one inference goes.

    Attributes:
        runtime: the engine that was asked.
        microseconds: all operators together, without the engine's own work between them.
        kinds: the largest share first.
        layers: convolutions and matrix products.
        float_layers: those of them that compute in float, by the engine's names.
        int8_share: of the time, in layers that compute in INT8.
        causes: what else takes a notable share, the largest first.
    """

    runtime: Runtime
    microseconds: Annotated[float, Field(ge=0)]
    kinds: tuple[KindShare, ...]
    layers: Annotated[int, Field(ge=0)]
    float_layers: tuple[str, ...]
    int8_share: Annotated[float, Field(ge=0, le=1)]
    causes: tuple[Cause, ...]


def profile_artifact(
    folder: Path, *, runtime: Runtime, pixels: Pixels | None = None, threads: int = 1, calls: int = 20
) -> Profile:
    """Profile an artifact's model on one image (noise unless given); raises as :func:`profile_operators`."""
    if pixels is None:
        size = read_manifest(folder).preprocess.size
        pixels = np.random.default_rng(0).integers(0, 256, (1, size, size, 3), dtype=np.uint8)
    found = profile_operators(folder, runtime=runtime, pixels=pixels, threads=threads, calls=calls)
    return summarize(found, runtime=runtime)


def summarize(operators: Sequence[Operator], *, runtime: Runtime) -> Profile:
    """The profile of some operators."""
    total = sum(operator.microseconds for operator in operators)
    kinds: dict[str, list[Operator]] = {}
    for operator in operators:
        kinds.setdefault(operator.kind, []).append(operator)
    shares = [
        KindShare(kind=kind, share=_share(found, total), microseconds=_time(found), operators=len(found))
        for kind, found in kinds.items()
    ]
    layers = [operator for operator in operators if operator.layer]
    int8 = [operator for operator in layers if operator.layer == "int8"]
    return Profile(
        runtime=runtime,
        microseconds=total,
        kinds=tuple(sorted(shares, key=lambda row: -row.share)),
        layers=len(layers),
        float_layers=tuple(operator.name for operator in layers if operator.layer == "float"),
        int8_share=_share(int8, total),
        causes=tuple(_causes(operators, total)),
    )


def explain_slow(profile: Profile, *, has_int8_dot: bool | None = None) -> str:
    """Why an INT8 model is no faster, in one line.

    Args:
        profile: of that model.
        has_int8_dot: whether the CPU has INT8 dot products; None asks this one.
    """
    reasons = [f"{cause.text} ({cause.share:.0%} of the time)" for cause in profile.causes]
    if not (processor().has_int8_dot if has_int8_dot is None else has_int8_dot):
        reasons.insert(0, "this CPU has no INT8 dot products (VNNI, AMX)")
    if not reasons:
        reasons = [
            f"nothing stands out: {profile.int8_share:.0%} of the time goes to layers in INT8; depthwise and very small "
            "layers gain little from it"
        ]
    return "; ".join(reasons)


def profile_lines(profile: Profile, *, most: int = 6) -> list[str]:
    """The operators that take most of the time, a line each."""
    return [
        f"{row.share:6.1%}  {row.microseconds:8.0f} µs  {row.operators:3} × {row.kind}"
        for row in profile.kinds[:most]
    ]


def _causes(operators: Sequence[Operator], total: float) -> list[Cause]:
    """Each operator counts for one cause, so that shares add up."""
    found: dict[str, list[Operator]] = {}
    layers = sum(bool(operator.layer) for operator in operators)
    for operator in operators:
        name = next((name for name, (is_it, _) in _RULES.items() if is_it(operator)), "")
        found.setdefault(name, []).append(operator)
    causes = [
        Cause(text=_RULES[name][1](items, layers), share=_share(items, total))
        for name, items in found.items()
        if name
    ]
    return sorted((cause for cause in causes if cause.share >= _NOTABLE), key=lambda cause: -cause.share)


def _broadcasts(operator: Operator) -> bool:
    """A number for each of a few channels that lie innermost: ONNX Runtime's loop is then three long."""
    inner = [shape[-1] for shape in operator.shapes if shape]
    return (
        operator.kind in _ELEMENTWISE and len(inner) > 1 and 1 < inner[0] < 8 and len(operator.shapes[0]) == 4
    )


def _narrow(operator: Operator) -> bool:
    """An INT8 convolution whose input channels do not fill a dot product (NHWC)."""
    is_conv = operator.kind == "QLinearConv" and bool(operator.shapes) and len(operator.shapes[0]) == 4
    return is_conv and operator.shapes[0][-1] % _LANES != 0


def _named(items: Sequence[Operator]) -> str:
    return ", ".join(sorted({operator.kind for operator in items}))


_RULES: Final[dict[str, tuple[Callable[[Operator], bool], Callable[[Sequence[Operator], int], str]]]] = {
    "broadcast": (
        _broadcasts,
        lambda items, _: (
            f"the input's normalization runs as a broadcast over {items[0].shapes[0][-1]} channels ({_named(items)})"
        ),
    ),
    "narrow": (
        _narrow,
        lambda items, _: (
            f"the first convolution reads {items[0].shapes[0][-1]} channels, for which there is no fast INT8 kernel"
        ),
    ),
    "float": (
        lambda operator: operator.layer == "float",
        lambda items, layers: f"{len(items)} of {layers} convolutions and matrix products run in float",
    ),
    "quantizing": (
        lambda operator: operator.kind in _QUANTIZING,
        lambda items, _: (
            f"{len(items)} operators that only quantize are not fused into layers ({_named(items)})"
        ),
    ),
    "layout": (
        lambda operator: operator.kind in _LAYOUT,
        lambda items, _: f"layout and type are changed between layers ({_named(items)})",
    ),
    "elementwise": (
        lambda operator: operator.kind in _ELEMENTWISE | _ACTIVATIONS,
        lambda items, _: f"activations and elementwise operators run in float ({_named(items)})",
    ),
}
"""Name of a cause → which operators count for it, and how it is told. The first that fits counts."""


def _time(operators: Sequence[Operator]) -> float:
    return sum(operator.microseconds for operator in operators)


def _share(operators: Sequence[Operator], total: float) -> float:
    return min(1.0, _time(operators) / total) if total else 0.0
