"""How soon a process that was just started answers, and what memory it takes: what an embedded developer waits for."""

from pathlib import Path
from typing import NamedTuple

from bench.contestants.source import sample_jpeg
from bench.details.form import Form
from bench.details.fresh_process import fresh_process

_ANSWER = """
import sys
from deploy.runtime import Detector
folder, runtime, threads, precision = sys.argv[1:]
detector = Detector.load(folder, runtime=runtime, threads=int(threads), precision=precision)
detector.predict(sys.stdin.buffer.read())
"""


class ColdStart(NamedTuple):
    """``ms`` from the start of a process to its first answer, files in the page cache; its largest resident memory."""

    ms: float
    peak_bytes: int | None


def cold_start(folder: Path, form: Form, *, threads: int, processes: int = 2) -> ColdStart:
    """Of :mod:`deploy.runtime` with one photo of 256 × 256: the least of some processes.

    Raises:
        EdgeproofError: a process failed or was killed.
    """
    precision = "bf16" if form.precision == "bf16" else "fp32"
    arguments = (str(folder), form.runtime, str(threads), precision)
    found = [fresh_process(_ANSWER, *arguments, feed=sample_jpeg()) for _ in range(processes)]
    sizes = [cost.peak_bytes for cost in found if cost.peak_bytes]
    return ColdStart(min(cost.wall_s for cost in found) * 1e3, min(sizes, default=None))
