"""The verdict's sentences on speed and accuracy. They claim no more than was measured: no speed-up inside the spread."""

from collections.abc import Iterator

from bench.records.accuracy import Comparison, Step
from bench.records.latency import Row
from bench.report.costs import flipped
from bench.report.data import RunData
from bench.report.entry import Entry
from bench.report.evidence import counted, groups_of, too_few_for_differences
from bench.report.speed import beats_reported, beats_resnet18, noisy
from distill.evaluation.statistics import MIN_GROUPS
from distill.page.formats import milliseconds, signed, size, square, times, times_with_interval, with_interval

_STEPS: dict[Step, str] = {"export": "export", "int8": "INT8"}


def speed_claim(run: RunData, chosen: Entry | None) -> str:
    """How fast the chosen model is here, at the size where all are timed and at the one that it was trained at."""
    row = run.timing(chosen) if chosen else None
    if chosen is None or row is None or not row.measured:
        return "not measured, so no speed-up is claimed."
    large = run.timing(chosen, size=run.large)
    rows = [row] if large is None or not large.measured or row.input_size == run.large else [large, row]
    parts = [f"{'; at the size it was trained at, '.join(_pace(run, found) for found in rows)}."]
    parts += _reported(rows[0])
    if any(noisy(run, found) for found in rows):
        parts.append("The machine was noisy while timing: read this as an order, not as figures.")
    return " ".join([*parts, *_bytes(run, row)])


def _pace(run: RunData, row: Row) -> str:
    """The median, and the ratio to ResNet18 at the same size only if it lies outside the spread."""
    median = f"{milliseconds(row.p50_ms)} ms an image at {square(row.input_size)}, "
    if run.reference_of(row) is None:
        return f"{median}where ResNet18 was not timed"
    shown = times_with_interval(row.speedup_vs_resnet18_eager, row.speedup_ci)
    if row.speedup_disagrees:
        return f"{median}a ratio to eager ResNet18 that contradicts its own interval ({shown}), so none is claimed"
    if not beats_resnet18(row):
        return f"{median}no speed-up over eager ResNet18 there outside the spread"
    return f"{median}{shown} the speed of eager ResNet18 there"


def _reported(row: Row) -> Iterator[str]:
    """The ratio to the reported time, where the row has the size that it was measured at."""
    if row.speedup_vs_reference is not None:
        beaten = beats_reported(row)
        told = f"{times(row.speedup_vs_reference)} the speed of" if beaten else "Not shown to beat"
        yield f"{told} the reported 0.458 s (other hardware)."


def _bytes(run: RunData, row: Row) -> Iterator[str]:
    teacher = run.timing(run.teacher) if run.teacher else None
    if teacher and teacher.bytes and row.bytes:
        yield f"File: {size(row.bytes)}, the teacher's {size(teacher.bytes)}."


def accuracy_claim(run: RunData, chosen: Entry | None) -> str:
    """How good the chosen model is beside its teacher, and what the export and INT8 changed."""
    teacher, name = run.teacher, run.measures.name
    if chosen is None:
        known = f"; the teacher has {name} {_score(teacher, 'test')}" if teacher else ""
        return f"no INT8 student was evaluated{known}."
    text = f"{name} {_score(chosen, 'test')}"
    if chosen.test and not run.measures.detects:  # what guessing gives depends on the classes
        text += f" {run.measures.meaning(chosen.test)}"
    if teacher:
        text += f"; the teacher {_score(teacher, 'test')}, so {_difference(run, chosen, teacher)} in all"
    if steps := list(_steps(run, chosen)):
        text += f". {'; '.join(steps)}"
    if too_few_for_differences(run):
        text += f". No verdict on these differences: {counted(groups_of(run) or 0)}, fewer than {MIN_GROUPS}"
    return text + "."


def unseen_claim(run: RunData, chosen: Entry | None) -> str:
    """How good it is on generators that nobody trained on; "" where there were none."""
    found, test = (chosen.split(name) if chosen else None for name in ("heldout", "test"))
    if chosen is None or found is None or found.score is None:
        return ""
    change = (
        ""
        if test is None or test.score is None
        else f", {signed(found.score - test.score)} against known ones"
    )
    return f"{run.measures.name} {_score(chosen, 'heldout')} on generators it never saw{change}."


def _steps(run: RunData, chosen: Entry) -> Iterator[str]:
    """What each step that led to the chosen model changed, the last one first."""
    item: Entry | None = chosen
    while item and (parent := run.entry(item.identity.parent)):
        if found := _comparison(run, item, parent):
            change = with_interval(found.difference, found.ci, sign=True)
            yield f"{_STEPS.get(found.step, found.step)} alone {change}, {flipped(found.flips)} verdicts flipped"
        item = parent


def _comparison(run: RunData, after: Entry, before: Entry) -> Comparison | None:
    found = run.accuracy.comparisons if run.accuracy else ()
    return next(
        (c for c in found if (c.a, c.b) == (after.key, before.key) and c.difference is not None), None
    )


def _score(item: Entry, split: str) -> str:
    found = item.split(split)
    return with_interval(found.score if found else None, found.score_ci if found else None)


def _difference(run: RunData, after: Entry, before: Entry) -> str:
    if compared := _comparison(run, after, before):
        return with_interval(compared.difference, compared.ci, sign=True)
    ours, theirs = after.score, before.score
    return signed(ours - theirs) if ours is not None and theirs is not None else "not known"
