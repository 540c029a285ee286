"""A chain of convolutions, loaded by a runtime and ready to run with a number of threads. Torch-free."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from bench.limit.convolutions import ConvolutionShape, sample_input
from bench.records.identity import Runtime
from deploy.openvino_ir import openvino_core
from deploy.sessions import OPENVINO_HINTS
from deploy.timing import Runner
from distill.errors import EdgeproofError
from distill.forms import Precision
from distill.optional import require

_NO_TORCH = "the peak is measured through ONNX Runtime and OpenVINO alone"


class Setting(NamedTuple):
    """How a chain runs, and what a peak is the peak of."""

    runtime: Runtime
    precision: Precision
    threads: int

    @property
    def alone(self) -> "Setting":
        """The same with one thread."""
        return self._replace(threads=1)


def load_chain(path: Path, setting: Setting, shape: ConvolutionShape) -> Runner:
    """One call of the ONNX file ``path``, in buffers of its own.

    Raises:
        EdgeproofError: PyTorch, a precision that the runtime lacks, or a runtime that is not installed.
    """
    run = _LOADERS[setting.runtime](path, setting, sample_input(shape))
    run()  # the first call prepares
    return run


def _onnxruntime(path: Path, setting: Setting, pixels: Any) -> Runner:
    ort = require("onnxruntime")
    if setting.precision not in ("fp32", "int8"):
        raise EdgeproofError(f"onnxruntime computes in fp32 or int8 on a CPU, not in {setting.precision}")
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = setting.threads
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    binding = session.io_binding()
    binding.bind_cpu_input("x", pixels)
    binding.bind_output("y", "cpu")
    return lambda: session.run_with_iobinding(binding)


def _openvino(path: Path, setting: Setting, pixels: Any) -> Runner:
    tensor = require("openvino").Tensor
    compiled = openvino_core().compile_model(
        str(path), "CPU", {
            "PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": setting.threads,
            "INFERENCE_PRECISION_HINT": OPENVINO_HINTS.get(setting.precision, "f32"),
        },
    )  # fmt: skip
    request = compiled.create_infer_request()
    request.set_input_tensor(tensor(pixels))
    return lambda: request.infer()


def _torch(path: Path, setting: Setting, pixels: Any) -> Runner:
    raise EdgeproofError(_NO_TORCH)


_LOADERS: dict[Runtime, Callable[[Path, Setting, Any], Runner]] = {
    "onnxruntime": _onnxruntime,
    "openvino": _openvino,
    "torch": _torch,
}
