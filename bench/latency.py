"""Interleaved latency: every contestant runs a few calls in every round, in an order that changes by round.

A machine that slows down (a neighbour, heat, a governor) then slows all contestants alike, and ratios are
taken within a round; see ``deploy.timing`` for what a visit is. Torch-free.
"""

import gc
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np

from bench.records.identity import Runtime
from bench.records.latency import REFERENCE_S, BenchRecord, Row, Scope, Status
from bench.records.machine import Machine
from deploy.timing import MIN_ROUNDS, Runner, Timer, collector_off, visit
from distill.errors import EdgeproofError
from distill.forms import Precision

__all__ = ["Contestant", "Measurement", "Progress", "Runner", "Timer", "measure", "one_line"]

MAX_STEAL_SHARE = 0.02
MAX_SPREAD = 0.5
MAX_DRIFT = 0.1


class Progress(Protocol):
    """Told what is being measured, and how many of all steps are done."""

    def __call__(self, what: str, done: int, total: int, /) -> None:
        """Report one step."""


@dataclass(frozen=True, kw_only=True)
class Contestant:
    """One row to be: its identity, and ``make``, which sets it up and returns what one call is.

    ``reference`` marks the row that the others' ``speedup_vs_resnet18_eager`` is measured against. A
    contestant with ``skip_reason`` is never made: its row says why.
    """

    model: str
    runtime: Runtime
    precision: Precision
    input_size: int
    threads: int
    make: Callable[[], Runner]
    quantizer: str | None = None
    batch: int = 1
    scope: Scope = "model"
    bytes: int | None = None
    params: int | None = None
    macs: int | None = None
    metrics: dict[str, float] | None = None
    reference: bool = False
    skip_reason: str | None = None

    @property
    def title(self) -> str:
        """What a progress bar calls it."""
        return f"{self.model} {self.runtime} {self.precision} {self.input_size} {self.scope}"


class Measurement(NamedTuple):
    """Rows in the order the contestants were given in, and what the run was like."""

    rows: list[Row]
    steal_share: float | None
    rounds: int
    seconds: float

    def record(self) -> BenchRecord:
        """The bench record of this measurement on this machine."""
        return BenchRecord(
            machine=Machine.here(steal_share=self.steal_share),
            noisy=(self.steal_share or 0.0) > MAX_STEAL_SHARE,
            rounds=self.rounds,
            seconds=self.seconds,
            rows=tuple(self.rows),
        )


@dataclass
class _Entry:
    """A contestant's state during the run; ``times`` holds milliseconds, one list a round."""

    contestant: Contestant
    run: Runner | None = None
    reason: str | None = None
    times: dict[int, list[float]] = field(default_factory=dict)

    @property
    def status(self) -> Status:
        if self.contestant.skip_reason is not None:
            return "skipped"
        return "ok" if self.reason is None else "failed"

    def attempt(self, job: Callable[[], object]) -> None:
        """Do a part of the work; a failure ends this contestant and no other."""
        try:
            job()
        except Exception as error:  # whatever a runtime raises becomes the row's reason
            self.run, self.reason = None, one_line(error)


def measure(
    contestants: Sequence[Contestant],
    *,
    rounds: int = 20,
    iterations: int = 5,
    warmup: int = 3,
    budget_s: float | None = None,
    progress: Progress | None = None,
    timer: Timer = Timer(),  # noqa: B008 - frozen
) -> Measurement:
    """Time all contestants together.

    Args:
        contestants: at most one of them the reference.
        rounds: how often each is visited.
        iterations: timed calls a visit.
        warmup: untimed calls after it is made.
        budget_s: stop after the round in which so many seconds have passed (set-up included), but never
            before three rounds.
        progress: told of every step.
        timer: clock, sleep and CPU times; for tests.

    Raises:
        EdgeproofError: a count below one, or more than one reference.

    """
    for name, value in (("rounds", rounds), ("iterations", iterations), ("warmup", warmup)):
        if value < 1:
            raise EdgeproofError(f"bench {name} is {value}, expected at least 1")
    if sum(contestant.reference for contestant in contestants) > 1:
        raise EdgeproofError("more than one reference contestant, expected at most one")
    entries = [_Entry(contestant, reason=contestant.skip_reason) for contestant in contestants]
    tell = progress or (lambda what, done, total, /: None)
    started = timer.clock()
    _set_up(entries, warmup=warmup, tell=tell, total=len(entries) * (rounds + 1))
    before, done = timer.cpu_times(), 0
    with collector_off():
        for done in range(1, rounds + 1):
            _round(entries, done, iterations=iterations, rounds=rounds, tell=tell, timer=timer)
            spent = timer.clock() - started
            if budget_s is not None and spent >= budget_s and done >= MIN_ROUNDS:
                break
    after = timer.cpu_times()
    share = after.steal_share_since(before) if before and after else None
    reference = next((entry for entry in entries if entry.contestant.reference), None)
    rows = [_row(entry, reference=reference, steal_share=share) for entry in entries]
    for entry in entries:
        entry.run = None  # the models go; their numbers stay
    gc.collect()
    return Measurement(rows, share, done, timer.clock() - started)


def one_line(error: Exception) -> str:
    """The reason a row gives: an EdgeproofError's own line, otherwise the type and its first line."""
    lines = str(error).strip().splitlines()
    text = lines[0] if lines else ""
    if not isinstance(error, EdgeproofError):
        text = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return text if len(text) <= 300 else f"{text[:297]}..."


def _set_up(entries: list[_Entry], *, warmup: int, tell: Progress, total: int) -> None:
    for index, entry in enumerate(entries):
        tell(f"prepare {entry.contestant.title}", index, total)

        def job(entry: _Entry = entry) -> None:
            entry.run = entry.contestant.make()
            for _ in range(warmup):
                entry.run()

        if entry.reason is None:
            entry.attempt(job)


def _round(
    entries: list[_Entry], number: int, *, iterations: int, rounds: int, tell: Progress, timer: Timer
) -> None:
    """One visit to every contestant still alive, in this round's own order."""
    order = list(entries)
    random.Random(number).shuffle(order)
    for position, entry in enumerate(order):
        tell(f"round {number}/{rounds}", len(entries) * number + position, len(entries) * (rounds + 1))
        run = entry.run
        if run is None:
            continue

        def job(entry: _Entry = entry, run: Runner = run) -> None:
            entry.times[number] = visit(run, iterations=iterations, timer=timer)

        entry.attempt(job)
    tell(f"round {number}/{rounds}", len(entries) * (number + 1), len(entries) * (rounds + 1))


def _row(entry: _Entry, *, reference: _Entry | None, steal_share: float | None) -> Row:
    contestant = entry.contestant
    identity = {
        name: getattr(contestant, name)
        for name in Row.model_fields
        if name in Contestant.__dataclass_fields__
    }
    if entry.status != "ok":
        return Row(**identity, status=entry.status, reason=entry.reason)
    pooled = np.concatenate([np.asarray(times) for times in entry.times.values()])
    p10, p50, p90, p99 = (float(value) for value in np.percentile(pooled, [10, 50, 90, 99]))
    spread = (p90 - p10) / p50 if p50 else 0.0
    noisy = (steal_share or 0.0) > MAX_STEAL_SHARE or spread > MAX_SPREAD or _drift(pooled) > MAX_DRIFT
    return Row(
        **identity,
        samples=pooled.size,
        min_ms=float(pooled.min()),
        p50_ms=p50,
        p90_ms=p90,
        p99_ms=p99,
        spread=spread,
        noisy=noisy,
        speedup_vs_reference=REFERENCE_S * 1e3 / p50 if p50 else None,
        **_speedup(entry, reference),
    )


def _drift(pooled: Any) -> float:
    """How far the medians of the first and the second half are apart, relative to the first."""
    half = pooled.size // 2
    if not half:
        return 0.0
    first, second = float(np.median(pooled[:half])), float(np.median(pooled[half:]))
    return abs(second - first) / first if first else 0.0


def _speedup(entry: _Entry, reference: _Entry | None) -> dict[str, Any]:
    """The ratios of medians, round by round, so that a slow spell hits both sides of each ratio."""
    if reference is None or reference.status != "ok":
        return {}
    ratios = [
        float(np.median(reference.times[number]) / np.median(times))
        for number, times in entry.times.items()
        if np.median(times) > 0
    ]
    if not ratios:
        return {}
    low, median, high = (float(value) for value in np.percentile(ratios, [10, 50, 90]))
    return {
        "speedup_vs_resnet18_eager": median,
        "speedup_ci": (low, high),
        "speedup_claimed": len(ratios) >= MIN_ROUNDS and low > 1.0,
    }
