"""Runs beside each other: what each one's chosen student knows and takes, and what became worse than in the first."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.records.latency import Row
from bench.report.cells import EAGER, latency, marks, speedups
from bench.report.data import RunData, load_run
from bench.report.entry import Entry
from bench.report.files import UNREADABLE
from bench.report.gates import Gate
from bench.report.speed import beyond_spread, noisy
from bench.report.verdict import Verdict, judge
from distill.evaluation.statistics import Interval
from distill.page.blocks import Block, Column, Points, Section, Table, Text
from distill.page.formats import NONE, fixed, listing, milliseconds, signed, size, square, with_interval

_LEFT = ("Run", "Verdict", "Chosen student")
_NOTE = (
    "Change: against the first run; its interval takes the two test sets for independent, which is cautious where they are the "
    "same images. Unseen: on generators that nobody trained on. INT8 cost: paired, against the FP32 form."
)


@dataclass(frozen=True)
class Compared:
    """One run and its verdict, under the name that tells it from the others."""

    name: str
    run: RunData
    verdict: Verdict

    @property
    def chosen(self) -> Entry | None:
        """Its chosen student."""
        return self.verdict.chosen

    @property
    def row(self) -> Row | None:
        """The student's latency at the size where every network is timed, else at its own."""
        if self.chosen is None:
            return None
        return self.run.timing(self.chosen, size=self.run.large) or self.run.timing(self.chosen)

    @property
    def int8_cost(self) -> tuple[float | None, Interval | None]:
        """What INT8 changed of the score, and the interval."""
        known = self.run.accuracy.comparisons if self.run.accuracy and self.chosen else ()
        pair = (self.chosen.key, self.chosen.identity.parent) if self.chosen else ()
        found = next((c for c in known if (c.a, c.b) == pair), None)
        return (found.difference, found.ci) if found else (None, None)


def compare_runs(folders: Sequence[Path]) -> list[Compared]:
    """Read and judge several runs, in the order given.

    Raises:
        EdgeproofError: a folder does not exist.
    """
    runs = [load_run(folder) for folder in folders]
    return [
        Compared(name, run, judge(run)) for name, run in zip(_names(folders), runs, strict=True)
    ]  # fmt: skip


def _names(folders: Sequence[Path]) -> list[str]:
    """The folders' names; where two are alike with their parents', and where those are alike too with a number."""
    places = [folder.resolve() for folder in folders]
    short = [place.name for place in places]
    long = [
        f"{place.parent.name}/{place.name}" if short.count(place.name) > 1 else place.name for place in places
    ]
    return [f"{name} ({i + 1})" if long.count(name) > 1 else name for i, name in enumerate(long)]


def comparison_table(found: Sequence[Compared]) -> Table:
    """A row a run: the chosen student, its score, INT8's cost and latency; those that regressed are marked."""
    first = found[0]
    title = first.run.measures.title
    rows = tuple(_cells(one, first) for one in found)
    heads = (
        "Run", "Verdict", "Chosen student", f"{title} [95\u00a0% CI]", "Change [95\u00a0% CI]", f"{title}, unseen",
        "INT8 cost [95\u00a0% CI]", "Input", "p50 ms", EAGER, "File",
    )  # fmt: skip
    bad = frozenset(i for i, one in enumerate(found) if any(regressions(one, first)))
    columns = tuple(Column(head, right=head not in _LEFT) for head in heads)
    return Table("Runs beside each other", columns, rows, f"{_NOTE} {marks(rows)}", bad=bad)


def regressions(one: Compared, first: Compared) -> Iterator[str]:
    """What is worse than in the first run by more than the noise, a sentence each."""
    if one is first:
        return
    yield from (
        f"the gate {gate.name} failed, and passed in {first.name}" for gate in _newly_failed(one, first)
    )
    yield from _lower("test", one, first)
    yield from _lower("heldout", one, first)
    (cost, ci), (before, ci_before) = one.int8_cost, first.int8_cost
    change = _difference(cost, ci, before, ci_before)
    if change and change[1][1] < 0:
        yield f"INT8 costs more: {signed(cost)} instead of {signed(before)}"
    yield from _slower(one, first)


def not_judged(one: Compared, first: Compared) -> Iterator[str]:
    """Why something of a run is not held against the first one."""
    if why := _latency_not_judged(one, first):
        yield why
    if one.run.measures != first.run.measures:
        yield "it is told by another measure"
    yield from (f"{name} {why}" for name, why in one.run.problems.items() if why.startswith(UNREADABLE))


def _latency_not_judged(one: Compared, first: Compared) -> str:
    ours, theirs = (found.run.bench.machine.cpu_model if found.run.bench else "" for found in (one, first))
    if ours and theirs and ours != theirs:
        return f"latency was measured on another CPU ({ours}; {first.name}: {theirs})"
    return "latency is noisy" if any(noisy(found.run, found.row) for found in (one, first)) else ""


def sections(found: Sequence[Compared]) -> list[Section]:
    """The page: what regressed, the table, and what was not judged."""
    first, *others = found
    bad = [f"{one.name}: {text}." for one in others for text in regressions(one, first)]
    blocks: list[Block] = [Points(bad, bad=True)] if bad else [Text(_nothing(first))]
    blocks.append(comparison_table(found))
    if open_ := [f"{one.name}: {text}." for one in found for text in not_judged(one, first)]:
        blocks += [Text("Not held against the first run:"), Points(open_)]
    verdicts = [
        Section(one.name, [Points(one.verdict.lines)], folded=True, teaser=one.verdict.status)
        for one in found
    ]
    return [Section("", blocks), *verdicts]


def headline(found: Sequence[Compared]) -> str:
    """How many of the runs regressed."""
    first, *others = found
    bad = [one.name for one in others if any(regressions(one, first))]
    return f"Worse than {first.name} beyond the noise: {listing(bad)}" if bad else _nothing(first)


def _nothing(first: Compared) -> str:
    return f"No run is worse than {first.name} beyond the noise"


def _cells(one: Compared, first: Compared) -> tuple[str, ...]:
    test = one.chosen.test if one.chosen else None
    unseen = one.chosen.split("heldout") if one.chosen else None
    change = None if one is first else _change("test", one, first)
    cost, ci = one.int8_cost
    failed = ", ".join(gate.name for gate in one.verdict.gates if gate.passed is False)
    return (
        one.name,
        f"{one.verdict.status}: {failed}" if failed else one.verdict.status,
        one.chosen.short if one.chosen else NONE,
        with_interval(test.score if test else None, test.score_ci if test else None),
        with_interval(*change, sign=True) if change else NONE,
        fixed(unseen.score if unseen else None),
        with_interval(cost, ci, sign=True),
        square(one.row.input_size if one.row else None),
        latency(one.row, lambda row: row.p50_ms),
        speedups(one.row)[0],
        size(one.row.bytes if one.row else None),
    )


def _newly_failed(one: Compared, first: Compared) -> Iterator[Gate]:
    passed = {gate.name for gate in first.verdict.gates if gate.passed}
    yield from (gate for gate in one.verdict.gates if gate.passed is False and gate.name in passed)


def _change(split: str, one: Compared, first: Compared) -> tuple[float, Interval] | None:
    ours, theirs = (found.chosen.split(split) if found.chosen else None for found in (one, first))
    if ours is None or theirs is None or one.run.measures != first.run.measures:
        return None
    return _difference(ours.score, ours.score_ci, theirs.score, theirs.score_ci)


def _lower(split: str, one: Compared, first: Compared) -> Iterator[str]:
    change = _change(split, one, first)
    if change and change[1][1] < 0:
        where = "" if split == "test" else " on unseen generators"
        yield f"{one.run.measures.name}{where} {with_interval(*change, sign=True)}"


def _difference(
    a: float | None, a_ci: Interval | None, b: float | None, b_ci: Interval | None
) -> tuple[float, Interval] | None:
    """``a`` minus ``b`` and its interval, as if they were independent; None where either has no interval."""
    if a is None or b is None or a_ci is None or b_ci is None:
        return None
    return a - b, (a - b - math.hypot(a - a_ci[0], b_ci[1] - b), a - b + math.hypot(a_ci[1] - a, b - b_ci[0]))


def _slower(one: Compared, first: Compared) -> Iterator[str]:
    ours, theirs = one.row, first.row
    if (
        ours is None
        or theirs is None
        or not (ours.measured and theirs.measured)
        or any(not_judged(one, first))
    ):
        return
    alike = (ours.input_size, ours.threads, ours.batch) == (theirs.input_size, theirs.threads, theirs.batch)
    if alike and _clearly_slower(ours, theirs):
        yield f"slower: {milliseconds(ours.p50_ms)} ms instead of {milliseconds(theirs.p50_ms)} at {square(ours.input_size)}"


def _clearly_slower(ours: Row, theirs: Row) -> bool:
    """Whether the intervals of the two medians part; without them, whether one's slow calls beat the other's fastest."""
    if ours.p50_ci_ms and theirs.p50_ci_ms:
        return ours.p50_ci_ms[0] > theirs.p50_ci_ms[1]
    return beyond_spread(theirs, ours)
