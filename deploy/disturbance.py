"""What the operating system says it did to this process: CPU taken away, and time spent waiting for one. Torch-free."""

import os
from pathlib import Path

try:
    import resource
except ImportError:  # Windows tells of no context switches
    resource = None  # type: ignore[assignment]

_TASKS = Path("/proc/self/task")
_WAITING = (
    1  # of schedstat: run time, time on a run queue, time slices (Documentation/scheduler/sched-stats.rst)
)


def involuntary_switches() -> int:
    """How often the system took the CPU from a thread of this process, pools included; always 0 where it does not tell."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw if resource else 0


def waited_s() -> dict[int, float]:
    """By thread of this process: the seconds in which it could have run and had no CPU. Empty where the system does not tell."""
    found = {}
    try:
        threads = os.listdir(_TASKS)  # noqa: PTH208 - called between timed calls
    except OSError:
        return {}
    for thread in threads:
        try:
            with open(f"{_TASKS}/{thread}/schedstat", "rb") as file:  # noqa: PTH123
                found[int(thread)] = int(file.read().split()[_WAITING]) / 1e9
        except (OSError, IndexError, ValueError):  # a thread that ended meanwhile, or another kernel
            continue
    return found
