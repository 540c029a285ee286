"""Layout, scan, splits and audit over a million images: seconds and memory of each step.

``python -m perf.data_scale`` makes a million small JPEG files and a manifest (some minutes and 4 GB of disk, kept with
``--keep``), goes through what the first two stages of a run do, and writes ``perf/results/data-scale.json``.

``--without-files`` leaves out the scan, whose time and memory a file are known from the above: the list names files that
are not there, and the scan's columns are random. So ten million rows can be measured on a small disk.
"""

import argparse
import csv
import io
import os
import resource
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from PIL import Image

from distill import machine
from distill.files import write_json

RESULT = Path(__file__).parent / "results" / "data-scale.json"
PER_FOLDER = 5_000
_MOST_NARROW = 10**6
Result = TypeVar("Result")


def measure(root: Path, *, rows: int, size: int, workers: int, files: bool) -> dict[str, Any]:
    """The content of the result file."""
    from distill.data.audit.audit import audit
    from distill.data.layouts import load_dataset
    from distill.data.scan import load_scan, save_scan, scan
    from distill.data.splits import with_splits
    from distill.pipeline.runfolder import load_samples, save_samples
    from distill.recipe import GateSettings

    steps: dict[str, dict[str, float]] = {}
    steal = machine.steal_seconds()
    watch = Watch(steps)
    found = watch.step("load the manifest", lambda: load_dataset(root / "manifest.csv"))
    if files:
        found, columns = watch.step("scan", lambda: scan(found, max_bad_share=0.01, workers=workers))
    else:
        columns = random_columns(rows, size=size)
    found = watch.step("split", lambda: with_splits(found, valid_share=0.15, test_share=0.15, seed=0))
    watch.step("write the run's list", lambda: save_samples(found, root / "run"))
    watch.step("write the scan", lambda: save_scan(columns, root / "run" / "scan.npz"))
    del found, columns
    found = watch.step("read the run's list", lambda: load_samples(root / "run"))
    columns = watch.step("read the scan", lambda: load_scan(root / "run" / "scan.npz"))
    watch.step("of the audit, duplicates", lambda: duplicates(found, columns))
    if rows <= _MOST_NARROW:
        watch.step("the same in five bands", lambda: duplicates(found, columns, narrow=True))
    report = (
        watch.step("audit", lambda: audit(found, columns, gates=GateSettings(), seed=0)) if files else None
    )
    return {
        "schema_version": 1,
        "machine": machine.describe(),
        "steal_s": (machine.steal_seconds() or 0.0) - (steal or 0.0),
        "rows": rows,
        "image_size": size,
        "workers": workers,
        "files": files,
        "steps": steps,
        "seconds": sum(step["seconds"] for step in steps.values()),
        "peak_mb": max(step["peak_mb"] for step in steps.values()),
        "audit": report
        and {"passed": report.passed, "checks": {check.name: check.value for check in report.checks}},
    }


def duplicates(found: Any, columns: Any, *, narrow: bool = False) -> None:
    """The part of an audit that looks at every row; ``narrow`` as it is for small sets, which is quadratic."""
    from unittest.mock import patch

    from distill.data.audit import duplicates as module
    from distill.data.audit.findings import facts_of

    facts = facts_of(found)
    with patch.object(module, "_CROWD", len(found.samples) if narrow else module._CROWD):
        module.near_duplicates(found.samples, facts, columns)
    module.exact_duplicates(found.samples, facts, columns)
    module.straddling_groups(found.samples, facts)


def random_columns(rows: int, *, size: int) -> Any:
    """A scan of as many JPEG files, no two of which look alike."""
    from distill.data.scan import Scan

    rng = np.random.default_rng(0)
    hashes = rng.integers(0, 2**64, (4, rows), np.uint64, endpoint=False)
    side = np.full(rows, size, np.int32)
    return Scan(
        format=np.zeros(rows, np.int8), quality=np.full(rows, 90, np.float32), width=side, height=side,
        bytes=rng.integers(900, 1100, rows, np.int64), content=hashes[:2].T, phash=hashes[2], dhash=hashes[3],
        thumbnail=rng.integers(0, 256, (rows, 48), np.uint8),
    )  # fmt: skip


class Watch:
    """Seconds and peak memory (this process and its workers, resident) of one step after the other."""

    def __init__(self, steps: dict[str, dict[str, float]]) -> None:
        self.steps = steps

    def step(self, name: str, work: Callable[[], Result]) -> Result:
        """Do ``work`` and note what it took."""
        peak = [0.0]
        stop = threading.Event()
        watcher = threading.Thread(target=_watch, args=(peak, stop), daemon=True)
        watcher.start()
        started = time.perf_counter()
        try:
            return work()
        finally:
            seconds = time.perf_counter() - started
            stop.set()
            watcher.join()
            self.steps[name] = {"seconds": seconds, "peak_mb": peak[0]}
            print(f"{name:<22} {seconds:8.1f} s {peak[0]:8.0f} MB", flush=True)


def _watch(peak: list[float], stop: threading.Event) -> None:
    while True:
        peak[0] = max(peak[0], resident_mb())
        if stop.wait(0.2):
            return


def resident_mb() -> float:
    """Memory of this process and all below it: private pages, so that what is shared counts once."""
    page_mb = resource.getpagesize() / 2**20
    mine = {str(os.getpid())}
    total = 0.0
    for stat in sorted(Path("/proc").glob("[0-9]*/stat"), key=lambda path: int(path.parent.name)):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
            if stat.parent.name in mine or fields[1] in mine:
                mine.add(stat.parent.name)
                resident, shared = (stat.parent / "statm").read_text().split()[1:3]
                total += (int(resident) - int(shared)) * page_mb
        except OSError:  # it ended meanwhile
            continue
    return total


def make_files(root: Path, *, rows: int, size: int, workers: int) -> None:
    """Different pictures, one in two generated, and the manifest that names them."""
    make_manifest(root, rows=rows)
    starts = range(0, rows, PER_FOLDER)
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        jobs = [pool.submit(_make_folder, str(root), start, min(PER_FOLDER, rows), size) for start in starts]
        for job in jobs:
            job.result()


def make_manifest(root: Path, *, rows: int) -> None:
    """The list of files."""
    root.mkdir(parents=True, exist_ok=True)
    with (root / "manifest.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label", "generator", "group"])
        for number in range(rows):
            fake = number % 2
            writer.writerow(
                [_name(number), fake, f"family{number % 10}" if fake else "", f"scene{number // 4}"]
            )


def _make_folder(root: str, start: int, count: int, size: int) -> None:
    Path(root, _name(start)).parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(start)
    cells = size // 4  # detail as a photograph of that size has about
    noise = rng.integers(0, 256, (count, cells, cells, 3), dtype=np.uint8)
    for offset in range(count):
        image = Image.fromarray(noise[offset]).resize((size, size), Image.Resampling.BICUBIC)
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=90)
        Path(root, _name(start + offset)).write_bytes(buffer.getvalue())


def _name(number: int) -> str:
    return f"{number // PER_FOLDER:05d}/{number:08d}.jpg"


def main() -> None:
    """Measure with the arguments of the command line and write the result."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--size", type=int, default=32, help="width and height of an image")
    parser.add_argument("--workers", type=int, default=machine.usable_threads())
    parser.add_argument(
        "--folder", type=Path, help="where the files are, or shall be (default: a temporary folder)"
    )
    parser.add_argument("--without-files", action="store_true", help="leave out the scan")
    parser.add_argument("--keep", action="store_true", help="keep the files for another run")
    parser.add_argument("--out", type=Path, default=RESULT)
    options = parser.parse_args()
    root = options.folder or Path(tempfile.mkdtemp(prefix="edgeproof-scale-"))
    try:
        if options.without_files:
            make_manifest(root, rows=options.rows)
        elif not (root / "manifest.csv").is_file():
            make_files(root, rows=options.rows, size=options.size, workers=options.workers)
        files = not options.without_files
        write_json(
            options.out,
            measure(root, rows=options.rows, size=options.size, workers=options.workers, files=files),
        )
    finally:
        if not options.keep:
            shutil.rmtree(root, ignore_errors=True)


if __name__ == "__main__":
    main()
