"""A contestant in the run: where it is run, what it took so far, and why it takes part no longer. Torch-free."""

from collections.abc import Callable
from dataclasses import dataclass, field

from bench.contestant import Contestant, one_line
from bench.records.latency import Status
from bench.samples import Samples
from bench.seats import Seat


@dataclass(eq=False)
class Entry:
    """One contestant's state. ``index`` is its place among all of the bench, ``typical_ms`` the time of a warm call."""

    index: int
    contestant: Contestant
    samples: Samples
    seat: Seat | None = None
    typical_ms: float = 0.0
    reason: str | None = None
    skipped: bool = field(default=False)

    @property
    def status(self) -> Status:
        """What its row says."""
        if self.skipped:
            return "skipped"
        return "ok" if self.reason is None else "failed"

    def attempt(self, job: Callable[[], object]) -> None:
        """Do a part of the work; a failure ends this contestant and no other."""
        try:
            job()
        except Exception as error:  # whatever a runtime raises becomes the row's reason
            self.leave(one_line(error))

    def leave(self, reason: str, *, skipped: bool = False) -> None:
        """Take part no longer."""
        self.reason, self.skipped = reason, skipped
        self.free()

    def free(self) -> None:
        """Let the model go; its numbers stay."""
        if self.seat is not None:
            self.seat.free()
            self.seat = None
