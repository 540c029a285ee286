"""Where a contestant is run: here, or by another process that holds all of its runtime. Torch-free."""

from collections.abc import Sequence
from typing import Protocol, Self

from bench.contestant import Contestant
from bench.pace import Pace
from bench.visits import Visit, visit, warm_up
from bench.workers import Worker
from deploy.timing import Runner, Timer


class Seat(Protocol):
    """One contestant, ready to be made."""

    def prepare(self, *, window: int, limit_s: float) -> float:
        """Set it up and warm it up; see :func:`bench.visits.warm_up` for the arguments and what is returned."""

    def visit(self, *, calls: int, repeats: int) -> Visit:
        """A few timed calls; see :func:`bench.visits.visit`."""

    def free(self) -> None:
        """Let the model go."""


class OwnSeat:
    """In this process."""

    def __init__(self, contestant: Contestant, *, timer: Timer, pace: Pace) -> None:
        self._contestant, self._timer, self._pace = contestant, timer, pace
        self._run: Runner | None = None

    def prepare(self, *, window: int, limit_s: float) -> float:
        """See :class:`Seat`."""
        started = self._timer.clock()
        self._run = self._contestant.make()
        left_s = limit_s - (self._timer.clock() - started)
        return warm_up(self._run, window=window, timer=self._timer, limit_s=left_s)

    def visit(self, *, calls: int, repeats: int) -> Visit:
        """The same."""
        if self._run is None:
            raise RuntimeError("visited before it was prepared")
        return visit(self._run, calls=calls, repeats=repeats, timer=self._timer, pace=self._pace)

    def free(self) -> None:
        """The same."""
        self._run = None


class Seats:
    """Gives every contestant its seat. Use it as a context: it ends the processes that it began.

    Args:
        contestants: all of a bench.
        isolated: whether each runtime has a process of its own; None decides so where there are several. Contestants without
            a source, PyTorch's among them, stay in this process, which then runs no other runtime.
        timer: of this process.
    """

    def __init__(self, contestants: Sequence[Contestant], *, isolated: bool | None, timer: Timer) -> None:
        runtimes = {contestant.runtime for contestant in contestants if contestant.skip_reason is None}
        elsewhere = {contestant.runtime for contestant in contestants if contestant.source is not None}
        self.isolated = bool(elsewhere) and (len(runtimes) > 1 if isolated is None else isolated)
        self._workers: dict[str, Worker] = {}
        self._timer, self._pace = timer, Pace()

    def seat(self, contestant: Contestant) -> Seat:
        """For one contestant; its runtime's process is begun when it is first needed."""
        if not self.isolated or contestant.source is None:
            return OwnSeat(contestant, timer=self._timer, pace=self._pace)
        worker = self._workers.setdefault(contestant.runtime, Worker(contestant.runtime, pace=self._pace))
        return worker.seat(contestant.source)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        for worker in self._workers.values():
            worker.close()
