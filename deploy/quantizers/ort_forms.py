"""The forms that ONNX Runtime's INT8 may take, and which of them is the fastest here.

ONNX Runtime computes an INT8 network in NHWC. A first convolution then reads three channels, for which it has no fast
kernel, and the normalization before it becomes a broadcast with an inner length of three: INT8 as it comes may take longer
than FP32. What helps depends on the network, so that the forms are built and timed (docs/int8.md has figures):

- ``plain``: everything in INT8;
- ``float_first``: the first convolution computes in float, from an image that was never quantized;
- ``float_first_last``: the matrix products after the last convolution as well; the score drifts less, too;
- ``expand``: everything in INT8, and the constants of the normalization spread over the image: no broadcast is left.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from deploy.int8_check import inspect_int8
from deploy.macs import ONNX_COMPUTE
from deploy.quantization_record import FormRecord
from deploy.timing import Timing, race
from distill.optional import require
from distill.preprocess import Pixels

Form = Literal["plain", "float_first", "float_first_last", "expand"]
FORMS: tuple[Form, ...] = get_args(Form)

# A form may move a logit somewhat further than ``plain`` does: the largest of a few dozen varies by as much.
DRIFT_FACTOR, DRIFT_ALLOWANCE = 1.5, 0.05
# Forms this near to the fastest are as fast, as far as such a measurement can tell.
EQUALLY_FAST = 1.03
BUDGET_S = 1.5
_DRIFT_IMAGES = 64


@dataclass(frozen=True)
class Measured:
    """What is known of a form that was built.

    Attributes:
        drift: largest difference of a logit from FP32's.
        bytes: of the file.
        timing: relative to FP32.
        unsound: why it is no INT8; empty if it is.
    """

    drift: float
    bytes: int
    timing: Timing
    unsound: str = ""


def float_nodes(model: Any, form: Form) -> list[str]:
    """Names of the nodes of an ``onnx.ModelProto`` that ``form`` leaves in float."""
    if form == "float_first":
        return [node.name for node in _first(model)]
    if form == "float_first_last":
        return [node.name for node in (*_first(model), *_last(model))]
    return []


def expand_constants(model: Any) -> int:
    """Spread the constants that are subtracted from or multiplied with the image over it, in place; how many there were.

    ONNX Runtime does it once, when it loads the model: the file holds an ``Expand``, which is small.
    """
    onnx = require("onnx")
    graph, found = model.graph, list(_broadcasts(model))
    for number, (node, port, shape) in enumerate(found):
        full, dims = f"{node.input[port]}_expanded_{number}", f"expanded_shape_{number}"
        graph.initializer.append(onnx.numpy_helper.from_array(np.array(shape, dtype=np.int64), dims))
        spread = onnx.helper.make_node("Expand", [node.input[port], dims], [full], name=f"Expand_{full}")
        node.input[port] = full
        graph.node.insert(0, spread)
    return len(found)


def skipped(model: Any) -> dict[Form, str]:
    """The forms that are another one in this network, and why."""
    found: dict[Form, str] = {}
    if not _first(model):
        found["float_first"] = "the same as plain: no convolution reads the image"
    if not _last(model):
        found["float_first_last"] = "the same as float_first: no matrix product follows the last convolution"
    if not any(_broadcasts(model)):
        found["expand"] = "the same as plain: no constant is spread over the image"
    return found


def measure(
    built: Mapping[Form, Path], *, source: Path, images: Sequence[Pixels], budget_s: float = BUDGET_S
) -> dict[Form, Measured]:
    """Drift on some of the ``images``, one thread's latency in interleaved rounds, size and proof of every form."""
    shown = images[:_DRIFT_IMAGES]
    paths: dict[str, Path] = {"fp32": source} | {str(form): path for form, path in built.items()}
    sessions = {name: _session(path) for name, path in paths.items()}
    exact = _logits(sessions["fp32"], shown)
    timings = race(
        {name: _call(session, images[0]) for name, session in sessions.items()},
        reference="fp32",
        budget_s=budget_s,
    )
    found = {}
    for form, path in built.items():
        proof = inspect_int8(path, fp32_path=source)
        found[form] = Measured(
            drift=float(np.abs(_logits(sessions[form], shown) - exact).max()),
            bytes=path.stat().st_size,
            timing=timings[form],
            unsound="" if proof.passed else proof.reason,
        )
    return found


def choose(measured: Mapping[Form, Measured], *, others: Mapping[Form, str]) -> tuple[FormRecord, ...]:
    """The verdict on every form: the fastest is kept that is INT8 and drifts no further than ``plain`` about does.

    Of forms that are equally fast the one that drifts least is taken; ``plain`` if none passes.

    Args:
        measured: the forms that were built, ``plain`` among them.
        others: those that were not, and why.
    """
    limit = measured["plain"].drift * DRIFT_FACTOR + DRIFT_ALLOWANCE
    reasons = {form: _refused(found, limit=limit) for form, found in measured.items()}
    passing = {form: found for form, found in measured.items() if not reasons[form]}
    fastest = min((found.timing.ratio for found in passing.values()), default=0.0)
    equals = [form for form, found in passing.items() if found.timing.ratio <= fastest * EQUALLY_FAST]
    kept = min(equals, key=lambda form: measured[form].drift, default="plain")
    rows = [
        FormRecord(
            form=form, ratio=found.timing.ratio, ratio_range=found.timing.ratio_range,
            drift=found.drift if math.isfinite(found.drift) else None, bytes=found.bytes,
            kept=form == kept, reason=reasons[form],
        )
        for form, found in measured.items()
    ]  # fmt: skip
    return (*rows, *(FormRecord(form=form, reason=reason) for form, reason in others.items()))


def _refused(found: Measured, *, limit: float) -> str:
    if found.unsound:
        return found.unsound
    if not found.drift <= limit:
        return f"a logit drifts by {found.drift:.3g}, expected at most {limit:.3g}"
    return ""


def _first(model: Any) -> list[Any]:
    """The convolutions that read the image, with nothing computed before."""
    first, unread = [], {value.name for value in model.graph.input}
    for node in model.graph.node:
        if unread.isdisjoint(node.input):
            continue
        if node.op_type not in ONNX_COMPUTE:
            unread.update(node.output)
        elif node.op_type == "Conv":
            first.append(node)
    return first


def _last(model: Any) -> list[Any]:
    """The matrix products that no convolution follows."""
    last, feeding = [], set[str]()
    for node in reversed(model.graph.node):
        if node.op_type in {"Conv", "ConvTranspose"} or not feeding.isdisjoint(node.output):
            feeding.update(node.input)
        elif node.op_type in ONNX_COMPUTE:
            last.append(node)
    return last


def _broadcasts(model: Any) -> Iterator[tuple[Any, int, list[int]]]:
    """Node, operand and full shape of every constant that is spread over the image before the first convolution."""
    graph = model.graph
    constants = {tensor.name: list(tensor.dims) for tensor in graph.initializer}
    shapes = {
        value.name: [dimension.dim_value for dimension in value.type.tensor_type.shape.dim]
        for value in (*require("onnx").shape_inference.infer_shapes(model).graph.value_info, *graph.output)
    }
    unread = {value.name for value in graph.input}
    for node in graph.node:
        if unread.isdisjoint(node.input) or node.op_type in ONNX_COMPUTE:
            continue
        unread.update(node.output)
        full = shapes.get(node.output[0], [])
        if node.op_type not in {"Sub", "Mul"} or len(full) != 4 or 0 in full:
            continue
        for port, name in enumerate(node.input):
            if name in constants and constants[name] != full:
                yield node, port, full


def _session(path: Path) -> Any:
    ort = require("onnxruntime")
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _call(session: Any, image: Pixels) -> Any:
    return lambda: session.run(None, {"image": image})


def _logits(session: Any, images: Sequence[Pixels]) -> npt.NDArray[np.float64]:
    return np.concatenate([session.run(None, {"image": image})[1] for image in images]).astype(np.float64)
