"""Everything that was timed: percentiles and ratios of every form at every size, what it takes, what was not timed."""

from collections.abc import Callable, Sequence

from bench.records.latency import Row, Scope
from bench.report.cells import RATIOS, latency, marks, speedups, where
from bench.report.data import RunData
from bench.report.tables import without_empty
from distill.page.blocks import Table, columns
from distill.page.formats import NONE, count, fixed, milliseconds, percent, size, square

_SCOPES: dict[Scope, str] = {
    "model": "Latency, model only",
    "end_to_end": "Latency from JPEG bytes to the answer",
}
_FORM = ("Model", "Runtime", "Precision", "Input", "Threads", "Batch")
_TIMES: tuple[tuple[str, Callable[[Row], float | None]], ...] = (
    ("min ms", lambda row: row.min_ms),
    ("p90 ms", lambda row: row.p90_ms),
    ("p99 ms", lambda row: row.p99_ms),
    ("Deviation ms", lambda row: row.mad_ms),
)


def timed(run: RunData, scope: Scope) -> Table:
    """Every row of one scope, the same sizes together."""
    rows = _in_order(run, [row for row in run.rows if row.measured and row.scope == scope])
    cells = tuple(
        (
            *_form(run, row),
            latency(row, lambda found: found.p50_ms),
            *(milliseconds(of(row)) for _, of in _TIMES),
            *speedups(row),
            str(row.samples),
            str(row.spoiled or NONE),
        )
        for row in rows
    )
    heads = columns(*_FORM, "p50 ms", *(title for title, _ in _TIMES), *RATIOS, "Samples", "Repeated", left=3)
    note = (
        f"{marks(cells)} Deviation: median absolute deviation. Repeated: calls that something else interrupted. "
        "Accuracy is not given here: a network is judged at the size it was trained at alone."
    )
    bad = frozenset(i for i, row in enumerate(rows) if row.speedup_disagrees)
    return without_empty(Table(_SCOPES[scope], heads, cells, note, bad=bad))


def resources(run: RunData) -> Table:
    """What each form takes besides time, and how near it comes to what this CPU can do."""
    rows = _in_order(run, [row for row in run.rows if row.measured and row.scope == "model"])
    cells = tuple((*_form(run, row), *_taken(row)) for row in rows)
    titles = (
        "File", "Parameters", "MMAC", "Images per second, all cores", "Peak memory", "Cold start ms", "Energy mJ",
        "Of the limit here", "Bound by",
    )  # fmt: skip
    absent = "".join(f" No {name}: {why}." for name, why in (run.bench.absent if run.bench else {}).items())
    note = (
        "MMAC: million multiply-accumulates of one image. Of the limit: the time that this model takes at this CPU's measured "
        f"peak, over its p50.{absent}"
    )
    return without_empty(Table("What each form takes", columns(*_FORM, *titles, left=3), cells, note))


def not_timed(run: RunData) -> Table:
    """Contestants of the bench that failed or were skipped, with the reason."""
    lost = [row for row in run.rows if not row.measured]
    rows = tuple((*_form(run, row), row.status, row.reason or NONE) for row in lost)
    failed = frozenset(i for i, row in enumerate(lost) if row.status == "failed")
    heads = columns(*_FORM, "Status", "Reason", left=8)
    return Table("Not timed", heads, rows, bad=failed)


def _form(run: RunData, row: Row) -> tuple[str, ...]:
    place = where(row.runtime, run.precision(row))
    return row.model, *place, square(row.input_size), str(row.threads), str(row.batch)


def _in_order(run: RunData, rows: Sequence[Row]) -> list[Row]:
    """By size, students first, as the recipe lists them; the reference last."""
    names = [*run.students, *run.teachers]

    def key(row: Row) -> tuple[int, int, int]:
        place = names.index(row.model) if row.model in names else len(names)
        return row.batch, row.input_size, place

    return sorted(rows, key=key)


def _taken(row: Row) -> tuple[str, ...]:
    return (
        size(row.bytes),
        count(row.params),
        NONE if row.macs is None else count(row.macs / 1e6),
        count(row.images_per_s),
        size(row.peak_bytes),
        milliseconds(row.cold_start_ms),
        fixed(row.energy_mj, 2),
        NONE if row.roof is None else percent(row.roof.share, 0),
        NONE if row.roof is None else row.roof.bound,
    )
