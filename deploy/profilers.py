"""How long each operator of a model takes, as the two engines themselves say. Torch-free."""

import ast
import json
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from deploy.artifact import MODEL_FILES, read_manifest
from deploy.macs import ir_shape
from deploy.openvino_ir import openvino_core
from deploy.sessions import OPENVINO_HINTS
from distill.errors import EdgeproofError
from distill.forms import Precision, Runtime
from distill.optional import require
from distill.preprocess import Pixels

Computes = Literal["", "int8", "float"]
Feeds = Mapping[str, npt.NDArray[np.generic]]
Shape = tuple[int, ...]
_WARM_UP = 5
_INT8_LAYERS = {
    "QLinearConv",
    "QGemm",
    "QLinearMatMul",
    "ConvInteger",
    "MatMulInteger",
    "MatMulIntegerToFloat",
}
_FLOAT_LAYERS = {
    "Conv",
    "FusedConv",
    "NhwcFusedConv",
    "ConvTranspose",
    "Gemm",
    "FusedGemm",
    "MatMul",
    "FusedMatMul",
}
_OPENVINO_LAYERS = {"Convolution", "Deconvolution", "FullyConnected", "MatMul"}


@dataclass(frozen=True)
class Operator:
    """One operator of the graph as the engine runs it, fused or rewritten.

    Attributes:
        name: the engine's.
        kind: the engine's word for what it is.
        microseconds: of one call, the median.
        layer: ``int8`` or ``float`` for a convolution or matrix product, by what it computes in; otherwise empty.
        shapes: of its inputs, where the engine tells them.
        output: shape of its first output.
        precision: that of its numbers, ``int8``, ``bf16``, ``fp32`` and the like; empty where the engine does not tell.
    """

    name: str
    kind: str
    microseconds: float
    layer: Computes = ""
    shapes: tuple[Shape, ...] = ()
    output: Shape = ()
    precision: str = ""


def profile_operators(
    folder: Path,
    *,
    runtime: Runtime,
    pixels: Pixels,
    threads: int = 1,
    calls: int = 20,
    precision: Precision | None = None,
) -> list[Operator]:
    """Run an artifact's model and read the engine's own profile, in the order in which operators ran.

    Args:
        folder: the artifact.
        runtime: whose model.
        pixels: one image, uint8 ``[1, S, S, 3]``.
        threads: CPU threads of one inference.
        calls: so many are profiled, after a few that are not.
        precision: in which OpenVINO computes what is not INT8; None asks the manifest.

    Raises:
        EdgeproofError: the artifact does not hold that runtime's model, or the engine is not installed.
    """
    manifest = read_manifest(folder)
    if runtime not in manifest.runtimes:
        raise EdgeproofError(f"{folder}: holds models for {', '.join(manifest.runtimes)}, not for {runtime}")
    path = folder / MODEL_FILES[runtime][0]
    hint: Precision = precision or ("bf16" if manifest.precision == "bf16" else "fp32")
    return profile_model(
        path, runtime=runtime, feeds={"image": pixels}, threads=threads, calls=calls, precision=hint
    )


def profile_model(
    path: Path,
    *,
    runtime: Runtime,
    feeds: Feeds,
    threads: int = 1,
    calls: int = 20,
    precision: Precision = "fp32",
) -> list[Operator]:
    """Run any model file on ``feeds`` and read the engine's own profile, in the order in which operators ran.

    Args:
        path: ONNX; for OpenVINO also its own ``.xml``.
        runtime: the engine.
        feeds: input name → array.
        threads: CPU threads of one inference.
        calls: so many are profiled, after a few that are not.
        precision: in which OpenVINO computes what is not INT8.

    Raises:
        EdgeproofError: the engine is not installed.
    """
    if runtime == "onnxruntime":
        return list(_onnxruntime(path, feeds, threads=threads, calls=calls))
    return list(_openvino(path, feeds, threads=threads, calls=calls, hint=OPENVINO_HINTS[precision]))


def _onnxruntime(path: Path, feeds: Feeds, *, threads: int, calls: int) -> Iterator[Operator]:
    ort = require("onnxruntime")
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = threads
    options.enable_profiling = True
    with tempfile.TemporaryDirectory(prefix="edgeproof-") as temporary:
        options.profile_file_prefix = str(Path(temporary, "profile"))
        session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        for _ in range(_WARM_UP + calls):
            session.run(None, dict(feeds))
        events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    times: dict[str, list[float]] = defaultdict(list)
    about: dict[str, dict[str, Any]] = {}
    for event in events:
        if event["cat"] == "Node" and event["name"].endswith("_kernel_time"):
            times[event["name"]].append(float(event["dur"]))
            about[event["name"]] = event["args"]
    for name, found in times.items():
        kind = about[name]["op_name"]
        yield Operator(
            name.removesuffix("_kernel_time"), kind, median(found[_WARM_UP:] or found),
            layer="int8" if kind in _INT8_LAYERS else "float" if kind in _FLOAT_LAYERS else "",
            shapes=tuple(shape for _, shape in _values(about[name].get("input_type_shape", []))),
            output=next((shape for _, shape in _values(about[name].get("output_type_shape", []))), ()),
            precision=_onnxruntime_precision(kind, about[name]),
        )  # fmt: skip


def _values(told: Any) -> Iterator[tuple[str, Shape]]:
    """Type and shape of ``[{"float": [1, 3]}, ...]``, which some versions write as text."""
    for value in ast.literal_eval(told) if isinstance(told, str) else told:
        yield from ((kind, tuple(shape)) for kind, shape in value.items())


def _onnxruntime_precision(kind: str, about: Mapping[str, Any]) -> str:
    if kind in _INT8_LAYERS:
        return "int8"
    types = [name for name, _ in _values(about.get("output_type_shape", []))]
    return {"float": "fp32", "uint8": "int8", "int8": "int8"}.get(types[0], types[0]) if types else ""


def _openvino(path: Path, feeds: Feeds, *, threads: int, calls: int, hint: str) -> Iterator[Operator]:
    require("openvino")
    config = {
        "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": hint,
        "INFERENCE_NUM_THREADS": threads, "PERF_COUNT": True,
    }  # fmt: skip
    compiled = openvino_core().compile_model(str(path), "CPU", config)
    request = compiled.create_infer_request()
    times: dict[str, list[float]] = defaultdict(list)
    about: dict[str, tuple[str, str]] = {}
    for number in range(_WARM_UP + calls):
        request.infer(dict(feeds))
        for item in request.get_profiling_info() if number >= _WARM_UP else ():
            times[item.node_name].append(item.real_time.total_seconds() * 1e6)
            about[item.node_name] = (item.node_type, item.exec_type)
    shapes = _openvino_shapes(compiled)
    for name, found in times.items():
        kind, kernel = about[name]
        if any(found):
            inputs, output = shapes.get(name, ((), ()))
            yield Operator(
                name, kind, median(found), layer=_openvino_layer(kind, kernel), shapes=inputs, output=output,
                precision=_openvino_precision(kernel),
            )  # fmt: skip


def _openvino_shapes(compiled: Any) -> dict[str, tuple[tuple[Shape, ...], Shape]]:
    """Name of each node of the graph as it runs → shapes of its inputs, weights among them, and of its output."""
    return {
        node.get_friendly_name(): (
            tuple(tuple(ir_shape(port.get_partial_shape())) for port in node.inputs()),
            tuple(ir_shape(node.output(0).get_partial_shape())) if node.outputs() else (),
        )
        for node in compiled.get_runtime_model().get_ordered_ops()
    }


def _openvino_precision(kernel: str) -> str:
    """Of a kernel's name such as ``brgconv_avx512_I8``."""
    found = kernel.rpartition("_")[2].lower()
    return {"i8": "int8", "f32": "fp32", "fp32": "fp32", "f16": "fp16", "fp16": "fp16"}.get(found, found)


def _openvino_layer(kind: str, kernel: str) -> Computes:
    if kind not in _OPENVINO_LAYERS:
        return ""
    return "int8" if _openvino_precision(kernel) == "int8" else "float"
