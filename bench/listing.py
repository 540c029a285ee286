"""The bench's one table on a terminal. Torch-free."""

from typing import TYPE_CHECKING

from bench.records.latency import BenchRecord, Row

if TYPE_CHECKING:
    from rich.table import Table

_LEFT = ("Model", "Runtime", "Precision")
_RIGHT = ("Size", "Threads", "Batch")


def bench_table(record: BenchRecord) -> "Table":
    """A row each: what it is, its times in milliseconds, and how much faster it is than ResNet18 of the same input size."""
    from rich.table import Table
    from rich.text import Text

    out = Table(title=f"{record.machine.cpu_model}, batch and size as told: milliseconds of a call")
    for name in _LEFT:
        out.add_column(name, overflow="fold")
    for name in _RIGHT:
        out.add_column(name, justify="right")
    out.add_column("Scope")
    times = ("p90", "p50", "min") if record.rules == "mlperf" else ("p50", "p90", "min")
    for name in (*times, "± %", "calls"):
        out.add_column(name, justify="right", no_wrap=True)
    out.add_column("× ResNet18", justify="right")
    for row in record.rows:
        out.add_row(*map(Text, (*_identity(row), *_times(row, times), _speedup(row))))
    out.caption = "\n".join(bench_notes(record))
    out.caption_justify = "left"
    return out


def bench_notes(record: BenchRecord) -> list[str]:
    """What the table's marks mean, why rows have no times, and what is absent."""
    measured = [row for row in record.rows if row.measured]
    notes = [f"{_short(row)}: {row.status}, {row.reason}" for row in record.rows if not row.measured]
    if any(row.noisy for row in measured):
        notes.append("~ noisy: its calls scatter or drift too far for its digits to be trusted")
    if any(row.speedup_disagrees for row in measured):
        notes.append(
            "! the rounds, taken one by one, say another ratio than the two medians: see speedup_ci in bench.json"
        )
    if any(
        row.speedup_vs_resnet18_eager and not row.reference and not row.speedup_claimed for row in measured
    ):
        notes.append("( ) no speed-up is claimed: too few rounds, or inside the spread")
    spoiled = sum(row.spoiled for row in measured)
    if spoiled:
        notes.append(
            f"{spoiled} calls were interrupted by something else, counted as spoiled, and repeated where time allowed"
        )
    return [*notes, *(f"{name}: {why}" for name, why in record.absent.items())]


def _identity(row: Row) -> tuple[str, ...]:
    made = row.precision if row.quantizer is None else f"{row.precision} {row.quantizer}"
    return (
        row.model, row.runtime, made, f"{row.input_size}²", str(row.threads), str(row.batch), row.scope.replace("_", " "),
    )  # fmt: skip


def _times(row: Row, names: tuple[str, ...]) -> tuple[str, ...]:
    if not row.measured:
        return (row.status, *[""] * 4)
    values = {"p50": row.p50_ms, "p90": row.p90_ms, "min": row.min_ms}
    mark = "~" * row.noisy
    first, *others = (_ms(values[name]) for name in names)
    width = (
        (row.p50_ci_ms[1] - row.p50_ci_ms[0]) / 2 / row.p50_ms * 100 if row.p50_ci_ms and row.p50_ms else None
    )
    calls = f"{row.samples}" + (f" +{row.spoiled}" if row.spoiled else "")
    return (f"{mark}{first}", *others, "" if width is None else f"{width:.1f}", calls)


def _speedup(row: Row) -> str:
    value = row.speedup_vs_resnet18_eager
    if value is None or row.reference:
        return "reference" if row.reference else ""
    text = f"{value:.1f}" if value < 100 else f"{value:.0f}"
    if row.speedup_ci:
        text += f" [{row.speedup_ci[0]:.3g}, {row.speedup_ci[1]:.3g}]"
    return (
        ("" if row.speedup_claimed else "(")
        + text
        + "!" * row.speedup_disagrees
        + ("" if row.speedup_claimed else ")")
    )


def _ms(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}" if value < 10 else f"{value:.1f}"


def _short(row: Row) -> str:
    return " ".join(_identity(row)[:4])
