"""The calls of one contestant, round by round, and which of them count. Torch-free."""

from dataclasses import dataclass, field

import numpy as np

from bench.intervals import Floats
from bench.visits import Visit

FEWEST_UNSPOILED = 0.25  # of all calls
FEWEST_CLEAN, FEWEST_ROUNDS = 30, 5  # calls on an undisturbed core, and visits that they come from
CALM = 0.2  # of a visit's calls, that may be spoiled
FEWEST_CALM = 10  # visits


@dataclass
class Samples:
    """Visits by the number of their round.

    Calls on an undisturbed core count where there are thirty of them from five visits, otherwise slowed ones too. Spoiled calls
    are left out as long as a quarter of all is not spoiled. Where more are, two causes look alike: a neighbour that comes in
    spells, and a model that disturbs itself, of which the few calls that got through would flatter. A neighbour leaves calm
    visits, of which hardly a call is spoiled: where there are ten of those, they count alone. Otherwise all calls count, as long
    as they took.
    """

    visits: dict[int, Visit] = field(default_factory=dict)
    drops_spoiled: bool = True

    @property
    def rounds(self) -> int:
        """How many visits there were."""
        return len(self.visits)

    @property
    def clean(self) -> int:
        """Calls that nothing interrupted on a core that nothing slowed."""
        return sum(len(visit.clean) for visit in self.visits.values())

    @property
    def clean_rounds(self) -> int:
        """Visits with such calls."""
        return sum(bool(visit.clean) for visit in self.visits.values())

    @property
    def slowed(self) -> int:
        """Calls that nothing interrupted on a core that was slow."""
        return sum(len(visit.slowed) for visit in self.visits.values())

    @property
    def spoiled(self) -> int:
        """Calls that something else interrupted."""
        return sum(len(visit.spoiled) for visit in self.visits.values())

    @property
    def size(self) -> int:
        """All calls."""
        return self.clean + self.slowed + self.spoiled

    @property
    def seconds(self) -> float:
        """What all calls took."""
        return sum(map(sum, map(_all, self.visits.values()))) / 1e3

    @property
    def mostly_spoiled(self) -> bool:
        """Whether spoiled calls have to count."""
        return self._few_unspoiled and not self._calm_between

    @property
    def _few_unspoiled(self) -> bool:
        return self.clean + self.slowed < FEWEST_UNSPOILED * self.size

    @property
    def _calm_between(self) -> bool:
        """Whether whoever spoiled calls left some visits alone."""
        calm = [len(visit.clean) for visit in self.visits.values() if visit.clean and _is_calm(visit)]
        return len(calm) >= FEWEST_CALM and sum(calm) >= FEWEST_CLEAN

    @property
    def mostly_slowed(self) -> bool:
        """Whether slowed calls have to count."""
        return self.slowed > 0 and (self.clean < FEWEST_CLEAN or self.clean_rounds < FEWEST_ROUNDS)

    @property
    def disturbed(self) -> bool:
        """Whether what counts holds time that others took: beside a row that holds none, that makes no fair ratio."""
        return self.drops_spoiled and self.mostly_spoiled

    @property
    def shortest(self) -> float:
        """Milliseconds that some call really took, and none took less."""
        return min(time for visit in self.visits.values() for time in _all(visit))

    def by_round(self) -> dict[int, Floats]:
        """The milliseconds that count, ``[calls]`` by round; a round without any is left out."""
        found = {number: np.array(self._counting(visit)) for number, visit in sorted(self.visits.items())}
        return {number: times for number, times in found.items() if times.size}

    def _counting(self, visit: Visit) -> tuple[float, ...]:
        if not self.drops_spoiled:
            return _all(visit)
        if self._few_unspoiled:
            return (visit.clean if _is_calm(visit) else ()) if self._calm_between else _all(visit)
        return (*visit.clean, *visit.slowed) if self.mostly_slowed else visit.clean

    def pooled(self) -> Floats:
        """The same of all rounds, ``[calls]`` in the order of the rounds."""
        return np.concatenate([np.empty(0), *self.by_round().values()])


def _is_calm(visit: Visit) -> bool:
    return len(visit.spoiled) <= CALM * len(_all(visit))


def _all(visit: Visit) -> tuple[float, ...]:
    return (*visit.clean, *visit.slowed, *visit.spoiled)
