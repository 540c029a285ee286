"""The one table for a terminal: fewer columns, fewer words."""

from pathlib import Path
from typing import TYPE_CHECKING

from bench.report.cells import latency, speedups, where
from bench.report.data import RunData, load_run
from bench.report.entry import Entry
from bench.report.verdict import choose
from distill.page.formats import fixed, size

if TYPE_CHECKING:
    from rich.table import Table

_LEFT = ("Model", "Runtime", "Prec.")
_RIGHT = ("AUC", "TPR at 5\u00a0% FPR", "p50 ms", "File", "vs 0.458 s", "vs ResNet18 here")


def headline_table(folder: Path) -> "Table":
    """The one table of a run folder, the verdict's choice in bold.

    Raises:
        EdgeproofError: the folder does not exist.
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    run = load_run(folder)
    simulated = " (simulated data)" if run.simulated else ""
    out = Table(title=f"{run.name}{simulated}", box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for title in _LEFT:
        out.add_column(title)
    for title in _RIGHT:
        out.add_column(title, justify="right")
    chosen = choose(run)
    if run.reference:
        out.add_row(*map(Text, _reference(run)))
    for item in run.entries:
        out.add_row(*map(Text, _row(run, item)), style="bold" if item == chosen else None)
    return out


def _row(run: RunData, item: Entry) -> tuple[str, ...]:
    row = run.timing(item)
    return (
        f"{item.name} {item.identity.arm}" if item.is_control else item.name,
        *where(item.identity.runtime, item.precision),
        fixed(item.auc),
        fixed(item.test.tpr_at_5fpr if item.test else None),
        latency(row, lambda found: found.p50_ms),
        size(row.bytes if row else None),
        *speedups(run, row),
    )


def _reference(run: RunData) -> tuple[str, ...]:
    row = run.reference
    if row is None:
        return ()
    place = where(row.runtime, run.precision(row))
    p50 = latency(row, lambda found: found.p50_ms)
    return (
        "ResNet18 (reference)",
        *place,
        fixed(None),
        fixed(None),
        p50,
        size(row.bytes),
        *speedups(run, row),
    )
