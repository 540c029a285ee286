"""Memory of ``edgeproof predict --stdin`` over 10,000 photos: ``python -m perf.stream_memory ORT_ARTIFACT OV_ARTIFACT``.

One process for each runtime answers for photos of many sizes, made here. Its resident memory is read from outside as its
answers come. Were anything kept of each photo, it would grow from the 1,000th to the 10,000th. The result is
``perf/results/stream-memory.json``.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from itertools import cycle, islice
from pathlib import Path
from threading import Event, Thread
from typing import IO, Any

import numpy as np
from PIL import Image

from distill import machine
from distill.files import write_json
from distill.optional import require

RESULT = Path(__file__).parent / "results" / "stream-memory.json"
MARKS = (1000, 2000, 5000, 10_000)
PHOTOS, WORKERS = 200, 2
_SIDES = (64, 900)
_MIB = 2**20


def measure(
    artifacts: dict[str, Path], *, marks: Sequence[int] = MARKS, photos: int = PHOTOS
) -> dict[str, Any]:
    """The content of the result file.

    Args:
        artifacts: for each runtime.
        marks: after how many answers memory is read.
        photos: different ones, which come again and again.
    """
    with tempfile.TemporaryDirectory() as folder:
        shown = list(write_photos(Path(folder), photos))
        rows = {
            runtime: stream(artifact, runtime=runtime, photos=shown, marks=marks)
            for runtime, artifact in artifacts.items()
        }
    return {
        "schema_version": 1, "machine": machine.describe(), "photos": photos, "sides_px": _SIDES,
        "workers": WORKERS, "rows": rows,
    }  # fmt: skip


def write_photos(folder: Path, count: int) -> Iterator[Path]:
    """JPEGs of many sizes, of smooth colours with noise."""
    rng = np.random.default_rng(0)
    for number in range(count):
        width, height = rng.integers(*_SIDES, 2).tolist()
        coarse = Image.fromarray(rng.integers(0, 256, (4, 4, 3), np.uint8)).resize((width, height))
        noisy = np.asarray(coarse, np.int16) + rng.integers(-20, 21, (height, width, 1), np.int16)
        path = folder / f"{number:04}.jpg"
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(path, quality=90)
        yield path


def stream(artifact: Path, *, runtime: str, photos: Sequence[Path], marks: Sequence[int]) -> dict[str, Any]:
    """Resident memory of one process, in MiB, after each number of answers, and how much it grew from first to last."""
    code = [sys.executable, "-m", "distill", "predict", str(artifact), "--stdin"]
    options = ["--runtime", runtime, "--workers", str(WORKERS)]
    found: dict[str, float] = {}
    told = Event()
    with subprocess.Popen([*code, *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin and process.stdout
        resident = require("psutil").Process(process.pid).memory_info
        lines = islice(cycle(photos), max(marks))
        Thread(target=_feed, args=(process.stdin, lines, told), daemon=True).start()
        for number, _ in enumerate(process.stdout, start=1):
            if number in marks:
                found[str(number)] = round(resident().rss / _MIB, 1)
            if number == max(marks):
                told.set()
    if process.returncode or len(found) != len(marks):
        raise RuntimeError(f"{runtime}: exit code {process.returncode} after {found}")
    first, *_, last = found.values()
    return {"resident_mib": found, "growth_mib": round(last - first, 1)}


def _feed(pipe: IO[bytes], photos: Iterator[Path], told: Event) -> None:
    with pipe:
        for photo in photos:
            pipe.write(f"{photo}\n".encode())
        pipe.flush()
        told.wait()  # at its end the process would be gone before its memory was read


def main() -> None:
    """Measure and write the result file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("onnxruntime", type=Path, help="an artifact that ONNX Runtime loads")
    parser.add_argument("openvino", type=Path, help="one that OpenVINO loads")
    given = parser.parse_args()
    artifacts = {"onnxruntime": given.onnxruntime, "openvino": given.openvino}
    write_json(RESULT, measure(artifacts))


if __name__ == "__main__":
    main()
