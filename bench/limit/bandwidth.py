"""Memory bandwidth, as STREAM measures it (McCalpin 1995): copies and sums of arrays that no cache holds. Torch-free."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

_CACHES = Path("/sys/devices/system/cpu/cpu0/cache")
_UNITS = {"K": 2**10, "M": 2**20, "G": 2**30}
_LEAST, _MOST = 16 * 2**20, 64 * 2**20  # bytes of one array; three of them are used in turn
Clock = Callable[[], float]


def memory_gb_per_s(
    threads: int, *, array_bytes: int | None = None, passes: int = 5, clock: Clock = time.perf_counter
) -> float:
    """Gigabytes (1e9) that ``threads`` threads read and write in a second, the best of several passes.

    ``a = b`` counts two arrays, ``a = b + c`` three, as in STREAM: what a cache reads before it overwrites is not counted.

    Args:
        threads: that share the arrays.
        array_bytes: of each array; None takes as much as the last-level cache holds, within 16 and 64 MiB, so that three of
            them never fit.
        passes: of either kind; one more warms up.
        clock: seconds; for tests.
    """
    length = (array_bytes or min(max(last_level_cache(), _LEAST), _MOST)) // 8
    a, b, c = (np.full(length, value, np.float64) for value in (0.0, 1.0, 2.0))
    parts = [slice(i * length // threads, (i + 1) * length // threads) for i in range(threads)]
    jobs: dict[int, Callable[[slice], object]] = {
        2: lambda part: np.copyto(a[part], b[part]),
        3: lambda part: np.add(b[part], c[part], out=a[part]),
    }
    best = 0.0
    with ThreadPoolExecutor(threads) as pool:
        for arrays, job in jobs.items():
            for number in range(passes + 1):
                started = clock()
                list(pool.map(job, parts))
                took = clock() - started
                if number and took > 0:
                    best = max(best, arrays * length * 8 / took / 1e9)
    return best


def last_level_cache(folder: Path = _CACHES) -> int:
    """Bytes of the largest cache of the first CPU, by Linux; 0 where it does not tell."""
    sizes = [0]
    for file in folder.glob("index*/size"):
        try:
            text = file.read_text(encoding="utf-8").strip()
            sizes.append(int(text.rstrip("KMG")) * _UNITS.get(text[-1:], 1))
        except (OSError, ValueError):
            continue
    return max(sizes)
