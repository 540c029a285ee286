"""The calls of one contestant, round by round, and which of them count. Torch-free."""

from dataclasses import dataclass, field

import numpy as np

from bench.intervals import Floats
from bench.visits import Visit

FEWEST_CLEAN = 0.25  # of all calls


@dataclass
class Samples:
    """Visits by the number of their round.

    Spoiled calls are left out as long as a quarter of all is clean. Where fewer are, the few that got through would flatter:
    long calls then count without what they waited for a CPU, and short ones, of which that is not known, as they are.
    """

    visits: dict[int, Visit] = field(default_factory=dict)
    drops_spoiled: bool = True

    @property
    def rounds(self) -> int:
        """How many visits there were."""
        return len(self.visits)

    @property
    def clean(self) -> int:
        """Calls that nothing interrupted."""
        return sum(len(visit.clean) for visit in self.visits.values())

    @property
    def spoiled(self) -> int:
        """Calls that something else interrupted, left out or not."""
        return sum(len(visit.spoiled) for visit in self.visits.values())

    @property
    def size(self) -> int:
        """All calls."""
        return self.clean + self.spoiled

    @property
    def seconds(self) -> float:
        """What all calls took."""
        return sum(sum(visit.clean) + sum(visit.spoiled) for visit in self.visits.values()) / 1e3

    @property
    def mostly_spoiled(self) -> bool:
        """Whether spoiled calls have to count."""
        return self.clean < FEWEST_CLEAN * self.size

    @property
    def corrected(self) -> bool:
        """Whether what counts is, in part, time without what was waited for a CPU."""
        known = sum(len(visit.corrected) for visit in self.visits.values()) == self.spoiled
        return self.drops_spoiled and self.mostly_spoiled and known

    @property
    def disturbed(self) -> bool:
        """Whether what counts holds time that others took: beside a row that holds none, that makes no fair ratio."""
        return self.drops_spoiled and self.mostly_spoiled and not self.corrected

    @property
    def shortest(self) -> float:
        """Milliseconds that some call really took, and none took less."""
        return min(time for visit in self.visits.values() for time in (*visit.clean, *visit.spoiled))

    def by_round(self) -> dict[int, Floats]:
        """The milliseconds that count, ``[calls]`` by round; a round without any is left out."""
        found = {number: np.array(self._counting(visit)) for number, visit in sorted(self.visits.items())}
        return {number: times for number, times in found.items() if times.size}

    def _counting(self, visit: Visit) -> tuple[float, ...]:
        if self.corrected:
            return (*visit.clean, *visit.corrected)
        if self.mostly_spoiled or not self.drops_spoiled:
            return (*visit.clean, *visit.spoiled)
        return visit.clean

    def pooled(self) -> Floats:
        """The same of all rounds, ``[calls]`` in the order of the rounds."""
        return np.concatenate([np.empty(0), *self.by_round().values()])
