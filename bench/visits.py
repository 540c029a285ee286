"""A visit: a few calls of one contestant, and those told apart that something else interrupted. Torch-free.

A call is *spoiled* only where the cause was seen. Of a short call that is: the system took the CPU from a thread of this process
meanwhile, or the hypervisor took one during the visit. A long call is always interrupted somewhere on a busy machine: it is
spoiled if a thread of it waited for a CPU for more than a hundredth of it.
A call is *slowed* where the core itself was slow before or after it; see ``bench.pace``. However long a call is, its length
alone is no reason: dropping long calls for being long would flatter. Spoiled calls are repeated, up to a limit, and counted;
``bench.samples`` says what becomes of both.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from bench.pace import Pace
from deploy.timing import PAUSE_S, Runner, Timer

SETTLED = 0.05  # two windows of warm-up whose medians are so near
MOST_WINDOWS = 10
LONG_S = 2e-3  # a call beside which what each of its threads waited can be asked for
WAITED = 0.01  # of a long call


@dataclass(frozen=True)
class Visit:
    """Milliseconds of each call."""

    clean: tuple[float, ...] = ()
    slowed: tuple[float, ...] = ()
    spoiled: tuple[float, ...] = ()


def visit(run: Runner, *, calls: int, timer: Timer, pace: Pace, repeats: int | None = None) -> Visit:
    """Time ``calls`` calls that nothing interrupts, after a pause and a call that is not timed.

    The pause lets the previous contestant's threads go to sleep, the call brings this one's weights back into the caches, as
    they are in a service that runs one model.

    Args:
        run: one call.
        calls: wanted.
        timer: clock, sleep, CPU times, context switches and waiting.
        pace: the best that a core was seen to have.
        repeats: how many spoiled calls are made good at most; as many as ``calls`` unless given.
    """
    timer.sleep(PAUSE_S)
    start = timer.clock()
    run()
    is_long = timer.clock() - start > LONG_S and bool(timer.waited_s())
    most = calls + (calls if repeats is None else repeats)
    return (_long if is_long else _short)(run, calls, most, timer, pace)


def _short(run: Runner, calls: int, most: int, timer: Timer, pace: Pace) -> Visit:
    slow = pace.is_slow(timer)
    run()
    clock, switches = timer.clock, timer.switches
    clean: list[float] = []
    spoiled: list[float] = []
    stolen = _stolen(timer)
    while len(clean) < calls and len(clean) + len(spoiled) < most:
        before = switches()
        start = clock()
        run()
        end = clock()
        (clean if switches() == before else spoiled).append((end - start) * 1e3)
    if _stolen(timer) > stolen:  # which call it was, nobody can tell
        return Visit(spoiled=(*clean, *spoiled))
    if pace.is_slow(timer) or slow:
        return Visit(slowed=tuple(clean), spoiled=tuple(spoiled))
    return Visit(clean=tuple(clean), spoiled=tuple(spoiled))


def _long(run: Runner, calls: int, most: int, timer: Timer, pace: Pace) -> Visit:
    kept: dict[bool, list[float]] = {False: [], True: []}
    spoiled: list[float] = []
    slow = pace.is_slow(timer)
    while sum(map(len, kept.values())) < calls and sum(map(len, kept.values())) + len(spoiled) < most:
        before = timer.waited_s()
        start = timer.clock()
        run()
        took_s = timer.clock() - start
        waited_s = _longest_wait(before, timer.waited_s())
        was_slow, slow = slow, pace.is_slow(timer)
        if waited_s <= WAITED * took_s:
            kept[was_slow or slow].append(took_s * 1e3)
        else:
            spoiled.append(took_s * 1e3)
    return Visit(tuple(kept[False]), tuple(kept[True]), tuple(spoiled))


def _longest_wait(before: Mapping[int, float], after: Mapping[int, float]) -> float:
    """Of any one thread: those that wait for it wait no longer."""
    return max((seconds - before.get(thread, 0.0) for thread, seconds in after.items()), default=0.0)


def warm_up(run: Runner, *, window: int, timer: Timer, limit_s: float = float("inf")) -> float:
    """Call until the medians of two successive windows agree within 5 %, but for ten windows at most.

    Args:
        run: one call.
        window: calls of a window.
        timer: its clock.
        limit_s: no call begins after so many seconds; one is always made.

    Returns:
        The last window's median, in milliseconds.
    """
    started, before = timer.clock(), float("nan")  # nothing is near it
    for _ in range(MOST_WINDOWS):
        times: list[float] = []
        while len(times) < window and (not times or timer.clock() - started < limit_s):
            start = timer.clock()
            run()
            times.append((timer.clock() - start) * 1e3)
        median = float(np.median(times))
        if abs(median - before) <= SETTLED * before or timer.clock() - started >= limit_s:
            break
        before = median
    return median


def _stolen(timer: Timer) -> float:
    times = timer.cpu_times()
    return times.steal if times else 0.0
