"""Memory and open files of one process over thousands of predictions, good photos and damaged ones alike."""

import contextlib
import os
from pathlib import Path
from random import Random

from deploy.runtime import Detector
from distill.cli.verbosity import quiet_libraries
from distill.errors import EdgeproofError
from perf.attack.images import originals
from perf.attack.mutate import damage_bytes
from perf.attack.table import Table
from perf.attack.warm import resident, watched

_WARM = 1000  # predictions after which nothing may grow any more
_MOST_GROWTH = 20_000_000


def steady(table: Table, *, count: int, root: Path) -> None:
    """Predict ``count`` times with each runtime, in a fork; note what grew."""
    for runtime in ("onnxruntime", "openvino"):
        said = root / f"{runtime}.txt"
        outcome = watched(lambda runtime=runtime, said=said: _predict(runtime, count, said), seconds=3600)  # type: ignore[misc]
        row = table.row(f"predictions, {runtime}")
        row.tried, row.peak_mb, row.seconds = count, outcome.peak_bytes / 1e6, outcome.seconds
        growth, files = map(int, said.read_text().split()) if said.exists() else (-1, -1)
        row.growth_mb, row.files = growth / 1e6, files
        grew = growth > _MOST_GROWTH or files > 0 or outcome.code != 0
        row.survived = 0 if grew else count
        if grew:
            table.find(
                f"predictions, {runtime}",
                f"code {outcome.code}, {growth:,} bytes and {files} open files more",
            )


def _predict(runtime: str, count: int, said: Path) -> int:
    detector = Detector.load("simulated-64", runtime=runtime, threads=1)
    rng, whole, number = Random(0), originals(), os.getpid()
    before = (0, 0)
    for done in range(count):
        if done == min(_WARM, count // 2):
            before = resident(number), _open_files()
        _, content = rng.choice(whole)
        with contextlib.suppress(EdgeproofError), quiet_libraries():
            detector.predict(damage_bytes(content, rng) if done % 2 else content)
    said.write_text(f"{resident(number) - before[0]} {_open_files() - before[1]}")
    return 0


def _open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))
