"""Images a second and core that the simulator renders: ``python -m perf.simulator_throughput``.

Timed from the first finished job to the last, so that starting processes and training the generators, which a set
pays once, do not count. The result is ``perf/results/simulator-throughput.json``.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from distill import machine
from distill.data.simulate.settings import SceneCounts, SimulationSettings
from distill.data.simulate.writer import simulate
from distill.files import write_json

RESULT = Path(__file__).parent / "results" / "simulator-throughput.json"


def measure(*, sizes: list[int], scenes: int, rounds: int, workers: int) -> dict[str, Any]:
    """The content of the result file."""
    steal = machine.steal_seconds()
    rows: dict[str, dict[str, Any]] = {}
    rates: dict[tuple[int, int], list[float]] = {}
    for turn in range(rounds):  # sizes and numbers of workers take turns
        for size in sizes:
            for count in sorted({1, workers}):
                rates.setdefault((size, count), []).append(_rate(size, scenes, workers=count, seed=turn))
    for (size, count), found in rates.items():
        rows[f"{size} px, {count} processes"] = {
            "images_per_s_best": max(found),
            "images_per_s_p50": statistics.median(found),
            "per_process_p50": statistics.median(found) / count,
        }
    stolen = (machine.steal_seconds() or 0.0) - (steal or 0.0)
    return {
        "schema_version": 1,
        "machine": machine.describe(),
        "steal_s": stolen,
        "scenes": scenes,
        "rounds": rounds,
        "rows": rows,
    }


def _rate(size: int, scenes: int, *, workers: int, seed: int) -> float:
    settings = SimulationSettings(
        size=size,
        seed=seed,
        instances=1,
        scenes=SceneCounts(train=scenes, valid=0, test=0, heldout=0, control=0),
    )
    told: list[tuple[float, int]] = []
    with tempfile.TemporaryDirectory() as folder:
        simulate(
            settings,
            root=Path(folder, "set"),
            workers=workers,
            progress=lambda done, total: told.append((time.perf_counter(), done)),
        )
    (start, first), (end, last) = next(entry for entry in told if entry[1]), told[-1]
    return 2 * (last - first) / (end - start)  # two images a scene


def main() -> None:
    """Measure with the arguments of the command line and write the result."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 128])
    parser.add_argument("--scenes", type=int, default=360)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=machine.usable_threads())
    parser.add_argument("--out", type=Path, default=RESULT)
    options = parser.parse_args()
    result = measure(
        sizes=options.sizes, scenes=options.scenes, rounds=options.rounds, workers=options.workers
    )
    write_json(options.out, result)
    for name, row in result["rows"].items():
        print(f"{name:<22}", "  ".join(f"{key} {value:.1f}" for key, value in row.items()))


if __name__ == "__main__":
    main()
