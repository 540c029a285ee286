"""Which of several callables is the fastest here: interleaved rounds, so that a slow spell hits all alike. Torch-free.

``bench.latency`` times what a report shows, with the same visits; this is the short form, for choices made while something
is built: :func:`race`.
"""

import gc
import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from deploy.disturbance import involuntary_switches, waited_s
from distill import machine
from distill.errors import EdgeproofError

Runner = Callable[[], object]

MIN_ROUNDS = 3  # what a time budget never cuts: fewer rounds show no spread
PAUSE_S = 0.005


@dataclass(frozen=True)
class Timer:
    """Where time, and what disturbs it, comes from, so that tests need none of it."""

    clock: Callable[[], float] = time.perf_counter
    sleep: Callable[[float], None] = time.sleep
    cpu_times: Callable[[], machine.CpuTimes | None] = machine.cpu_times
    switches: Callable[[], int] = involuntary_switches
    waited_s: Callable[[], Mapping[int, float]] = waited_s


@dataclass(frozen=True)
class Timing:
    """How long one call takes, in milliseconds, and relative to the reference.

    Attributes:
        min_ms: the shortest of all calls.
        p50_ms: their median.
        ratio: of its round's median to the reference's of the same round, the median over all rounds; below 1 is faster.
        ratio_range: the 10th and 90th percentile of those ratios.
        rounds: how many.
    """

    min_ms: float
    p50_ms: float
    ratio: float
    ratio_range: tuple[float, float]
    rounds: int


def race(
    contestants: Mapping[str, Runner],
    *,
    reference: str,
    budget_s: float = 1.5,
    rounds: int = 50,
    iterations: int = 5,
    timer: Timer = Timer(),  # noqa: B008 - frozen
) -> dict[str, Timing]:
    """Time ``contestants`` together, in rounds of an order that changes.

    Args:
        contestants: name → one call, ready to run; what it raises is raised.
        reference: the one that ratios are taken to.
        budget_s: no round begins after so many seconds, but three are always run.
        rounds: at most.
        iterations: timed calls of each in a round.
        timer: clock and sleep; for tests.

    Raises:
        EdgeproofError: ``reference`` is not among the contestants, or a count is below one.
    """
    if reference not in contestants:
        raise EdgeproofError(f"race: reference {reference!r} is not among {', '.join(contestants) or 'none'}")
    if rounds < 1 or iterations < 1:
        raise EdgeproofError(f"race: {rounds} rounds of {iterations} calls, expected at least 1")
    times: dict[str, list[list[float]]] = {name: [] for name in contestants}
    started = timer.clock()
    with collector_off():
        for number in range(rounds):
            if number >= MIN_ROUNDS and timer.clock() - started >= budget_s:
                break
            for name in _shuffled(contestants, number):
                times[name].append(visit(contestants[name], iterations=iterations, timer=timer))
    return {name: _timing(found, times[reference]) for name, found in times.items()}


def _shuffled(names: Mapping[str, object], number: int) -> list[str]:
    """The order of round ``number``: another one in each, the same ones every time."""
    order = list(names)
    random.Random(number).shuffle(order)
    return order


def visit(run: Runner, *, iterations: int, timer: Timer) -> list[float]:
    """Milliseconds of some calls, after a pause and one that is not timed.

    The pause lets the previous contestant's thread pool stop spinning, the call brings this one's weights back into the
    caches, as they are in a service that runs one model.
    """
    times: list[float] = []
    timer.sleep(PAUSE_S)
    run()
    for _ in range(iterations):
        start = timer.clock()
        run()
        times.append((timer.clock() - start) * 1e3)
    return times


@contextmanager
def collector_off() -> Iterator[None]:
    """No garbage collection: inside a timed call it would be charged to whoever runs then."""
    enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _timing(rounds: list[list[float]], reference: list[list[float]]) -> Timing:
    ratios = [
        float(np.median(own)) / float(np.median(theirs))
        for own, theirs in zip(rounds, reference, strict=True)
        if np.median(theirs) > 0
    ] or [1.0]
    low, middle, high = (float(value) for value in np.percentile(ratios, [10, 50, 90]))
    pooled = np.concatenate([np.asarray(times) for times in rounds])
    return Timing(
        min_ms=float(pooled.min()),
        p50_ms=float(np.median(pooled)),
        ratio=middle,
        ratio_range=(low, high),
        rounds=len(rounds),
    )
