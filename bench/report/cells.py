"""Cells that several tables share: a latency, and the two ratios with what must be known of them."""

from collections.abc import Callable, Iterable, Sequence

from bench.records.identity import Runtime
from bench.records.latency import Row
from bench.report.entry import RUNTIMES
from bench.report.speed import beats_reported, loses_to_resnet18
from distill.page.formats import NONE, milliseconds, times, times_with_interval

IN_SPREAD, UNCLAIMED, NOISY, DISAGREES = "in spread", "not claimed", "~", "≠"
EAGER, REPORTED = "vs eager ResNet18 [95\u00a0% CI]", "vs 0.458 s"
RATIOS = (EAGER, REPORTED)
LIKE_FOR_LIKE = (
    "Ratios are to eager ResNet18 FP32 at the same input size, threads and batch: of the two p50 that are shown, with the "
    "95\u00a0% interval from paired rounds."
)
_MARKS = {
    DISAGREES: "the ratio lies outside of its own interval, so claim neither",
    NOISY: "a noisy measurement",
    IN_SPREAD: "the interval holds 1 (or the slowest calls the reported time), so no speed-up is claimed",
    UNCLAIMED: "fewer than ten rounds, or too many calls that something else interrupted, so no speed-up is claimed",
}


def marks(rows: Iterable[Sequence[str]]) -> str:
    """How to read ratios, and every mark that occurs in the cells."""
    shown = " ".join(cell for row in rows for cell in row)
    return " ".join(
        [LIKE_FOR_LIKE, *(f"{mark}: {words}." for mark, words in _MARKS.items() if mark in shown)]
    )


def where(runtime: Runtime, precision: str) -> tuple[str, str]:
    """Runtime and precision as people write them."""
    return RUNTIMES[runtime], precision


def latency(row: Row | None, of: Callable[[Row], float | None]) -> str:
    """Milliseconds of a bench row, marked if noisy; the status where there is none."""
    if row is None:
        return NONE
    return (NOISY * row.noisy + milliseconds(of(row))) if row.measured else row.status


def speedups(row: Row | None) -> tuple[str, str]:
    """The ratio to ResNet18 like for like with its interval, and the ratio to the reported 0.458 s."""
    if row is None or not row.measured:
        return NONE, NONE
    return against_resnet18(row), against_reported(row)


def against_resnet18(row: Row) -> str:
    """Such as ``105× [98, 112]``, marked where it contradicts its interval; 1 in the reference's own row."""
    if row.reference:
        return times(1.0)
    if row.speedup_vs_resnet18_eager is None:
        return NONE
    shown = times_with_interval(row.speedup_vs_resnet18_eager, row.speedup_ci)
    if row.speedup_disagrees:
        return f"{DISAGREES} {shown}"
    return shown if row.speedup_claimed or loses_to_resnet18(row) else f"{shown}, {why_unclaimed(row)}"


def why_unclaimed(row: Row) -> str:
    """Whether its interval, or what the interval stands on, forbids the claim."""
    return UNCLAIMED if row.speedup_ci and row.speedup_ci[0] > 1 else IN_SPREAD


def against_reported(row: Row) -> str:
    """The ratio to the reported 0.458 s, where the row has the size that those were measured at."""
    if row.speedup_vs_reference is None:
        return NONE
    return times(row.speedup_vs_reference) if beats_reported(row) else IN_SPREAD
