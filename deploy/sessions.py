"""The two inference engines behind one small interface. Torch-free; each is imported when it is used."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from deploy.artifact import MODEL_FILES
from deploy.openvino_ir import openvino_core
from distill.errors import EdgeproofError
from distill.optional import require
from distill.preprocess import Pixels
from distill.roster import Precision

Logits = npt.NDArray[np.float32]
_HINTS: dict[str, str] = {"fp32": "f32", "bf16": "bf16", "fp16": "f16"}  # as OpenVINO spells them


class Session(Protocol):
    """A loaded model with its own buffers: fill ``pixels``, call ``infer``, read ``logits``.

    Attributes:
        pixels: uint8 ``[1, S, S, 3]``, RGB.
        logits: float32 ``[1]`` or ``[1, K]``, overwritten by every call.
        precision: floating-point precision that the engine really uses.
    """

    pixels: Pixels
    logits: Logits
    precision: str

    def infer(self) -> None:
        """Run the model on ``pixels`` into ``logits``."""


class OnnxRuntimeSession:
    """ONNX Runtime on the CPU with input and output bound to fixed buffers."""

    def __init__(self, path: Path, *, output: str, threads: int | None, precision: Precision) -> None:
        if precision != "fp32":
            raise EdgeproofError(
                f"inference precision {precision!r}: onnxruntime offers only 'fp32' on a CPU"
            )
        ort = require("onnxruntime")
        options = ort.SessionOptions()
        options.log_severity_level = 3
        options.inter_op_num_threads = 1
        options.intra_op_num_threads = threads or 0
        self._session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        shapes = {
            value.name: value.shape for value in self._session.get_inputs() + self._session.get_outputs()
        }
        self.pixels = np.zeros(shapes["image"], dtype=np.uint8)
        self.logits = np.zeros(shapes[output], dtype=np.float32)
        self.precision = "fp32"
        self._binding = self._session.io_binding()
        self._binding.bind_cpu_input("image", self.pixels)
        self._binding.bind_output(
            output, "cpu", 0, np.float32, list(self.logits.shape), self.logits.ctypes.data
        )

    def infer(self) -> None:
        """Run the model on ``pixels`` into ``logits``."""
        self._session.run_with_iobinding(self._binding)


class OpenVINOSession:
    """OpenVINO on the CPU, tuned for latency, with its floating-point precision named.

    Without the hint OpenVINO silently computes in bf16 on a CPU with AMX.
    """

    def __init__(self, path: Path, *, output: str, threads: int | None, precision: Precision) -> None:
        if precision not in _HINTS:
            raise EdgeproofError(
                f"inference precision {precision!r}: openvino offers {', '.join(_HINTS)} for floats"
            )
        ov = require("openvino")
        config: dict[str, Any] = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": _HINTS[precision],
        }
        if threads is not None:
            config["INFERENCE_NUM_THREADS"] = threads
        compiled = openvino_core().compile_model(str(path), "CPU", config)
        self._request = compiled.create_infer_request()
        self.pixels = np.zeros(tuple(compiled.input("image").shape), dtype=np.uint8)
        self.logits = np.zeros(tuple(compiled.output(output).shape), dtype=np.float32)
        self._request.set_tensor("image", ov.Tensor(self.pixels, shared_memory=True))
        self._request.set_tensor(output, ov.Tensor(self.logits, shared_memory=True))
        hint = compiled.get_property("INFERENCE_PRECISION_HINT")
        self.precision = {name: ours for ours, name in _HINTS.items()}.get(hint.to_string(), str(hint))

    def infer(self) -> None:
        """Run the model on ``pixels`` into ``logits``."""
        self._request.infer()


SESSIONS: dict[str, type[OnnxRuntimeSession] | type[OpenVINOSession]] = {
    "openvino": OpenVINOSession,
    "onnxruntime": OnnxRuntimeSession,
}


def installed_runtimes() -> tuple[str, ...]:
    """The runtimes that can be imported here, preferred first."""
    return tuple(name for name in SESSIONS if find_spec(name) is not None)


def open_session(
    folder: Path, *, runtime: str, output: str, threads: int | None, precision: Precision
) -> Session:
    """Load the artifact's model for ``runtime``.

    Raises:
        EdgeproofError: the engine refuses the model or cannot be imported.
    """
    path = folder / MODEL_FILES[runtime][0]
    try:
        return SESSIONS[runtime](path, output=output, threads=threads, precision=precision)
    except EdgeproofError:
        raise
    except Exception as error:  # both engines raise types of their own C++ layers
        reason = " ".join(str(error).split())[:200]
        raise EdgeproofError(f"{path}: {runtime} cannot load the model ({reason})") from error
