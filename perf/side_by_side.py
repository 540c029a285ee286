"""Images a second, one by one and side by side: ``python -m perf.side_by_side ORT_ARTIFACT OV_ARTIFACT PHOTO``.

A list of 32 photos (decoded each time) and of 32 inputs (pixels at the model's size) goes through detectors of two CPU
threads that judge one at a time, decode two at a time, or judge two at a time. The detectors take turns, each in a
process of its own; the best and the median of all rounds stand. The result is ``perf/results/side-by-side.json``.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from distill import machine
from distill.files import write_json

RESULT = Path(__file__).parent / "results" / "side-by-side.json"
_IMAGES, _THREADS, _REPEATS = 32, 2, 8
_WAYS = ("one by one", "decoded side by side", "judged side by side")


def measure(*, artifacts: dict[str, Path], photo: Path, rounds: int) -> dict[str, Any]:
    """The content of the result file."""
    rates: dict[str, list[float]] = {}
    for _ in range(rounds):
        for runtime, artifact in artifacts.items():
            for way in _WAYS:
                code = [sys.executable, "-m", "perf.side_by_side", "--child", way]
                told = subprocess.run(
                    [*code, str(artifact), runtime, str(photo)], check=True, capture_output=True, text=True
                )
                for what, found in json.loads(told.stdout).items():
                    rates.setdefault(f"{runtime}, {what}, {way}", []).extend(found)
    rows = {
        name: {
            "images_per_s_best": round(max(found), 1),
            "images_per_s_p50": round(statistics.median(found), 1),
        }
        for name, found in sorted(rates.items())
    }
    return {
        "schema_version": 1, "machine": machine.describe(), "images": _IMAGES, "threads": _THREADS,
        "rounds": rounds, "rows": rows,
    }  # fmt: skip


def _child(way: str, artifact: str, runtime: str, photo: str) -> dict[str, list[float]]:
    from deploy import Detector

    several = 2 if way == "judged side by side" else None
    detector = Detector.load(artifact, runtime=runtime, threads=_THREADS, workers=several)
    if way == "one by one":
        detector.workers = 1
    content, spec = Path(photo).read_bytes(), detector.manifest.preprocess
    shape = (_IMAGES, spec.size, spec.size, 3)
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    rates: dict[str, list[float]] = {"photos": [], "inputs": []}
    for _ in range(_REPEATS):
        for what, work in (
            ("photos", lambda: detector.predict([content] * _IMAGES)),
            ("inputs", lambda: detector.run(pixels)),
        ):
            began = time.perf_counter()
            work()
            rates[what].append(_IMAGES / (time.perf_counter() - began))
    return rates


def main() -> None:
    """Measure and write the result file."""
    if sys.argv[1:2] == ["--child"]:
        print(json.dumps(_child(*sys.argv[2:])))
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("onnxruntime", type=Path, help="an artifact that ONNX Runtime loads")
    parser.add_argument("openvino", type=Path, help="one that OpenVINO loads")
    parser.add_argument("photo", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    artifacts = {"onnxruntime": given.onnxruntime, "openvino": given.openvino}
    write_json(RESULT, measure(artifacts=artifacts, photo=given.photo, rounds=given.rounds))


if __name__ == "__main__":
    main()
