"""What the report opens with: three numbers, the picture beside the verdict's sentences, the one table, gates and cautions."""

from collections.abc import Iterator

from bench.records.latency import Row
from bench.report.cells import why_unclaimed
from bench.report.data import RunData
from bench.report.entry import Entry
from bench.report.figures_tradeoff import tradeoff
from bench.report.front import front_table
from bench.report.gallery import gallery
from bench.report.speed import beats_resnet18
from bench.report.verdict import Verdict
from distill.page.blocks import (
    Beside,
    Block,
    Check,
    Checks,
    Gallery,
    Number,
    Numbers,
    Points,
    Section,
    Table,
    Terms,
)
from distill.page.formats import fixed, milliseconds, size, square, times, times_with_interval


def opening(run: RunData, verdict: Verdict) -> Section:
    """The part without a heading that stands before all others."""
    told = Terms(verdict.points)
    pictures = gallery(lambda: tradeoff(run, verdict.chosen))
    drawn = [block for block in pictures if isinstance(block, Gallery)]
    blocks: list[Block] = [Points(verdict.few, bad=True)] if verdict.few else []
    blocks += [Beside((*drawn, told))] if drawn else [told]
    if table := one_table(run, verdict):
        blocks.append(table)
    blocks.append(checks(verdict))
    if verdict.cautions:
        blocks.append(Points(verdict.cautions))
    return Section("", blocks)


def one_table(run: RunData, verdict: Verdict) -> Table | None:
    """The one table; None where nothing was judged or timed."""
    table = front_table(run, verdict.chosen)
    return table if table.rows else None


def checks(verdict: Verdict) -> Checks:
    """The gates side by side."""
    return Checks([Check(gate.name, gate.passed, gate.detail) for gate in verdict.gates])


def numbers(run: RunData, chosen: Entry | None) -> Numbers | None:
    """How fast, how good, and how good on what it never saw (else how small); None where nothing was chosen."""
    found = [*_speed(run, chosen), *_score(run, chosen), *_unseen(run, chosen), *_size(run, chosen)][:3]
    return Numbers(found) if found else None


def _speed(run: RunData, chosen: Entry | None) -> Iterator[Number]:
    row = (run.timing(chosen, size=run.large) or run.timing(chosen)) if chosen else None
    if row is None or not row.measured:
        return
    title = f"an image at {square(row.input_size)}, {row.threads} thread{'s' * (row.threads != 1)}"
    yield Number(
        f"{milliseconds(row.p50_ms)} ms", title, f"{'Noisy machine. ' * row.noisy}{_faster(run, row)}"
    )


def _faster(run: RunData, row: Row) -> str:
    reference = run.reference_of(row)
    if reference is None:
        return "ResNet18 was not timed at that size."
    ours = f"eager ResNet18 at that size ({milliseconds(reference.p50_ms)} ms)"
    if beats_resnet18(row):
        return f"{times_with_interval(row.speedup_vs_resnet18_eager, row.speedup_ci)} the speed of {ours}."
    shown = times(row.speedup_vs_resnet18_eager)
    why = "outside of its own interval" if row.speedup_disagrees else why_unclaimed(row)
    return f"No speed-up over {ours} is claimed: {shown}, {why}."


def _score(run: RunData, chosen: Entry | None) -> Iterator[Number]:
    if chosen is None or chosen.test is None or chosen.score is None:
        return
    ci, teacher = chosen.test.score_ci, run.teacher
    between = f"95 % interval {fixed(ci[0])} to {fixed(ci[1])}. " if ci else ""
    beside = f"The teacher has {fixed(teacher.score)}." if teacher and teacher.score is not None else ""
    guess = f"{run.measures.title} on test; {fixed(chosen.test.guess, 2)} is guessing"
    yield Number(fixed(chosen.score), guess, between + beside)


def _unseen(run: RunData, chosen: Entry | None) -> Iterator[Number]:
    found = chosen.split("heldout") if chosen else None
    if found is None or found.score is None:
        return
    ci = found.score_ci
    between = f"95 % interval {fixed(ci[0])} to {fixed(ci[1])}." if ci else ""
    yield Number(fixed(found.score), f"{run.measures.title} on generators it never saw", between)


def _size(run: RunData, chosen: Entry | None) -> Iterator[Number]:
    row = run.timing(chosen) if chosen else None
    teacher = run.timing(run.teacher) if run.teacher else None
    if row and row.bytes:
        beside = f"The teacher: {size(teacher.bytes)}." if teacher and teacher.bytes else ""
        yield Number(size(row.bytes), "on disk", beside)
