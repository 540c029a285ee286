"""How long each operator of a model takes, as the two engines themselves say. Torch-free."""

import ast
import json
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Literal

from deploy.artifact import MODEL_FILES, read_manifest
from deploy.openvino_ir import openvino_core
from distill.errors import EdgeproofError
from distill.forms import Runtime
from distill.optional import require
from distill.preprocess import Pixels

Computes = Literal["", "int8", "float"]
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
    """

    name: str
    kind: str
    microseconds: float
    layer: Computes = ""
    shapes: tuple[tuple[int, ...], ...] = ()


def profile_operators(
    folder: Path, *, runtime: Runtime, pixels: Pixels, threads: int = 1, calls: int = 20
) -> list[Operator]:
    """Run an artifact's model and read the engine's own profile, in the order in which operators ran.

    Args:
        folder: the artifact.
        runtime: whose model.
        pixels: one image, uint8 ``[1, S, S, 3]``.
        threads: CPU threads of one inference.
        calls: so many are profiled, after a few that are not.

    Raises:
        EdgeproofError: the artifact does not hold that runtime's model, or the engine is not installed.
    """
    manifest = read_manifest(folder)
    if runtime not in manifest.runtimes:
        raise EdgeproofError(f"{folder}: holds models for {', '.join(manifest.runtimes)}, not for {runtime}")
    path = folder / MODEL_FILES[runtime][0]
    if runtime == "onnxruntime":
        return list(_onnxruntime(path, pixels, threads=threads, calls=calls))
    hint = "bf16" if manifest.precision == "bf16" else "f32"
    return list(_openvino(path, pixels, threads=threads, calls=calls, hint=hint))


def _onnxruntime(path: Path, pixels: Pixels, *, threads: int, calls: int) -> Iterator[Operator]:
    ort = require("onnxruntime")
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = threads
    options.enable_profiling = True
    with tempfile.TemporaryDirectory(prefix="edgeproof-") as temporary:
        options.profile_file_prefix = str(Path(temporary, "profile"))
        session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        for _ in range(_WARM_UP + calls):
            session.run(None, {"image": pixels})
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
            shapes=tuple(_shapes(about[name].get("input_type_shape", []))),
        )  # fmt: skip


def _shapes(inputs: Any) -> Iterator[tuple[int, ...]]:
    """Of ``[{"float": [1, 3]}, ...]``, which some versions write as text."""
    for value in ast.literal_eval(inputs) if isinstance(inputs, str) else inputs:
        yield from (tuple(shape) for shape in value.values())


def _openvino(path: Path, pixels: Pixels, *, threads: int, calls: int, hint: str) -> Iterator[Operator]:
    require("openvino")
    config = {
        "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": hint,
        "INFERENCE_NUM_THREADS": threads, "PERF_COUNT": True,
    }  # fmt: skip
    request = openvino_core().compile_model(str(path), "CPU", config).create_infer_request()
    times: dict[str, list[float]] = defaultdict(list)
    about: dict[str, tuple[str, str]] = {}
    for number in range(_WARM_UP + calls):
        request.infer({"image": pixels})
        for item in request.get_profiling_info() if number >= _WARM_UP else ():
            times[item.node_name].append(item.real_time.total_seconds() * 1e6)
            about[item.node_name] = (item.node_type, item.exec_type)
    for name, found in times.items():
        kind, kernel = about[name]
        if any(found):
            yield Operator(name, kind, median(found), layer=_openvino_layer(kind, kernel))


def _openvino_layer(kind: str, kernel: str) -> Computes:
    if kind not in _OPENVINO_LAYERS:
        return ""
    return "int8" if kernel.endswith("I8") else "float"
