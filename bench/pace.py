"""How fast the core itself is at the moment, told by a fixed piece of work that has nothing to do with any model. Torch-free.

On a virtual machine the other thread of a physical core may be somebody else's: while it computes, everything here takes up to
half as long again, no thread is interrupted, and nobody tells. A loop of Python's own takes as much longer, and so does tell.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

SLOW = 1.2  # times the best pace
_STEPS = 1200  # some 25 microseconds
_TURNS = 3  # the first bring the loop back into the caches


class Clock(Protocol):
    """What has a clock."""

    @property
    def clock(self) -> Callable[[], float]:
        """Seconds."""


@dataclass
class Pace:
    """The best pace that a core of this machine was seen to have, in seconds of the loop; infinite before the first."""

    best_s: float = float("inf")

    def is_slow(self, timer: Clock) -> bool:
        """Whether the core is slower now than it was seen to be, by a fifth or more."""
        *_, took_s = (_timed(timer) for _ in range(_TURNS))
        if took_s > 0:
            self.best_s = min(self.best_s, took_s)
        return took_s > SLOW * self.best_s


def _timed(timer: Clock) -> float:
    start = timer.clock()
    work()
    return timer.clock() - start


def work() -> int:
    """The loop."""
    total = 0
    for step in range(_STEPS):
        total += step
    return total
