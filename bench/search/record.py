"""What a search found: ``search.json``. Torch-free."""

from typing import Any, Literal

from pydantic import Field

from bench.records.machine import Machine
from distill.record import Frozen, Record

SEARCH = "search.json"
State = Literal["drawn", "too slow", "failed", "under the budget", "dropped", "finalist", "chosen"]


class Rung(Frozen):
    """One training: so many epochs, and the best score on validation images (AUC, or accuracy of K classes)."""

    epochs: int = Field(ge=1)
    score: float


class Found(Frozen):
    """One student that was looked at.

    Times are milliseconds of its INT8 form, untrained, one image; ``slower`` tells how far its median lies above its minimum.
    ``rungs`` are its trainings, each from the start. ``reason`` is why it failed.
    """

    name: str
    architecture: str
    options: dict[str, Any]
    state: State = "drawn"
    macs: int | None = None
    params: int | None = None
    min_ms: float | None = None
    p50_ms: float | None = None
    noisy: bool = False
    rungs: tuple[Rung, ...] = ()
    reason: str | None = None

    @property
    def score(self) -> float | None:
        """Of its longest training."""
        return self.rungs[-1].score if self.rungs else None

    @property
    def epochs(self) -> int:
        """Of its longest training."""
        return self.rungs[-1].epochs if self.rungs else 0


class SearchRecord(Record):
    """The whole search; ``front`` names the students that none of an equally long training beats in score and latency."""

    recipe: str
    simulated: bool
    machine: Machine
    budget_ms: float
    input_size: int
    threads: int
    quantizer: str
    measure: str
    plan: tuple[tuple[int, int], ...]
    found: tuple[Found, ...]
    front: tuple[str, ...] = ()
    chosen: str | None = None
    complete: bool = False

    def named(self, name: str) -> Found:
        """One of ``found``; raises :class:`KeyError`."""
        return next((found for found in self.found if found.name == name), None) or _missing(name)


def _missing(name: str) -> Found:
    raise KeyError(name)
