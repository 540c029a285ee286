"""The two inference engines behind one small interface. Torch-free; each is imported when it is used."""

import os
import re
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from deploy.artifact import MODEL_FILES
from deploy.openvino_ir import openvino_core
from distill.errors import EdgeproofError, refusal
from distill.forms import Precision
from distill.optional import require
from distill.preprocess import Pixels

Logits = npt.NDArray[np.float32]
_EXTERNAL = re.compile(rb"\n(?:\x08|\x88\x80*\x00)location")
OPENVINO_HINTS: dict[str, str] = {"fp32": "f32", "bf16": "bf16", "fp16": "f16"}
"""Precisions of floating-point layers, as OpenVINO spells them."""
_NO_INPUTS: dict[str, Any] = {}  # they are bound


@dataclass(frozen=True, kw_only=True)
class EngineOptions:
    """How an engine computes.

    Attributes:
        threads: CPU threads in all; None leaves them to the engine.
        precision: floating-point precision of layers that are not INT8; ONNX Runtime has only ``fp32`` on a CPU.
        streams: inferences that run side by side, each with its share of the threads; 1 = the lowest latency.
        cache: folder where OpenVINO keeps compiled models; ONNX Runtime has none.
    """

    threads: int | None = None
    precision: Precision = "fp32"
    streams: int = 1
    cache: Path | None = None


class Request(Protocol):
    """One inference at a time: ``begin`` with an image, fill ``pixels``, ``infer``, read ``logits``. For one thread at a time.

    Attributes:
        pixels: uint8 ``[1, S, S, 3]``, RGB.
        logits: float32 ``[1]`` or ``[1, K]``, overwritten by every call.
    """

    pixels: Pixels
    logits: Logits

    def begin(self) -> None:
        """What follows belongs to another image than what was before."""

    def infer(self) -> None:
        """Run the model on ``pixels`` into ``logits``."""


class Session(Protocol):
    """A loaded model, which threads may share: each makes requests of its own.

    Attributes:
        pixels_shape: ``(1, S, S, 3)``.
        logits_shape: ``(1,)`` or ``(1, K)``.
        precision: floating-point precision that the engine really uses.
    """

    pixels_shape: tuple[int, ...]
    logits_shape: tuple[int, ...]
    precision: str

    def request(self) -> Request:
        """Buffers and bindings for one inference at a time."""


class OnnxRuntimeSession:
    """ONNX Runtime on the CPU; a request has input and output bound to fixed buffers.

    Its threads wait actively within a call and sleep after it, as OpenVINO's do: by default they would keep the cores busy
    for some twenty milliseconds more, which whoever runs next pays for.
    """

    def __init__(self, path: Path, *, output: str, options: EngineOptions) -> None:
        if options.precision != "fp32":
            raise EdgeproofError(
                f"inference precision {options.precision!r}: onnxruntime offers only 'fp32' on a CPU"
            )
        ort = require("onnxruntime")
        settings = ort.SessionOptions()
        settings.log_severity_level = 4  # what goes wrong is raised, too; it would be told twice, in colours
        settings.inter_op_num_threads = 1
        settings.intra_op_num_threads = share(options)
        settings.add_session_config_entry("session.force_spinning_stop", "1")
        _refuse_external_data(path)
        self._session = ort.InferenceSession(str(path), settings, providers=["CPUExecutionProvider"])
        values = self._session.get_inputs() + self._session.get_outputs()
        types = {value.name: value.type for value in values}
        _check_types(path, types, image="tensor(uint8)", output=output, logits="tensor(float)")
        shapes = {value.name: tuple(value.shape) for value in values}
        self._output = output
        self.pixels_shape, self.logits_shape = shapes["image"], shapes[output]
        self.precision = "fp32"

    def request(self) -> Request:
        """A binding of its own: a session may be run from several threads, a binding may not."""
        return _OnnxRuntimeRequest(self._session, self._output, self.pixels_shape, self.logits_shape)


class _OnnxRuntimeRequest:
    def __init__(
        self, session: Any, output: str, pixels_shape: tuple[int, ...], logits_shape: tuple[int, ...]
    ) -> None:
        self.pixels = np.zeros(pixels_shape, dtype=np.uint8)
        self.logits = np.zeros(logits_shape, dtype=np.float32)
        self._session, self._binding = session, session.io_binding()
        self._binding.bind_cpu_input("image", self.pixels)
        self._binding.bind_output(
            output, "cpu", 0, np.float32, list(self.logits.shape), self.logits.ctypes.data
        )

    def begin(self) -> None:
        pass  # nothing is counted here

    def infer(self) -> None:
        self._session.run_with_iobinding(self._binding)


class OpenVINOSession:
    """OpenVINO on the CPU, with its floating-point precision named.

    Without the hint OpenVINO silently computes in bf16 on a CPU with AMX.
    """

    def __init__(self, path: Path, *, output: str, options: EngineOptions) -> None:
        if options.precision not in OPENVINO_HINTS:
            raise EdgeproofError(
                f"inference precision {options.precision!r}: openvino offers {', '.join(OPENVINO_HINTS)} for floats"
            )
        self._tensor = require("openvino").Tensor
        self._compiled = openvino_core().compile_model(str(path), "CPU", _configuration(options))
        ports = self._compiled.inputs + self._compiled.outputs
        types = {name: port.get_element_type().get_type_name() for port in ports for name in port.get_names()}
        _check_types(path, types, image="u8", output=output, logits="f32")
        self._output = output
        self.pixels_shape = tuple(self._compiled.input("image").shape)
        self.logits_shape = tuple(self._compiled.output(output).shape)
        hint = self._compiled.get_property("INFERENCE_PRECISION_HINT")
        self.precision = {name: ours for ours, name in OPENVINO_HINTS.items()}.get(
            hint.to_string(), str(hint)
        )

    def request(self) -> Request:
        """An infer request of its own; those of one compiled model run side by side in its streams."""
        pixels = np.zeros(self.pixels_shape, dtype=np.uint8)
        logits = np.zeros(self.logits_shape, dtype=np.float32)
        request = self._compiled.create_infer_request()
        request.set_tensor("image", self._tensor(pixels, shared_memory=True))
        request.set_tensor(self._output, self._tensor(logits, shared_memory=True))
        return _OpenVINORequest(request, pixels, logits)


class _OpenVINORequest:
    def __init__(self, request: Any, pixels: Pixels, logits: Logits) -> None:
        self.pixels, self.logits = pixels, logits
        # The binding's own call: what its Python layer adds, inputs to convert and outputs to copy, is not needed here.
        self._infer: Any = super(type(request), request).infer  # type: ignore[misc]

    def begin(self) -> None:
        pass

    def infer(self) -> None:
        self._infer(_NO_INPUTS, True, False)


def _check_types(path: Path, found: Mapping[str, str], *, image: str, output: str, logits: str) -> None:
    """Raise :class:`EdgeproofError` if a buffer of ours would hold other numbers than the model reads or writes there."""
    for name, expected in (("image", image), (output, logits)):
        if found.get(name) != expected:
            raise EdgeproofError(
                f"{path}: the model's {name} is {found.get(name, 'missing')}, expected {expected}"
            )


def _refuse_external_data(path: Path) -> None:
    """Raise :class:`EdgeproofError` if an ONNX file has weights in other files, whose content no manifest vouches for.

    ONNX Runtime would read them from wherever the file says. Looked for in the bytes, since ``onnx`` need not be installed:
    a ``StringStringEntryProto`` whose key is ``location``, however its length is spelt.
    """
    content = path.read_bytes()
    if b"location" in content and _EXTERNAL.search(content):
        raise EdgeproofError(f"{path}: weights are in another file, expected all of them in this one")


class RequestPool:
    """The requests of one session, each lent to one thread at a time.

    There are as many as there were threads at once. ``append`` and ``pop`` of a deque are atomic, so nothing waits
    and a single thread pays some 0.1 microseconds.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._idle: deque[Request] = deque()

    def take(self) -> Request:
        """A request that nobody else has, until it is given back."""
        try:
            return self._idle.pop()
        except IndexError:
            return self._session.request()

    def give_back(self, request: Request) -> None:
        """Let others have it."""
        self._idle.append(request)


SESSIONS: dict[str, type[OnnxRuntimeSession] | type[OpenVINOSession]] = {
    "openvino": OpenVINOSession,
    "onnxruntime": OnnxRuntimeSession,
}


def installed_runtimes() -> tuple[str, ...]:
    """The runtimes that can be imported here, preferred first."""
    return tuple(name for name in SESSIONS if find_spec(name) is not None)


def open_session(folder: Path, *, runtime: str, output: str, options: EngineOptions) -> Session:
    """Load the artifact's model for ``runtime``.

    Raises:
        EdgeproofError: the engine refuses the model or cannot be imported, the model takes or gives other numbers than
            uint8 and float32, or has weights in files beside it.
    """
    path = folder / MODEL_FILES[runtime][0]
    try:
        return SESSIONS[runtime](path, output=output, options=options)
    except EdgeproofError:
        raise
    except Exception as error:  # both engines raise types of their own C++ layers
        reason = " ".join(str(error).split())[:200]
        raise refusal(f"{path}: {runtime} cannot load the model ({reason})", runtime=runtime) from error


def share(options: EngineOptions) -> int:
    """Threads of one inference; 0 = as many as the engine likes."""
    if options.streams == 1:
        return options.threads or 0
    return max(1, (options.threads or os.cpu_count() or 1) // options.streams)


def _configuration(options: EngineOptions) -> dict[str, Any]:
    found: dict[str, Any] = {
        "PERFORMANCE_HINT": "LATENCY" if options.streams == 1 else "THROUGHPUT",
        "INFERENCE_PRECISION_HINT": OPENVINO_HINTS[options.precision],
    }
    if options.threads is not None:
        found["INFERENCE_NUM_THREADS"] = options.threads
    if options.streams > 1:
        found["NUM_STREAMS"] = options.streams
    if options.cache is not None:
        found["CACHE_DIR"] = str(options.cache)
    return found
