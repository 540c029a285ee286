"""Cells that several tables share: runtime and precision, a latency, the two speed-ups."""

from collections.abc import Callable

from bench.records.identity import Runtime
from bench.records.latency import Row
from bench.report.data import RunData
from bench.report.entry import RUNTIMES
from bench.report.speed import beats_reported, beats_resnet18, loses_to_resnet18
from distill.page.formats import NONE, milliseconds, times

IN_SPREAD = "in spread"


def where(runtime: Runtime, precision: str) -> tuple[str, str]:
    """Runtime and precision as people write them."""
    return RUNTIMES[runtime], precision


def latency(row: Row | None, of: Callable[[Row], float | None]) -> str:
    """Milliseconds of a bench row, marked if noisy; the status where there is none."""
    if row is None:
        return NONE
    return ("~" * row.noisy + milliseconds(of(row))) if row.measured else row.status


def speedups(run: RunData, row: Row | None) -> tuple[str, str]:
    """Speed-up against 0.458 s and against ResNet18 here; never one inside the spread."""
    if row is None or not row.measured:
        return NONE, NONE
    reported = times(row.speedup_vs_reference) if beats_reported(row) else IN_SPREAD
    if row is run.reference:
        return reported, times(1.0)
    ratio = row.speedup_vs_resnet18_eager
    apart = beats_resnet18(row) or loses_to_resnet18(row)
    return reported, times(ratio) if ratio is None or apart else IN_SPREAD
