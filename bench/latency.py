"""Interleaved latency: every contestant runs a few calls in every round, in an order that changes by round. Torch-free.

:func:`measure` puts the parts together: ``bench.rounds`` goes round, ``bench.seats`` says which process runs whom,
``bench.visits`` times calls and tells spoiled ones apart, ``bench.rules`` says when it is enough, ``bench.rows`` what is shown.
"""

from collections.abc import Sequence
from typing import NamedTuple

from bench.contestant import Contestant, Progress, one_line
from bench.journal import Journal
from bench.noise import is_stolen
from bench.records.identity import Runtime
from bench.records.latency import BenchRecord, Row, Rules
from bench.records.machine import Machine
from bench.rounds import Group, Tell
from bench.rows import rows_of
from bench.rules import MLPerfRule, Rule
from bench.seats import Seats
from deploy.timing import Runner, Timer, collector_off
from distill.errors import EdgeproofError, unknown_name

__all__ = ["Contestant", "Measurement", "Progress", "Runner", "Timer", "measure", "one_line"]

WAITING: dict[Runtime, str] = {
    "torch": "OpenMP's default; a pause before every visit lets it end",
    "onnxruntime": "actively within a call, asleep after it (session.force_spinning_stop)",
    "openvino": "actively within a call, asleep after it (its own default)",
}
"""How each runtime's threads wait for work."""

_PARTS = 100  # of a contestant, for progress


class Measurement(NamedTuple):
    """Rows in the order the contestants were given in, and what the run was like."""

    rows: list[Row]
    steal_share: float | None
    rounds: int
    seconds: float
    rules: Rules
    isolated: bool

    def record(self, *, absent: dict[str, str] | None = None) -> BenchRecord:
        """The bench record of this measurement on this machine; ``absent`` says why a measure is missing everywhere."""
        return BenchRecord(
            machine=Machine.here(steal_share=self.steal_share),
            noisy=is_stolen(self.steal_share),
            rules=self.rules,
            isolated=self.isolated,
            rounds=self.rounds,
            seconds=self.seconds,
            waiting={row.runtime: WAITING[row.runtime] for row in self.rows if row.measured},
            absent=absent or {},
            rows=tuple(self.rows),
        )


def measure(
    contestants: Sequence[Contestant],
    *,
    rounds: int = 40,
    iterations: int = 5,
    warmup: int = 5,
    budget_s: float | None = None,
    spent_s: float = 0.0,
    rules: Rules = "edgeproof",
    isolated: bool | None = None,
    journal: Journal | None = None,
    progress: Progress | None = None,
    timer: Timer = Timer(),  # noqa: B008 - frozen
) -> Measurement:
    """Time contestants together: those of the same input size, threads and batch in the same rounds.

    Args:
        contestants: at most one reference for each input size, threads, batch and scope.
        rounds: how often each is visited at most; fewer where 200 calls are in, or their median is known within 2 %.
        iterations: timed calls a visit, fewer of a slow one where time is short.
        warmup: calls of a window of the warm-up, which goes on until two windows' medians agree.
        budget_s: seconds for everything, set-up included. Who cannot be set up in half of it, or visited, is skipped.
        spent_s: how many of them are gone already.
        rules: ``edgeproof``, or ``mlperf``: its single-stream rule, for which ``rounds``, ``iterations`` and ``budget_s`` do
            not hold.
        isolated: whether each runtime has a process of its own; None decides so where there are several.
        journal: takes down every round, and gives what an earlier process measured.
        progress: told of every step.
        timer: clock, sleep, CPU times and context switches, of what runs in this process; for tests.

    Raises:
        EdgeproofError: a count below one, unknown rules, or more than one reference where one is expected.

    """
    rule = _rule(rules, rounds=rounds, iterations=iterations)
    if warmup < 1:
        raise EdgeproofError(f"bench warmup is {warmup}, expected at least 1")
    _check_references(contestants)
    journal = journal or Journal(None, plan="")
    groups = [
        Group(members, number=number, rule=rule, window=warmup, journal=journal, timer=timer)
        for number, members in enumerate(_settings(contestants))
    ]
    tell = _Tell(groups, total=len(contestants), progress=progress)
    left_s = (budget_s if budget_s is not None and rules == "edgeproof" else float("inf")) - spent_s
    left_s -= sum(group.seconds for group in groups)
    with Seats(contestants, isolated=isolated, timer=timer) as seats, collector_off():
        _run(groups, seats, left_s=left_s, tell=tell, timer=timer)
        alone = seats.isolated
    tell("done")
    busy, told = sum(group.busy for group in groups), timer.cpu_times() is not None
    share = max(0.0, sum(group.stolen for group in groups)) / busy if told and busy > 0 else None
    entries = sorted((entry for group in groups for entry in group.entries), key=lambda entry: entry.index)
    return Measurement(
        rows_of(entries, steal_share=share),
        share,
        max((group.rounds for group in groups), default=0),
        sum(group.seconds for group in groups),
        rule.name,
        alone,
    )


def _run(groups: Sequence[Group], seats: Seats, *, left_s: float, tell: Tell, timer: Timer) -> None:
    """One group after the other, each with the time that its share of the contestants still to be timed gives it."""
    deadline = timer.clock() + left_s
    for position, group in enumerate(groups):
        to_come = sum(len(later.entries) for later in groups[position:] if not later.finished)
        if to_come and not group.finished:
            budget_s = max(0.0, deadline - timer.clock()) * len(group.entries) / to_come
            group.run(seats, budget_s=budget_s, tell=tell)


class _Tell:
    def __init__(self, groups: Sequence[Group], *, total: int, progress: Progress | None) -> None:
        self._groups, self._total, self._progress = groups, total, progress
        self._done = 0

    def __call__(self, what: str) -> None:
        if self._progress is not None:
            found = round(_PARTS * sum(group.progress for group in self._groups))
            self._done = max(self._done, found)  # a noisy round may widen an interval again
            self._progress(what, self._done, _PARTS * self._total)


def _rule(name: Rules, *, rounds: int, iterations: int) -> Rule:
    for what, value in (("rounds", rounds), ("iterations", iterations)):
        if value < 1:
            raise EdgeproofError(f"bench {what} is {value}, expected at least 1")
    kinds = {"edgeproof": Rule, "mlperf": MLPerfRule}
    if name not in kinds:
        raise unknown_name(kind="rules", given=name, choices=kinds)
    return kinds[name](rounds=rounds, iterations=iterations)


def _check_references(contestants: Sequence[Contestant]) -> None:
    leagues = [contestant.league for contestant in contestants if contestant.reference]
    for league in leagues:
        if leagues.count(league) > 1:
            size, threads, batch, scope = league
            raise EdgeproofError(
                f"more than one reference contestant at {size} pixels, {threads} threads, batch {batch}, scope {scope}"
            )


def _settings(contestants: Sequence[Contestant]) -> list[list[tuple[int, Contestant]]]:
    """Those of the same input size, threads and batch, each with its place among all."""
    found: dict[tuple[int, int, int], list[tuple[int, Contestant]]] = {}
    for place in enumerate(contestants):
        found.setdefault(place[1].setting, []).append(place)
    return list(found.values())
