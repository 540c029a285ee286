"""Photos of as many pixels as the default limits allow, in every format: memory and time of a fresh process for one of them."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from distill.preprocess import MAX_PIXELS
from perf.attack.case import Outcome
from perf.attack.table import Table

MOST_BYTES, MOST_S = 1_000_000_000, 2.0
_LOOK_EVERY_S = 0.005
_GREEDY = ("WEBP", "AVIF")
_FORMS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("JPEG", "RGB", {}), ("JPEG", "RGB", {"progressive": True}), ("JPEG", "CMYK", {}), ("PNG", "RGB", {}), ("PNG", "RGBA", {}),
    ("PNG", "P", {"transparency": 0}), ("PNG", "1", {}), ("PNG", "I;16", {}), ("BMP", "RGB", {}), ("GIF", "P", {}),
    ("TIFF", "RGB", {"compression": "tiff_lzw"}), ("TIFF", "RGBA", {"compression": "tiff_adobe_deflate"}),
    ("WEBP", "RGB", {}), ("WEBP", "RGBA", {"lossless": True}), ("AVIF", "RGB", {"speed": 10}),
)  # fmt: skip


def largest(table: Table, *, root: Path) -> None:
    """Predict each form once; processor seconds beyond those for a small photo, and resident memory."""
    small = root / "small.png"
    Image.new("RGB", (256, 256)).save(small)
    start = min(_predict(small).seconds for _ in range(3))
    for name, path in _photos(root):
        outcome = _predict(path)
        path.unlink()
        row = table.row(f"largest {name}")
        row.tried, row.commands = 1, 1
        row.peak_mb, row.slowest_s = outcome.peak_bytes / 1e6, max(0.0, outcome.seconds - start)
        problems = [f"exit code {outcome.code}"] * (outcome.code != 0)
        problems += [f"{row.peak_mb:.0f} MB"] * (outcome.peak_bytes > MOST_BYTES) + [
            f"{row.slowest_s:.1f} s"
        ] * (row.slowest_s > MOST_S)
        row.survived = not problems
        if problems:
            table.find(f"largest {name}", ", ".join(problems))


def _photos(root: Path) -> Iterator[tuple[str, Path]]:
    for kind, mode, options in _FORMS:
        pixels = MAX_PIXELS // (2 if kind in _GREEDY else 1)
        width = 8192
        path = root / f"largest.{kind.lower()}"
        _picture(width, pixels // width, mode).save(path, kind, **options)
        yield " ".join((kind, mode, *options)), path


def _picture(width: int, height: int, mode: str) -> Image.Image:
    """Coarse noise: neither nothing to compress nor nothing that can be."""
    coarse = np.random.default_rng(0).integers(0, 256, (height // 16, width // 16, 3), dtype=np.uint8)
    if mode == "I;16":
        return Image.fromarray((coarse[:, :, 0].astype(np.uint16) * 256).repeat(16, 0).repeat(16, 1))
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.NEAREST).convert(mode)


def _predict(photo: Path) -> Outcome:
    options = ["--json", "--runtime", "onnxruntime", "--threads", "1"]
    code = [sys.executable, "-m", "distill", "predict", "simulated-64", str(photo), *options]
    process = subprocess.Popen(code, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    peak_bytes = 0
    while os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        peak_bytes = max(peak_bytes, _peak_bytes(process.pid))
        time.sleep(_LOOK_EVERY_S)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return Outcome(code=process.returncode, seconds=usage.ru_utime + usage.ru_stime, peak_bytes=peak_bytes)


def _peak_bytes(process: int) -> int:
    """The most that it has held so far; ``ru_maxrss`` begins with what its parent held, whose pictures are large."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), 0)
