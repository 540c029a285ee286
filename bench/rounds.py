"""The rounds of one group: contestants of the same input size, threads and batch, visited in an order that changes. Torch-free.

A machine that slows down (a neighbour, heat, a governor) then slows all of them alike, and ratios are taken within rounds.
"""

import random
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from bench.contestant import Contestant
from bench.entry import Entry
from bench.journal import Calls, Journal, Left, Round
from bench.rules import Rule
from bench.samples import Samples
from bench.seats import Seats
from deploy.timing import PAUSE_S, Timer

_SET_UP_SHARE = (
    0.5  # of the budget: whoever is not ready by then is left out, so that the others are timed at all
)

Tell = Callable[[str], None]


class Group:
    """One group's run.

    Args:
        contestants: each with its place among all of the bench.
        number: the group's own.
        rule: when one was timed enough.
        window: calls of a window of the warm-up.
        journal: what an earlier process measured of this group is taken from it, and each round written to it.
        timer: clock, sleep, CPU times and context switches.

    Attributes:
        entries: the contestants, in their order.
        seconds: what it took so far, earlier processes included.
        busy: CPU seconds wanted meanwhile, by everybody; 0 where the OS does not tell what was stolen.
        stolen: those of them that the hypervisor gave to somebody else.
        rounds: how many there were.
        finished: whether there is nothing left to do.
    """

    def __init__(
        self,
        contestants: Sequence[tuple[int, Contestant]],
        *,
        number: int,
        rule: Rule,
        window: int,
        journal: Journal,
        timer: Timer,
    ) -> None:
        self.seconds = self.busy = self.stolen = 0.0
        self.rounds, self.finished = 0, False
        self._number, self._rule, self._window = number, rule, window
        self._journal, self._timer = journal, timer
        self.entries = [
            Entry(index, contestant, Samples(drops_spoiled=rule.drops_spoiled))
            for index, contestant in contestants
        ]
        for entry in self.entries:
            if entry.contestant.skip_reason is not None:
                entry.leave(entry.contestant.skip_reason, skipped=True)
        for found in journal.rounds:
            if found.group == number:
                self._take(found)

    @property
    def progress(self) -> float:
        """How many of its contestants are done, in parts."""
        if self.finished:
            return float(len(self.entries))
        return sum(
            1.0 if entry.reason is not None else self._rule.share(entry.samples) for entry in self.entries
        )

    def run(self, seats: Seats, *, budget_s: float, tell: Tell) -> None:
        """Set everything up and go round until every contestant was timed enough, or ``budget_s`` seconds are over."""
        if self.finished:
            return
        clock = self._timer.clock
        deadline = clock() + budget_s
        try:
            ready_by = deadline - (1 - _SET_UP_SHARE) * budget_s if np.isfinite(budget_s) else deadline
            self._recorded(0, lambda: self._set_up(seats, ready_by=ready_by, tell=tell))
            while self._anyone_in(deadline - clock()):
                self.rounds += 1
                self._recorded(self.rounds, lambda: self._round(deadline=deadline, tell=tell))
        finally:
            for entry in self.entries:
                entry.free()
        self._recorded(self.rounds + 1, self._close, last=True)

    def _set_up(self, seats: Seats, *, ready_by: float, tell: Tell) -> None:
        waiting = [entry for entry in self.entries if self._needs_a_seat(entry)]
        for position, entry in enumerate(waiting):
            tell(f"prepare {entry.contestant.title}")
            left_s = ready_by - self._timer.clock()
            if left_s <= 0:
                entry.leave("the time limit left no time to set it up", skipped=True)
                continue
            limit_s = left_s / (len(waiting) - position)
            entry.attempt(partial(self._prepare, entry, seats, limit_s=limit_s))

    def _prepare(self, entry: Entry, seats: Seats, *, limit_s: float) -> None:
        entry.seat = seats.seat(entry.contestant)
        entry.typical_ms = entry.seat.prepare(window=self._window, limit_s=limit_s)

    def _round(self, *, deadline: float, tell: Tell) -> None:
        """One visit to everybody that needs more, in this round's own order."""
        order = self._taking_part()
        random.Random(self.rounds).shuffle(order)
        for entry in order:
            tell(f"round {self.rounds}")
            left_s = deadline - self._timer.clock()
            calls = self._rule.calls(
                entry.typical_ms, left_s=left_s, rivals=len(order), round_number=self.rounds
            )
            if _cost_s(entry, calls) <= left_s:
                entry.attempt(partial(self._visit, entry, calls=calls))

    def _visit(self, entry: Entry, *, calls: int) -> None:
        if entry.seat is None:
            return
        found = entry.seat.visit(calls=calls, repeats=self._rule.repeats(calls))
        entry.samples.visits[self.rounds] = found
        entry.typical_ms = float(np.median(found.clean or found.slowed or found.spoiled))

    def _taking_part(self) -> list[Entry]:
        """Those to be timed further, and the reference of each for as long as one of its league is."""
        alive = [entry for entry in self.entries if entry.seat is not None]
        waiting = [entry for entry in alive if not self._rule.done(entry.samples)]
        leagues = {entry.contestant.league for entry in waiting}
        return [
            entry
            for entry in alive
            if entry in waiting or (entry.contestant.reference and entry.contestant.league in leagues)
        ]

    def _anyone_in(self, left_s: float) -> bool:
        """Whether the time left is enough for anybody's shortest visit."""
        return any(_cost_s(entry, 1) <= left_s for entry in self._taking_part())

    def _needs_a_seat(self, entry: Entry) -> bool:
        alone = entry.contestant.reference and self.progress < len(self.entries)
        return entry.reason is None and (alone or not self._rule.done(entry.samples))

    def _close(self) -> None:
        self.finished = True
        for entry in self.entries:
            if entry.reason is None and not entry.samples.size:
                entry.leave("the time limit left no time for it", skipped=True)

    def _recorded(self, number: int, job: Callable[[], None], *, last: bool = False) -> None:
        """Do a part of the work and write down what it gave."""
        before, started = self._timer.cpu_times(), self._timer.clock()
        there = {entry.index for entry in self.entries if entry.reason is None}
        job()
        after, seconds = self._timer.cpu_times(), self._timer.clock() - started
        found = Round(
            group=self._number,
            number=number,
            visits={
                entry.index: Calls(**{part: _rounded(times) for part, times in vars(visit).items()})
                for entry in self.entries
                if (visit := entry.samples.visits.get(number))
            },
            left={
                entry.index: Left(reason=entry.reason or "", skipped=entry.skipped)
                for entry in self.entries
                if entry.index in there and entry.reason is not None
            },
            seconds=seconds,
            busy=after.busy - before.busy if before and after and number else 0.0,
            stolen=after.steal - before.steal if before and after and number else 0.0,
            last=last,
        )
        self._count(found)
        self._journal.write(found)

    def _take(self, found: Round) -> None:
        """What an earlier process measured."""
        entries = {entry.index: entry for entry in self.entries}
        for index in found.visits:
            entries[index].samples.visits[found.number] = found.visit(index)
        for index, left in found.left.items():
            entries[index].leave(left.reason, skipped=left.skipped)
        self.rounds = max(self.rounds, found.number)
        self.finished = found.last
        self._count(found)

    def _count(self, found: Round) -> None:
        self.seconds += found.seconds
        self.busy += found.busy
        self.stolen += found.stolen


def _cost_s(entry: Entry, calls: int) -> float:
    """Of a visit with so many timed calls."""
    return PAUSE_S + (calls + 1) * entry.typical_ms / 1e3


def _rounded(times: Sequence[float]) -> tuple[float, ...]:
    """To ten nanoseconds, which is finer than the clock is true: half the journal's size."""
    return tuple(round(time, 5) for time in times)
