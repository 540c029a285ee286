"""``edgeproof serve`` under load: ``python -m perf.service_load [--requests 100000] [--hey hey]``.

A service with the shipped artifact is asked over loopback by `hey <https://github.com/rakyll/hey>`_ (Debian's package of that
name), which shares its cores: a form with one JPEG of 256x256 pixels in each request. First as fast as answers come, then at
half of that rate, whose percentiles are the figure that counts, while the memory of all the service's processes is read from
outside. The result is ``perf/results/service-load.json``.
"""

import argparse
import csv
import io
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from typing import Any

import numpy as np
from PIL import Image

from distill import machine
from distill.files import write_json
from distill.optional import require
from perf.service_process import service_process

RESULT = Path(__file__).parent / "results" / "service-load.json"
SIDE, CLIENTS = 256, 4  # hey lets all clients ask at the same moment, which is a burst at half of the rate
BOUNDARY = "edgeproof-load"
_MIB = 2**20


def measure(
    *, hey: str, requests: int, full_s: float, options: Sequence[str] = (), half: float = 0.5
) -> dict[str, Any]:
    """The content of the result file.

    Args:
        hey: the load generator's program.
        requests: at ``half`` of the full rate.
        full_s: seconds at the full rate.
        options: of ``edgeproof serve``.
        half: share of the full rate.
    """
    with tempfile.TemporaryDirectory() as folder:
        body = Path(folder) / "form"
        body.write_bytes(form_of(photo()))
        with service_process(Path(folder), options) as service:
            load(hey, service.url, body, seconds=3)  # nothing is measured before everything is warm
            full = load(hey, service.url, body, seconds=full_s)
            with watched(require("psutil").Process(service.process.pid)) as memory:
                calm = load(hey, service.url, body, requests=requests, rate=half * full["per_second"])
    return {
        "schema_version": 1, "machine": machine.describe(), "photo_px": [SIDE, SIDE], "clients": CLIENTS,
        "options": [*options], "full": full, "at_half": calm, "memory": memory.told(),
    }  # fmt: skip


def photo() -> bytes:
    """A JPEG of smooth colours with noise, some 20 kB."""
    rng = np.random.default_rng(0)
    coarse = Image.fromarray(rng.integers(0, 256, (32, 32, 3), np.uint8)).resize((SIDE, SIDE))
    file = io.BytesIO()
    coarse.save(file, "JPEG", quality=90)
    return file.getvalue()


def form_of(image: bytes) -> bytes:
    """What ``curl -F file=@photo.jpg`` sends."""
    head = (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="photo.jpg"\r\n'
        "Content-Type: image/jpeg\r\n\r\n"
    )
    return head.encode() + image + f"\r\n--{BOUNDARY}--\r\n".encode()


def load(
    hey: str, url: str, body: Path, *, seconds: float = 0, requests: int = 0, rate: float = 0
) -> dict[str, Any]:
    """Ask for so many seconds, or so many times, at most at ``rate`` a second; rates, percentiles in ms, failures."""
    command = [hey, "-o", "csv", "-c", str(CLIENTS), "-m", "POST", "-D", str(body)]
    command += ["-T", f"multipart/form-data; boundary={BOUNDARY}"]
    command += ["-z", f"{seconds}s"] if seconds else ["-n", str(requests)]
    command += ["-q", f"{rate / CLIENTS:.3f}"] if rate else []
    started = time.monotonic()
    told = subprocess.run([*command, f"{url}/predict"], capture_output=True, text=True, check=True).stdout
    elapsed = time.monotonic() - started
    rows = list(csv.DictReader(io.StringIO(told)))
    times = np.array([float(row["response-time"]) for row in rows if row["status-code"] == "200"]) * 1000
    p50, p90, p99, p999 = np.percentile(times, [50, 90, 99, 99.9]).round(2).tolist()
    return {
        "answered": len(times), "failed": max(len(rows), requests) - len(times), "seconds": round(elapsed, 1),
        "per_second": round(len(times) / elapsed, 1),
        "p50_ms": p50, "p90_ms": p90, "p99_ms": p99, "p999_ms": p999, "max_ms": round(float(times.max()), 2),
    }  # fmt: skip


@dataclass
class Memory:
    """Resident memory of a process and its children, MiB, about once a second."""

    seen: list[float]

    def told(self) -> dict[str, Any]:
        """At the start, at each tenth of the way, and at the end."""
        marks = [self.seen[round(step * (len(self.seen) - 1) / 10)] for step in range(11)]
        return {"tenths_mib": [round(mark, 1) for mark in marks], "most_mib": round(max(self.seen), 1)}


@contextmanager
def watched(process: Any) -> Iterator[Memory]:
    """Read memory until the block ends."""
    memory, over = Memory([]), Event()

    def look() -> None:
        while True:
            family = [process, *process.children(recursive=True)]
            memory.seen.append(sum(one.memory_info().rss for one in family) / _MIB)
            if over.wait(1.0):
                return

    thread = Thread(target=look)
    thread.start()
    try:
        yield memory
    finally:
        over.set()
        thread.join()


def main() -> None:
    """Measure and write the result file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--hey", default="hey", help="program of the load generator")
    parser.add_argument("--requests", type=int, default=100_000, help="at half of the full rate")
    parser.add_argument("--seconds", type=float, default=20.0, help="at the full rate")
    parser.add_argument("--out", type=Path, default=RESULT)
    parser.add_argument("options", nargs="*", help="of edgeproof serve, after --")
    given = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    found = measure(hey=given.hey, requests=given.requests, full_s=given.seconds, options=given.options)
    write_json(given.out, found)
    print(json.dumps({key: found[key] for key in ("full", "at_half", "memory")}, indent=2))


if __name__ == "__main__":
    main()
