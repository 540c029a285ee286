"""The peak: the fastest of several convolutions through each runtime, precision and number of threads. Torch-free."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, cast

from bench.latency import one_line
from bench.limit.convolutions import DEPTH, SHAPES, ConvolutionShape, convolution_chain, sample_input
from bench.records.identity import Runtime
from bench.records.latency import Peak
from deploy.openvino_ir import openvino_core
from deploy.profilers import Operator, profile_model
from deploy.sessions import OPENVINO_HINTS
from deploy.timing import Runner, race
from distill import forms
from distill.errors import EdgeproofError
from distill.forms import Precision
from distill.optional import require

_HEAT_S, _FINALISTS, _ROUNDS = 0.4, 2, 40  # a first heat of all takes so much of the time
_NO_TORCH = "the peak is measured through ONNX Runtime and OpenVINO alone"


class Setting(NamedTuple):
    """What a peak is the peak of."""

    runtime: Runtime
    precision: Precision
    threads: int


@dataclass
class _Entry:
    """One chain of convolutions, ready to run."""

    setting: Setting
    shape: ConvolutionShape
    path: Path
    run: Runner
    min_ms: float = field(default=float("inf"))

    @property
    def gmacs_per_s(self) -> float:
        return self.shape.macs * DEPTH / self.min_ms / 1e6


def measure_peaks(
    settings: Sequence[Setting],
    *,
    budget_s: float = 8.0,
    shapes: Sequence[ConvolutionShape] = SHAPES,
    progress: Callable[[str], None] = lambda _: None,
) -> tuple[Peak, ...]:
    """The peak of every setting, in their order: all shapes race in interleaved rounds, the best of each race on.

    A peak is the shortest call of the shape that was fastest, of those whose convolutions the runtime's own profiler says
    were computed in that precision. Where there is none, a peak says why.

    Args:
        settings: runtimes, precisions and threads.
        budget_s: seconds that the rounds take, models' compiling not counted.
        shapes: what races.
        progress: told what is done.
    """
    reasons: dict[Setting, str] = {}
    with tempfile.TemporaryDirectory(prefix="edgeproof-") as folder:
        entries = list(_entries(settings, shapes, Path(folder), reasons=reasons, progress=progress))
        progress("convolutions: the fastest of each kind")
        _time(entries, budget_s=budget_s * _HEAT_S, rounds=4)
        _time(_finalists(entries), budget_s=budget_s * (1 - _HEAT_S), rounds=_ROUNDS)
        return tuple(_peak(setting, entries, reasons) for setting in settings)


def refusal(operators: Sequence[Operator], precision: Precision, *, depth: int = DEPTH) -> str | None:
    """Why a profile is no proof that ``depth`` convolutions were computed in ``precision``; None if it is.

    A peak that silently ran in another precision would flatter or shame every row.
    """
    layers = [operator for operator in operators if operator.layer]
    others = sorted({operator.precision for operator in layers if operator.precision != precision})
    wrong = sum(operator.precision != precision for operator in layers)
    if wrong:
        return f"{wrong} of {len(layers)} convolutions were computed in {', '.join(others)}, expected {precision}"
    if len(layers) != depth:
        return f"the profile shows {len(layers)} convolutions, expected {depth}"
    return None


def _entries(
    settings: Sequence[Setting],
    shapes: Sequence[ConvolutionShape],
    folder: Path,
    *,
    reasons: dict[Setting, str],
    progress: Callable[[str], None],
) -> Iterator[_Entry]:
    for setting in settings:
        progress(f"convolutions: {setting.runtime}, {setting.precision}, threads {setting.threads}")
        try:
            for shape in shapes:
                yield _prepared(setting, shape, folder)
        except Exception as error:  # whatever a runtime raises becomes the peak's reason
            reasons[setting] = one_line(error)


def _prepared(setting: Setting, shape: ConvolutionShape, folder: Path) -> _Entry:
    if setting.runtime == "torch":
        raise EdgeproofError(_NO_TORCH)
    int8 = setting.precision == "int8"
    path = folder / f"{shape.channels}-{shape.kernel}-{shape.size}-{'int8' if int8 else 'float'}.onnx"
    if not path.is_file():
        path.write_bytes(convolution_chain(shape, int8=int8))
    make = {"onnxruntime": _onnxruntime, "openvino": _openvino}[setting.runtime]
    run = make(path, setting, sample_input(shape))
    run()
    return _Entry(setting, shape, path, run)


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


def _time(entries: Sequence[_Entry], *, budget_s: float, rounds: int) -> None:
    """Lower each entry's shortest call."""
    if not entries:
        return
    named = {f"{number}": entry for number, entry in enumerate(entries)}
    runs = {name: entry.run for name, entry in named.items()}
    found = race(runs, reference="0", budget_s=budget_s, rounds=rounds, iterations=3)
    for name, timing in found.items():
        named[name].min_ms = min(named[name].min_ms, timing.min_ms)


def _finalists(entries: Sequence[_Entry]) -> list[_Entry]:
    """The fastest shapes of each setting."""
    found = []
    for setting in dict.fromkeys(entry.setting for entry in entries):
        found += _fastest(setting, entries)[:_FINALISTS]
    return found


def _fastest(setting: Setting, entries: Sequence[_Entry]) -> list[_Entry]:
    return sorted((e for e in entries if e.setting == setting), key=lambda entry: -entry.gmacs_per_s)


def _peak(setting: Setting, entries: Sequence[_Entry], reasons: dict[Setting, str]) -> Peak:
    """Of the fastest shape that the profiler vouches for."""
    reason = reasons.get(setting)
    for entry in _fastest(setting, entries):
        try:
            refused = _vouched(entry)
        except Exception as error:  # a profiler's failure is this peak's alone
            refused = one_line(error)
        if refused is None:
            return Peak(**setting._asdict(), gmacs_per_s=entry.gmacs_per_s, shape=str(entry.shape))
        reason = reason or f"{entry.shape}: {refused}"
    return Peak(**setting._asdict(), reason=reason or "no convolution could be timed")


def _vouched(entry: _Entry) -> str | None:
    precision, threads = entry.setting.precision, entry.setting.threads
    runtime = cast(forms.Runtime, entry.setting.runtime)  # of PyTorch there is no entry
    operators = profile_model(
        entry.path, runtime=runtime, feeds={"x": sample_input(entry.shape)}, threads=threads, calls=3,
        precision="fp32" if precision == "int8" else precision,
    )  # fmt: skip
    return refusal(operators, precision)
