"""What a terminal shows: the one table with fewer columns, the students, and what distillation gave."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench.records.distillation import Distillation, DistillationRecord
from bench.report.arms import spread
from bench.report.cells import EAGER
from bench.report.comparison import compare_runs, comparison_table, headline, not_judged, regressions
from bench.report.data import RunData, load_run
from bench.report.distillation import SPLITS, claim, interval
from bench.report.evidence import groups_behind
from bench.report.front import brief_table, lines
from bench.report.measures import BY_STATISTIC
from bench.report.methods import by_gain
from bench.report.stopped import stopped_by_audit
from bench.report.students import students
from bench.report.verdict import Verdict, judge
from distill.page.blocks import Table as PageTable
from distill.page.formats import signed

if TYPE_CHECKING:
    from rich.table import Table

_LEFT = ("Model", "Form")


def result_tables(folder: Path) -> "Iterator[Table | str]":
    """The one table of a run folder with the verdict under it, then its students beside each other if there are several.

    Of a run that its data stopped there is no table, but the verdict and what to do.

    Raises:
        EdgeproofError: the folder does not exist.
    """
    run = load_run(folder)
    verdict = judge(run)
    if stopped_by_audit(run):
        yield "\n".join(verdict.lines)
        return
    yield _one_table(run, verdict)
    if found := students(run):
        yield _students(run, found)


def comparison_tables(folders: Sequence[Path]) -> "Iterator[Table | str]":
    """Several runs beside each other, then what is worse than in the first, and what could not be judged.

    Raises:
        EdgeproofError: a folder does not exist.
    """
    found = compare_runs(folders)
    table = comparison_table(found)
    yield _some_columns(table, [i for i, column in enumerate(table.columns) if "unseen" not in column.title])
    first, *others = found
    yield headline(found)
    for one in others:
        yield from (f"  {one.name}: {text}" for text in regressions(one, first))
    for one in found:
        yield from (f"  not judged, {one.name}: {text}" for text in not_judged(one, first))


def _one_table(run: RunData, verdict: Verdict) -> "Table | str":
    from rich.text import Text

    titles, rows = brief_table(run, verdict.chosen)
    caption = "\n".join(filter(None, (verdict.headline, groups_behind(run), *verdict.few)))
    if not rows:
        return caption
    out = _table(run.name, simulated=run.simulated, left=_LEFT, right=titles[len(_LEFT) :])
    out.caption, out.caption_justify = Text(caption), "left"
    for line, cells in zip(lines(run, verdict.chosen), rows, strict=True):
        out.add_row(*map(Text, cells), style="bold" if line.chosen else None)
    return out


def _students(run: RunData, found: PageTable) -> "Table":
    """The table of students with the columns that a terminal has room for."""
    wanted = ("Student", "INT8 cost", "Form", "p50 ms", EAGER, "Training s", "Beaten by")
    places = [
        i for i, column in enumerate(found.columns) if column.title in wanted or "deployed [" in column.title
    ]
    return _some_columns(found, places, simulated=run.simulated)


def _some_columns(found: PageTable, places: Sequence[int], *, simulated: bool = False) -> "Table":
    """A page's table with those of its columns that a terminal has room for."""
    from rich.text import Text

    titles = tuple(found.columns[i].title for i in places)
    out = _table(found.title, simulated=simulated, left=titles[:1], right=titles[1:])
    for number, cells in enumerate(found.rows):
        out.add_row(*(Text(cells[i]) for i in places), style="bold" if number in found.strong else None)
    return out


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
