"""Memory bandwidth, as STREAM measures it (McCalpin 1995): copies and sums of arrays that no cache holds. Torch-free."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from deploy.timing import Timer, race

_CACHES = Path("/sys/devices/system/cpu/cpu0/cache")
_UNITS = {"K": 2**10, "M": 2**20, "G": 2**30}
_LEAST, _MOST = 16 * 2**20, 128 * 2**20  # bytes of one array; three of them are used in turn


def memory_gb_per_s(
    threads: int,
    *,
    array_bytes: int | None = None,
    budget_s: float = 0.5,
    timer: Timer = Timer(),  # noqa: B008 - frozen
) -> float:
    """Gigabytes (1e9) that ``threads`` threads read and write in a second, the best of many passes.

    ``a = b`` counts two arrays, ``a = b + c`` three, as in STREAM: what a cache reads before it overwrites is not counted.

    Args:
        threads: that share the arrays.
        array_bytes: of each array; None takes as much as the last-level cache holds, within 16 and 128 MiB, so that three of
            them do not fit.
        budget_s: no further pass begins after so many seconds.
        timer: clock and sleep; for tests.
    """
    length = (array_bytes or min(max(last_level_cache(), _LEAST), _MOST)) // 8
    a, b, c = (np.full(length, value, np.float64) for value in (0.0, 1.0, 2.0))
    parts = [slice(i * length // threads, (i + 1) * length // threads) for i in range(threads)]

    def copy(part: slice) -> None:
        np.copyto(a[part], b[part])

    def add(part: slice) -> None:
        np.add(b[part], c[part], out=a[part])

    with ThreadPoolExecutor(threads) as pool:
        found = race(
            {"copy": lambda: list(pool.map(copy, parts)), "add": lambda: list(pool.map(add, parts))},
            reference="copy", budget_s=budget_s, iterations=2, timer=timer,
        )  # fmt: skip
    return max(arrays * length * 8 / found[name].min_ms / 1e6 for name, arrays in (("copy", 2), ("add", 3)))


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
