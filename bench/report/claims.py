"""The verdict's sentences on speed and accuracy. They claim no more than was measured: no speed-up inside the spread."""

from collections.abc import Iterator

from bench.records.latency import Row
from bench.report.data import RunData
from bench.report.entry import Entry
from bench.report.evidence import counted, groups_of, too_few_for_differences
from bench.report.speed import beats_reported, beats_resnet18, noisy
from distill.evaluation.statistics import MIN_GROUPS
from distill.page.formats import milliseconds, signed, size, times, with_interval


def speed_claim(run: RunData, chosen: Entry | None) -> str:
    """How fast the chosen model is here."""
    row = run.timing(chosen) if chosen else None
    if chosen is None or row is None or not row.measured:
        return "not measured, so no speed-up is claimed."
    large = run.timing(chosen, size=run.large)
    alike = large is not None and large.measured and row.input_size != run.large
    parts = [_pace(run, large if alike and large else row)]
    if alike:
        pixels = row.input_size
        parts.append(f"{milliseconds(row.p50_ms)} ms at {pixels}×{pixels}, the size it was trained at.")
    if noisy(run, row) or noisy(run, large):
        parts.append("The machine was noisy while timing: read this as an order, not as figures.")
    return " ".join([*parts, *_bytes(run, row)])


def _pace(run: RunData, row: Row) -> str:
    """One sentence: the median and the two ratios, each only if it lies outside the spread."""
    reported, here = "not shown to beat the reported 0.458 s", "ResNet18 was not timed here"
    if beats_reported(row):
        reported = f"{times(row.speedup_vs_reference)} the speed of the reported 0.458 s"
    if run.reference and beats_resnet18(row):
        there = run.reference.input_size
        other = "" if there == row.input_size else f" at {there}×{there}"
        here = f"{times(row.speedup_vs_resnet18_eager)} the speed of ResNet18 timed here{other}"
    elif run.reference:
        here = "no speed-up over ResNet18 timed here outside the spread"
    median, pixels = milliseconds(row.p50_ms), row.input_size
    return f"{median} ms per image at {pixels}×{pixels}: {here}, {reported} (other hardware)."


def _bytes(run: RunData, row: Row) -> Iterator[str]:
    teacher = run.timing(run.teacher) if run.teacher else None
    if teacher and teacher.bytes and row.bytes:
        yield f"File: {size(row.bytes)}, the teacher's {size(teacher.bytes)}."


def accuracy_claim(run: RunData, chosen: Entry | None) -> str:
    """How good the chosen model is, and what each step cost it."""
    teacher, name = run.teacher, run.measures.name
    if chosen is None:
        known = f"; the teacher has {name} {_score(teacher, 'test')}" if teacher else ""
        return f"no INT8 student was evaluated{known}."
    meaning = f" {run.measures.meaning(chosen.test)}" if chosen.test else ""
    text = f"{name} {_score(chosen, 'test')}{meaning}"
    if teacher:
        text += f"; the teacher {_score(teacher, 'test')}, so {_difference(run, chosen, teacher)} in all"
    parent = run.entry(chosen.identity.parent)
    if parent:
        text += f", of which INT8 {_difference(run, chosen, parent)}"
    if chosen.split("heldout"):
        text += f". On generators it never saw: {name} {_score(chosen, 'heldout')}"
    if too_few_for_differences(run):
        text += f". No verdict on these differences: {counted(groups_of(run) or 0)}, fewer than {MIN_GROUPS}"
    return text + "."


def _score(item: Entry, split: str) -> str:
    found = item.split(split)
    return with_interval(found.score if found else None, found.score_ci if found else None)


def _difference(run: RunData, after: Entry, before: Entry) -> str:
    for compared in run.accuracy.comparisons if run.accuracy else ():
        if (compared.a, compared.b) == (after.key, before.key) and compared.difference is not None:
            return with_interval(compared.difference, compared.ci, sign=True)
    ours, theirs = after.score, before.score
    return signed(ours - theirs) if ours is not None and theirs is not None else "not known"
