"""The one table: the chosen student and those it is measured against, at one input size and then at the other.

At most eight rows. Every ratio compares the same input size; whatever else was timed stands further down the report.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from bench.records.latency import Row
from bench.report.cells import RATIOS, latency, marks, speedups, where
from bench.report.data import RunData
from bench.report.entry import Entry
from bench.report.evidence import groups_behind
from bench.report.measures import cells, titles
from distill.page.blocks import Column, Table
from distill.page.formats import NONE, size, square

MOST_ROWS = 8
REFERENCE = "ResNet18, reference"
_LEFT = ("Model", "Runtime", "Precision")
_TIMES = ("p50 ms", "From JPEG, ms", "File")


@dataclass(frozen=True)
class Line:
    """One row of the table.

    Attributes:
        title: what people call the model.
        place: its runtime and precision.
        size: pixels on each side of the input.
        item: the model, where it was judged at this size.
        row: its latency at this size, of the model alone; ``whole`` starts from JPEG bytes.
        chosen: it is the one that the verdict speaks of.
    """

    title: str
    place: tuple[str, str]
    size: int | None
    item: Entry | None = None
    row: Row | None = None
    whole: Row | None = None
    chosen: bool = False


def lines(run: RunData, chosen: Entry | None) -> list[Line]:
    """The rows, at the size that the student was trained at and then at the one where every network is timed."""
    item = chosen or _some_student(run)
    trained = run.trained_size(item.name) if item else None
    first = [*_trained(run, item, chosen=chosen), *_reference(run, trained)]
    if trained == run.large:
        return first[:MOST_ROWS]
    room = MOST_ROWS - len(first)
    wanted = [*_at(run, item, run.large, chosen=chosen), *_reference(run, run.large)]
    wanted += _at(run, _fp32(run, item), run.large) + _at(run, run.teacher, run.large)
    return first + sorted(wanted[:room], key=lambda line: _rank(run, line))


def _rank(run: RunData, line: Line) -> int:
    """The student first, the reference last."""
    if line.title == REFERENCE:
        return 2
    return int(line.row is not None and line.row.model in run.teachers)


def front_table(run: RunData, chosen: Entry | None) -> Table:
    """The one table of the report, the verdict's choice in bold."""
    found, measures = lines(run, chosen), run.measures.brief
    rows = tuple(
        (
            line.title,
            *line.place,
            square(line.size),
            *cells(line.item.test if line.item else None, measures),
            latency(line.row, lambda row: row.p50_ms),
            latency(line.whole, lambda row: row.p50_ms),
            size(line.row.bytes if line.row else None),
            *speedups(line.row),
        )
        for line in found
    )
    heads = _columns(*_LEFT, "Input", *titles(measures), *_TIMES, *RATIOS)
    strong = frozenset(i for i, line in enumerate(found) if line.chosen)
    return Table("The one table", heads, rows, _note(run, found, rows), strong, _suspect(found))


def brief_table(run: RunData, chosen: Entry | None) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Titles and rows of the same table for a terminal, which has less room."""
    measures = run.measures.terminal
    rows = [
        (
            line.title,
            " ".join(text for text in line.place if text != NONE),
            square(line.size),
            *cells(line.item.test if line.item else None, measures),
            latency(line.row, lambda row: row.p50_ms),
            size(line.row.bytes if line.row else None),
            *speedups(line.row),
        )
        for line in lines(run, chosen)
    ]
    return (
        "Model",
        "Form",
        "Input",
        *titles(measures),
        "p50 ms",
        "File",
        "vs eager ResNet18",
        "vs 0.458 s",
    ), rows


def _columns(*names: str) -> tuple[Column, ...]:
    return tuple(Column(name, right=name not in _LEFT) for name in names)


def _suspect(found: list[Line]) -> frozenset[int]:
    """Rows whose ratio lies outside of its own interval."""
    return frozenset(i for i, line in enumerate(found) if line.row and line.row.speedup_disagrees)


def _note(run: RunData, found: list[Line], rows: tuple[tuple[str, ...], ...]) -> str:
    simulated = "Accuracy on simulated data. " if run.simulated else ""
    sizes = dict.fromkeys(square(line.size) for line in found if line.item)
    trained = f" Accuracy is that at {', '.join(sizes)}, which the models were trained at." if sizes else ""
    alone = " The student alone is the same network, and takes the same time." if any(
        line.item and line.item.is_control for line in found
    ) else ""  # fmt: skip
    return (
        f"{simulated}{groups_behind(run)}{trained}{alone} p50: median of the model alone, batch 1. From JPEG: with decoding and "
        f"resizing. {marks(rows)} The 0.458 s were reported at 224×224 on other hardware."
    ).strip()


def _some_student(run: RunData) -> Entry | None:
    """Whom the table speaks of where nothing could be chosen: an INT8 student if there is one."""
    students = [item for item in run.entries if not item.is_teacher and not item.is_control]
    return min(students, key=lambda item: not item.is_int8, default=None)


def _trained(run: RunData, item: Entry | None, *, chosen: Entry | None) -> Iterator[Line]:
    """The student, its FP32 form, itself without a teacher, and the teacher, each at the size it was trained at."""
    own = run.trained_size(item.name) if item else None
    yield from _at(run, item, own, chosen=chosen)
    yield from _at(run, _fp32(run, item), own)
    alone = run.student(item.name, arm="alone") if item else None
    if alone:
        yield Line(alone.label, alone.place, own, alone)
    if teacher := run.teacher:
        yield from _at(run, teacher, run.trained_size(teacher.name))


def _at(run: RunData, item: Entry | None, pixels: int | None, *, chosen: Entry | None = None) -> list[Line]:
    """A model's row at one size: nothing where it was neither judged nor timed there."""
    if item is None:
        return []
    row, judged = run.timing(item, size=pixels), pixels == run.trained_size(item.name)
    if row is None and not (judged and item.accuracy):
        return []
    whole = run.timing(item, size=pixels, scope="end_to_end")
    return [Line(item.label, item.place, pixels, item if judged else None, row, whole, chosen=item == chosen)]


def _reference(run: RunData, pixels: int | None) -> list[Line]:
    row = run.reference(size=pixels)
    if row is None:
        return []
    whole = run.reference(size=pixels, scope="end_to_end")
    return [Line(REFERENCE, where(row.runtime, run.precision(row)), pixels, None, row, whole)]


def _fp32(run: RunData, item: Entry | None) -> Entry | None:
    """The FP32 form in the same runtime, which an INT8 form was made from."""
    if item is None or not item.is_int8:
        return None
    who = item.identity
    return next(
        (
            other
            for other in run.entries
            if (other.name, other.identity.runtime, other.identity.precision)
            == (who.name, who.runtime, "fp32")
            and not other.is_control
        ),
        None,
    )
