"""What a terminal shows: the one table with fewer columns, and what distillation gave."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from bench.records.distillation import Distillation, DistillationRecord
from bench.report.arms import spread
from bench.report.cells import latency, speedups, where
from bench.report.data import RunData, load_run
from bench.report.distillation import SPLITS, claim, interval
from bench.report.entry import Entry
from bench.report.evidence import groups_behind
from bench.report.measures import BY_STATISTIC, cells, titles
from bench.report.methods import by_gain
from bench.report.verdict import judge
from distill.page.formats import signed, size

if TYPE_CHECKING:
    from rich.table import Table

_LEFT = ("Model", "Runtime", "Prec.")
_RIGHT = ("p50 ms", "File", "vs 0.458 s", "vs ResNet18 here")


def headline_table(folder: Path) -> "Table":
    """The one table of a run folder, the verdict's choice in bold.

    Raises:
        EdgeproofError: the folder does not exist.
    """
    from rich.text import Text

    run = load_run(folder)
    right = (*titles(run.measures.brief), *_RIGHT)
    out = _table(run.name, simulated=run.simulated, left=_LEFT, right=right)
    verdict = judge(run)
    chosen = verdict.chosen
    out.caption = Text("\n".join(filter(None, (verdict.headline, groups_behind(run), *verdict.few))))
    out.caption_justify = "left"
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
        *cells(item.test, run.measures.brief),
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
        *cells(None, run.measures.brief),
        p50,
        size(row.bytes),
        *speedups(run, row),
    )


def arms_tables(record: DistillationRecord) -> "Iterator[Table | str]":
    """Of every student each pair of arms on test and held-out generators, and then the same in a sentence or two."""
    from rich.text import Text

    left, right = ("On", "Arms"), ("against", "Change", "Scenes and seeds", "Seeds alone")
    for name, found in record.students.items():
        title = BY_STATISTIC[found.measure].title
        out = _table(name, simulated=record.simulated, left=left, right=(title, *right))
        for column in out.columns:
            column.no_wrap = True  # the verdict alone has words to break at
        out.add_column("Verdict")
        for row in _pairs(found):
            out.add_row(*map(Text, row))
        yield out
        yield " ".join(claim(found))
        if found.variants:
            yield _methods(name, found, simulated=record.simulated)


def _methods(name: str, found: Distillation, *, simulated: bool) -> "Table":
    """What every lesson gave over the student alone, best first."""
    from rich.text import Text

    right = (BY_STATISTIC[found.measure].title, "Over alone", "Scenes and seeds", "Seeds alone")
    out = _table(f"{name}: methods", simulated=simulated, left=("Method",), right=right)
    out.add_column("Verdict")
    for arm in by_gain(found):
        over, score = found.difference("test", arm=arm.arm), arm.spread("test", found.measure)
        if over:
            change = (signed(over.mean), interval(over.ci), interval(over.seeds_ci), over.verdict)
            out.add_row(*map(Text, (arm.arm, spread(score), *change)))
    return out


def _pairs(found: Distillation) -> Iterator[tuple[str, ...]]:
    arms = {arm.arm: arm for arm in found.arms}
    for ours, theirs in found.pairs:
        for split in SPLITS:
            difference = found.difference(split, arm=ours, against=theirs)
            if difference:
                means = (
                    spread(arms[arm].spread(split, found.measure)).replace(" ", "") for arm in (ours, theirs)
                )
                intervals = map(interval, (difference.ci, difference.seeds_ci))
                change = signed(difference.mean)
                yield split, f"{ours} − {theirs}", *means, change, *intervals, difference.verdict


def _table(name: str, *, simulated: bool, left: tuple[str, ...], right: tuple[str, ...]) -> "Table":
    from rich import box
    from rich.table import Table

    title = f"{name}{' (simulated data)' if simulated else ''}"
    out = Table(title=title, box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for text in left:
        out.add_column(text)
    for text in right:
        out.add_column(text, justify="right")
    return out
