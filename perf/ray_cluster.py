"""Several Ray nodes on one machine, for tests and measurements.

``python -m perf.ray_cluster FOLDER NODES`` starts them in a process of its own, tells the address, and does what it is
told on standard input, a word a line: ``add`` or ``remove`` a node (the last that came, with all its processes, at
once). It ends when that does, and all of Ray with it.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

STORE_BYTES = 100 * 2**20
_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_memory_monitor_refresh_ms": "0",
    "RAY_health_check_period_ms": "500",  # a lost node is noticed in seconds, not in half a minute
    "RAY_health_check_timeout_ms": "2000",
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "OMP_NUM_THREADS": "1",
}
_END_S = 20.0


@dataclass(frozen=True)
class Nodes:
    """A cluster that runs; ``address`` is its ``HOST:PORT``."""

    address: str
    process: "subprocess.Popen[str]"

    def tell(self, word: str) -> None:
        """``add`` or ``remove`` a node; returns when it is done."""
        assert self.process.stdin and self.process.stdout
        print(word, file=self.process.stdin, flush=True)
        self.process.stdout.readline()

    def workers(self) -> list[int]:
        """Process ids of the actors that map over parts now."""
        return [pid for pid, name in self._processes() if name.startswith("ray::MapWorker")]

    def resident_mb(self) -> float:
        """Private memory of all of Ray's processes."""
        page_mb, total = os.sysconf("SC_PAGE_SIZE") / 2**20, 0.0
        for pid, _ in self._processes():
            with suppress(OSError):
                resident, shared = Path(f"/proc/{pid}/statm").read_text().split()[1:3]
                total += (int(resident) - int(shared)) * page_mb
        return total

    def _processes(self) -> list[tuple[int, str]]:
        """All that descend from the cluster's process, itself included."""
        import psutil

        found = []
        root = psutil.Process(self.process.pid)
        for process in (root, *root.children(recursive=True)):
            with suppress(psutil.Error):
                found.append((process.pid, " ".join(process.cmdline())))
        return found


@contextmanager
def ray_nodes(count: int) -> Iterator[Nodes]:
    """Start ``count`` nodes of one core each; nothing of them is left when the block ends."""
    with tempfile.TemporaryDirectory(prefix="ray-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        process = subprocess.Popen(
            [sys.executable, "-m", "perf.ray_cluster", folder, str(count)], cwd=Path(__file__).parents[1], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True,
            env={**os.environ, **_ENVIRONMENT, "RAY_TMPDIR": folder},
        )  # fmt: skip
        with process:
            assert process.stdin and process.stdout
            try:
                address = process.stdout.readline().strip()
                if not address:
                    raise RuntimeError("Ray's nodes could not be started")
                yield Nodes(address, process)
            finally:
                _end(process, folder)


def _end(process: "subprocess.Popen[str]", folder: str) -> None:
    """Ask, wait, and kill what is left: Ray's processes name the folder or were started by one that does."""
    import psutil

    started = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    assert process.stdin
    with suppress(OSError):
        process.stdin.close()
    psutil.wait_procs(started, timeout=_END_S)
    for left in started:
        with suppress(psutil.Error):
            left.kill()
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def main() -> None:
    """Run the nodes until standard input ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder")
    parser.add_argument("nodes", type=int)
    options = parser.parse_args()
    from ray.cluster_utils import Cluster

    Path(options.folder, "ray").mkdir()  # where it notes the address, if the folder is there
    common = {"num_cpus": 1, "object_store_memory": STORE_BYTES, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args={**common, "temp_dir": options.folder})
    added = [cluster.add_node(**common) for _ in range(options.nodes - 1)]
    answers = os.fdopen(os.dup(1), "w")
    print(cluster.address, file=answers, flush=True)
    for line in sys.stdin:
        if line.strip() == "add":
            added.append(cluster.add_node(**common))
        else:
            cluster.remove_node(added.pop(), allow_graceful=False)
        print(time.time(), file=answers, flush=True)
    cluster.shutdown()


if __name__ == "__main__":
    main()
