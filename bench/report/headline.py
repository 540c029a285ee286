"""The one table: every model that was evaluated or timed."""

from bench.records.latency import Row
from bench.report.cells import IN_SPREAD, latency, speedups, where
from bench.report.data import RunData
from bench.report.entry import Entry
from bench.report.evidence import groups_behind
from bench.report.measures import cells, titles
from distill.page.blocks import Table, columns
from distill.page.formats import NONE, size

_LEFT = ("Model", "Runtime", "Precision")
_RIGHT = ("p50 ms", "p99 ms", "End-to-end p50 ms", "File", "vs 0.458 s", "vs ResNet18 here")


def headline(run: RunData, *, chosen: Entry | None) -> Table:
    """The one table, the verdict's choice in bold."""
    items = run.entries
    rows = [_row(run, item) for item in items]
    strong = {i for i, item in enumerate(items) if item == chosen}
    if run.reference:
        rows.insert(0, _reference_row(run, run.reference))
        strong = {i + 1 for i in strong}
    simulated = "Accuracy on simulated data. " if run.simulated else ""
    here = "ResNet18 was not timed"
    if run.reference:
        pixels = run.reference.input_size
        here = f"ResNet18 here is eager PyTorch FP32 at {pixels}×{pixels}"
    note = (
        f"{simulated}{groups_behind(run)} Latency: batch 1, model only, at the size the model was trained at{_sizes(run)}; "
        "the last two columns divide by it. End to end starts from JPEG bytes. The 0.458 s were reported "
        f"on other hardware; {here}. “{IN_SPREAD}”: the measured ranges overlap, so no ratio is claimed; "
        f"~ marks a noisy measurement; {NONE} not measured."
    )
    heads = columns(*_LEFT, *titles(run.measures.headline), *_RIGHT, left=len(_LEFT))
    return Table("The one table", heads, tuple(rows), note, frozenset(strong))


def _sizes(run: RunData) -> str:
    sizes = {pixels for item in run.entries if (pixels := run.trained_size(item.name))}
    return f" ({', '.join(f'{s}×{s}' for s in sorted(sizes))})" if sizes else ""


def _row(run: RunData, item: Entry) -> tuple[str, ...]:
    row, whole = run.timing(item), run.timing(item, scope="end_to_end")
    return (
        item.label,
        *where(item.identity.runtime, item.precision),
        *cells(item.test, run.measures.headline),
        *_measures(run, row, whole),
    )


def _measures(run: RunData, row: Row | None, whole: Row | None) -> tuple[str, ...]:
    return (
        latency(row, lambda found: found.p50_ms),
        latency(row, lambda found: found.p99_ms),
        latency(whole, lambda found: found.p50_ms),
        size(row.bytes if row else None),
        *speedups(run, row),
    )


def _reference_row(run: RunData, row: Row) -> tuple[str, ...]:
    whole = run.row(
        model=row.model,
        runtime=row.runtime,
        precision=row.precision,
        size=row.input_size,
        scope="end_to_end",
    )
    return (
        f"ResNet18 at {row.input_size}×{row.input_size} (reference)",
        *where(row.runtime, run.precision(row)),
        *cells(None, run.measures.headline),
        *_measures(run, row, whole),
    )
