"""Does a bench say the same twice? Times one artifact again and again, each time from the start, and compares the p50.

    python perf/reproduce.py [ARTIFACT] [--threads 1] [--input-size 224] [--times 2] [--load N]

Every row of every bench is printed with the ratio of its p50 to the first bench's, and at the end the largest. The machine may
be as noisy as it likes; its load is told, and ``--load N`` adds N processes that do nothing but compute. Without the
reference, so that a bench takes seconds.
"""

import argparse
import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator

from bench.artifacts import ROUNDS, work_folder
from bench.contestants.selection import Selection, find_artifacts, select
from bench.latency import measure
from bench.records.latency import Row
from distill.errors import EdgeproofError


def main() -> None:
    """Read the arguments, and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("artifact", nargs="?", default="simulated-64")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--input-size", type=int, nargs="*", default=(), help="pixels; by default the artifact's own"
    )
    parser.add_argument("--times", type=int, default=2)
    parser.add_argument("--load", type=int, default=0)
    given = parser.parse_args()
    artifacts, problems = find_artifacts([given.artifact])
    if problems:
        raise EdgeproofError(problems[0])
    selection = Selection(threads=(given.threads,), input_sizes=given.input_size)
    with work_folder(None) as work, busy(given.load):
        contestants = [c for c in select(artifacts, selection, work=work) if not c.reference]
        benches = []
        for number in range(given.times):
            load = f"{os.getloadavg()[0]:.1f}"
            benches.append(measure(contestants, rounds=ROUNDS).rows)
            print(f"bench {number + 1}: load {load} before, {os.getloadavg()[0]:.1f} after")
    show(benches)


def show(benches: list[list[Row]]) -> None:
    """Every row of every bench beside that of the first."""
    largest = 1.0
    print(f"{'row':44} {'p50 ms':>9} {'± %':>6} {'min ms':>9} {'spoiled':>8} {'ratio':>6}")
    for rows in zip(*benches, strict=True):
        for row in rows:
            if row.p50_ms is None or rows[0].p50_ms is None:
                print(f"{name(row):44} {row.status}: {row.reason}")
                continue
            ratio = row.p50_ms / rows[0].p50_ms
            largest = max(largest, ratio, 1 / ratio)
            low, high = row.p50_ci_ms or (row.p50_ms, row.p50_ms)
            share = row.spoiled / (row.samples + row.spoiled)
            print(
                f"{name(row):44} {row.p50_ms:9.4f} {(high - low) / 2 / row.p50_ms:6.1%} {row.min_ms:9.4f} "
                f"{share:8.0%} {ratio:6.3f}"
            )
    print(f"largest difference of a p50: {largest - 1:.1%}")


def name(row: Row) -> str:
    """What a row is."""
    return f"{row.model} {row.runtime} {row.precision} {row.input_size}² {row.scope}"


@contextlib.contextmanager
def busy(count: int) -> Iterator[None]:
    """Processes that compute, for as long as the block lasts."""
    processes = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


if __name__ == "__main__":
    main()
