"""The peak: the fastest of several convolutions through each runtime, precision and number of threads. Torch-free."""

import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from bench.contestant import one_line
from bench.limit.convolutions import DEPTH, SHAPES, ConvolutionShape, convolution_chain, sample_input
from bench.limit.runners import Setting, load_chain
from bench.records.latency import Peak
from deploy.profilers import Operator, profile_model
from deploy.timing import Runner, race
from distill import forms
from distill.forms import Precision

_HEAT, _FINAL = 0.25, 0.25  # of the time; the rest is for threads that do not add up, and saved where they do
_FINALISTS = 2
_ADDS_UP, _DOUBTFUL = 0.85, 1.5  # of as many threads; times one thread


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
    were computed in that precision. Where there is none, a peak says why. One thread is measured beside several: where they
    do not add up, a part of the time is kept for another race, and what is still hardly faster then is called doubtful.

    Args:
        settings: runtimes, precisions and threads.
        budget_s: seconds that the rounds take, models' compiling not counted.
        shapes: what races.
        progress: told what is done.
    """
    reasons: dict[Setting, str] = {}
    every = dict.fromkeys([*settings, *(one.alone for one in settings)])
    with tempfile.TemporaryDirectory(prefix="edgeproof-") as folder:
        entries = list(_entries(every, shapes, Path(folder), reasons=reasons, progress=progress))
        progress("convolutions: the fastest of each kind")
        _time(entries, budget_s=budget_s * _HEAT, rounds=3, iterations=2)
        best = [entry for setting in every for entry in _fastest(setting, entries)[:_FINALISTS]]
        _time(best, budget_s=budget_s * _FINAL)
        slow = [entry for entry in best if _scaling(entry, entries) < _ADDS_UP * entry.setting.threads]
        _time(slow, budget_s=budget_s * (1 - _HEAT - _FINAL))
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
    settings: Iterable[Setting],
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
    int8 = setting.precision == "int8"
    path = folder / f"{shape.channels}-{shape.kernel}-{shape.size}-{'int8' if int8 else 'float'}.onnx"
    if not path.is_file():
        path.write_bytes(convolution_chain(shape, int8=int8))
    return _Entry(setting, shape, path, load_chain(path, setting, shape))


def _time(entries: Sequence[_Entry], *, budget_s: float, rounds: int = 200, iterations: int = 3) -> None:
    """Lower each entry's shortest call."""
    if not entries:
        return
    named = {f"{number}": entry for number, entry in enumerate(entries)}
    runs = {name: entry.run for name, entry in named.items()}
    found = race(runs, reference="0", budget_s=budget_s, rounds=rounds, iterations=iterations)
    for name, timing in found.items():
        named[name].min_ms = min(named[name].min_ms, timing.min_ms)


def _fastest(setting: Setting, entries: Sequence[_Entry]) -> list[_Entry]:
    return sorted((e for e in entries if e.setting == setting), key=lambda entry: -entry.gmacs_per_s)


def _scaling(entry: _Entry, entries: Sequence[_Entry]) -> float:
    """How many times as fast it is as the fastest with one thread."""
    alone = _fastest(entry.setting.alone, entries)
    return entry.gmacs_per_s / alone[0].gmacs_per_s if alone else 1.0


def _doubt(entry: _Entry, entries: Sequence[_Entry]) -> str | None:
    """A peak that was measured too low flatters every row, so it is not to pass for one."""
    scaling = _scaling(entry, entries)
    if entry.setting.threads == 1 or scaling >= _DOUBTFUL:
        return None
    return (
        f"doubtful: {entry.setting.threads} threads are only {scaling:.1f} times as fast as one; other programs ran, or the "
        "threads share a core"
    )


def _peak(setting: Setting, entries: Sequence[_Entry], reasons: dict[Setting, str]) -> Peak:
    """Of the fastest shape that the profiler vouches for."""
    reason = reasons.get(setting)
    for entry in _fastest(setting, entries):
        try:
            refused = _vouched(entry)
        except Exception as error:  # a profiler's failure is this peak's alone
            refused = one_line(error)
        if refused is None:
            return Peak(
                **setting._asdict(), gmacs_per_s=entry.gmacs_per_s, shape=str(entry.shape), reason=_doubt(entry, entries),
            )  # fmt: skip
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
