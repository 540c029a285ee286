"""How soon a cold process gives its first answer, and its memory: ``python -m perf.startup ORT_ARTIFACT OV_ARTIFACT PHOTO``.

Each number is from processes of its own, the kinds in turn; the least of several rounds stands for an idle machine, and
seconds of CPU for a busy one. ``numpy`` alone is the floor. The result is ``perf/results/startup.json``.
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any

from bench.details.fresh_process import Cost, fresh_process
from distill import machine
from distill.files import write_json

RESULT = Path(__file__).parent / "results" / "startup.json"
_ANSWER = (
    "from deploy import Detector; Detector.load({artifact!r}, runtime={runtime!r}{more}).predict({photo!r})"
)


def measure(*, artifacts: dict[str, Path], photo: Path, rounds: int) -> dict[str, Any]:
    """The content of the result file."""
    found: dict[str, list[Cost]] = {}
    with tempfile.TemporaryDirectory() as cache:
        kinds = _kinds(artifacts, photo=photo, cache=cache)
        for turn in range(rounds + 1):
            for name, code in kinds.items():
                one = fresh_process(code)
                if turn:  # the first fills the page cache, and OpenVINO's
                    found.setdefault(name, []).append(one)
    rows = {name: _least(runs) for name, runs in found.items()}
    return {"schema_version": 1, "machine": machine.describe(), "rounds": rounds, "rows": rows}


def _least(runs: list[Cost]) -> dict[str, float]:
    return {
        "wall_s": round(min(one.wall_s for one in runs), 3),
        "cpu_s": round(min(one.cpu_s for one in runs), 3),
        "peak_mib": round(min(one.peak_bytes or 0 for one in runs) / 2**20, 3),
    }


def _kinds(artifacts: dict[str, Path], *, photo: Path, cache: str) -> dict[str, str]:
    kinds = {"python": "", "numpy": "import numpy", "import deploy.runtime": "import deploy.runtime"}
    for runtime, artifact in artifacts.items():
        options = {"artifact": str(artifact), "photo": str(photo), "runtime": runtime}
        kinds[f"import {runtime}"] = f"import {runtime}"
        kinds[f"first answer, {runtime}"] = _ANSWER.format(more="", **options)
        if runtime == "openvino":
            more = f", cache={cache!r}"
            kinds[f"first answer, {runtime}, cached"] = _ANSWER.format(more=more, **options)
    return kinds


def main() -> None:
    """Measure and write the result file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("onnxruntime", type=Path, help="an artifact that ONNX Runtime loads")
    parser.add_argument("openvino", type=Path, help="one that OpenVINO loads")
    parser.add_argument("photo", type=Path)
    parser.add_argument("--rounds", type=int, default=9)
    given = parser.parse_args()
    artifacts = {"onnxruntime": given.onnxruntime, "openvino": given.openvino}
    write_json(RESULT, measure(artifacts=artifacts, photo=given.photo, rounds=given.rounds))


if __name__ == "__main__":
    main()
