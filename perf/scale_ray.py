"""``edgeproof score`` by local processes and by Ray on one node and two: throughput, start, memory, and what a kill costs.

``python -m perf.scale_ray`` makes small JPEG files, scores them in interleaved rounds, compares the tables byte by byte,
kills a worker and then a node in the middle, and writes ``perf/results/scale-ray.json``. All nodes are on this machine
and have one core each.
"""

import argparse
import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from deploy.score import score
from deploy.shipped import find_artifact
from distill import machine
from distill.engine import open_engine
from distill.files import write_json
from perf.data_scale import Watch, make_files
from perf.ray_cluster import Nodes, ray_nodes

RESULT = Path(__file__).parent / "results" / "scale-ray.json"
_RUNTIME, _SIZE = "onnxruntime", 64


def measure(root: Path, *, artifact: str, rows: int, partition: int, rounds: int) -> dict[str, Any]:
    """The content of the result file."""
    folder, steal = find_artifact(artifact, runtime=_RUNTIME), machine.steal_seconds()
    bench = _Bench(folder, root, rows=rows, partition=partition)
    for number in range(rounds):
        for workers in (1, 2):
            bench.local(workers, number)
            bench.ray(workers, number)
    kills = {
        "a worker": bench.ray(2, rounds, meanwhile=_kill_a_worker),
        "a node": bench.ray(2, rounds + 1, meanwhile=lambda nodes: nodes.tell("remove")),
    }
    return {
        "schema_version": 1,
        "machine": machine.describe(),
        "steal_s": (machine.steal_seconds() or 0.0) - (steal or 0.0),
        "artifact": artifact,
        "images": rows,
        "image_size": _SIZE,
        "partition": partition,
        "rounds": rounds,
        "runs": bench.runs,
        "median_images_per_second": bench.medians(),
        "kills": kills,
        "bytes_a_row": bench.bytes_a_row(),
    }


class _Bench:
    """Runs over the same images; every table must equal the first, byte by byte."""

    def __init__(self, artifact: Path, root: Path, *, rows: int, partition: int) -> None:
        self.artifact, self.root, self.rows, self.partition = artifact, root, rows, partition
        self.runs: list[dict[str, Any]] = []
        self.first: dict[str, bytes] = {}

    def local(self, workers: int, number: int) -> None:
        """One round of local processes."""
        with open_engine("local", workers=workers) as engine:
            self.runs.append(self._run("local", workers, number, engine=engine))

    def ray(
        self, count: int, number: int, *, meanwhile: Callable[[Nodes], None] | None = None
    ) -> dict[str, Any]:
        """One round on ``count`` nodes; ``meanwhile`` happens when a third of the partitions is there."""
        started = time.perf_counter()
        with ray_nodes(count) as nodes:
            up = time.perf_counter()
            with open_engine("ray", address=nodes.address) as engine:
                connected = time.perf_counter()
                name = "ray" if meanwhile is None else f"ray-killed-{number}"
                trouble = (lambda: meanwhile(nodes)) if meanwhile else None
                found = self._run(name, count, number, engine=engine, trouble=trouble)
        found |= {"cluster_start_s": up - started, "connect_s": connected - up}
        if meanwhile is None:
            self.runs.append(found)
        return found

    def _run(
        self, name: str, workers: int, number: int, *, engine: Any, trouble: Callable[[], None] | None = None
    ) -> dict[str, Any]:
        out = self.root / f"{name}-{workers}-{number}"
        first, times = threading.Event(), [time.perf_counter()]
        third = self.rows // self.partition // 3

        def progress(done: int, total: int) -> None:
            if done and not first.is_set():
                first.set()
                times.append(time.perf_counter())

        watcher = threading.Thread(target=_when, args=(out, third, trouble), daemon=True)
        if trouble:
            watcher.start()
        watch = Watch({})
        summary = watch.step(
            f"{name} {workers} {number}",
            lambda: score(
                self.artifact, self.root / "manifest.csv", out=out, runtime=_RUNTIME, engine=engine,
                partition=self.partition, progress=progress,
            ),
        )  # fmt: skip
        [step] = watch.steps.values()
        self._compare(out)
        return {
            "engine": name, "workers": workers, "round": number, "seconds": step["seconds"], "peak_mb": step["peak_mb"],
            "first_partition_s": times[-1] - times[0], "images_per_second": summary.images_per_second,
            "answered": summary.answered, "bad": summary.bad, "equal_to_the_first": True,
        }  # fmt: skip

    def _compare(self, out: Path) -> None:
        files = {path.name: path.read_bytes() for path in out.glob("part-*.parquet")}
        self.first = self.first or files
        if files != self.first:
            raise SystemExit(f"{out}: other tables than those of the first run")

    def medians(self) -> dict[str, float]:
        """Of the rounds of each engine."""
        names = sorted({(run["engine"], run["workers"]) for run in self.runs})
        return {
            f"{engine} {workers}": median(
                run["images_per_second"]
                for run in self.runs
                if (run["engine"], run["workers"]) == (engine, workers)
            )
            for engine, workers in names
        }

    def bytes_a_row(self) -> float:
        """Of the Parquet files."""
        return sum(map(len, self.first.values())) / self.rows


def _when(out: Path, parts: int, action: Callable[[], None]) -> None:
    while len(list(out.glob("part-*.parquet"))) < parts:
        time.sleep(0.02)
    action()


def _kill_a_worker(nodes: Nodes) -> None:
    os.kill(nodes.workers()[0], signal.SIGKILL)


def main() -> None:
    """Measure with the arguments of the command line and write the result."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--artifact", default="simulated-64")
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--partition", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--out", type=Path, default=RESULT)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="edgeproof-scale-") as folder:
        make_files(Path(folder), rows=options.rows, size=_SIZE, workers=machine.usable_threads())
        found = measure(
            Path(folder), artifact=options.artifact, rows=options.rows, partition=options.partition, rounds=options.rounds,
        )  # fmt: skip
    write_json(options.out, found)


if __name__ == "__main__":
    main()
