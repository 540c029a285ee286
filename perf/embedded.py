"""What a cold start and the memory of each way to run an artifact cost: ``python -m perf.embedded ARTIFACT... --headers DIR``.

The C and C++ programs are built from ``deploy/embedded/`` against the libraries of the installed wheels; ``--headers``
is the folder of ``onnxruntime_c_api.h``. Each way answers one image, its self-test included where the program has it, in
processes of its own, in turns. The result is ``perf/results/embedded.json``.
"""

import argparse
import json
import os
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from PIL import Image

import deploy
from deploy.artifact import Manifest, read_manifest
from distill import machine
from distill.files import write_json

RESULTS = Path(__file__).parent / "results"
SOURCES = Path(deploy.__file__).parent / "embedded"
PROGRAMS = {"onnxruntime": "detect_onnxruntime", "openvino": "detect_openvino"}
_PYTHON = """
import sys
from deploy.runtime import Detector
print(Detector.load(sys.argv[1], runtime=sys.argv[2], threads=1).predict(sys.argv[3]).probability)
"""
# A process between: what children's memory is told of is the largest of all that there were.
_MEASURE = """
import json, resource, subprocess, sys, time
started = time.perf_counter()
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
seconds, used = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps([seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024]))
"""


def build(folder: Path, *, headers: Path) -> None:
    """Both programs, in ``folder``."""
    found = [f"-DWHEELS={sysconfig.get_path('platlib')}", f"-DONNXRUNTIME_INCLUDE_DIR={headers.resolve()}"]
    for command in (
        ["cmake", "-S", str(SOURCES), "-B", str(folder), *found],
        ["cmake", "--build", str(folder)],
    ):
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def ways(
    artifact: Path, manifest: Manifest, *, programs: Path, photo: Path
) -> Iterator[tuple[str, list[str]]]:
    """Name and command of each way to answer ``photo``."""
    for runtime in manifest.runtimes:
        native = [str(programs / PROGRAMS[runtime]), str(artifact), str(photo)]
        yield f"{PROGRAMS[runtime]}, {manifest.precision}", native
        python = [sys.executable, "-c", _PYTHON, str(artifact), runtime, str(photo)]
        yield f"Detector, {runtime}, {manifest.precision}", python


def measure(command: list[str]) -> list[float]:
    """Of a process from its start to its end: seconds, seconds of processor time, largest resident memory in MiB."""
    answer = subprocess.run(
        [sys.executable, "-S", "-c", _MEASURE, *command], check=True, capture_output=True, text=True
    )
    return [float(value) for value in json.loads(answer.stdout)]


def collect(artifacts: list[Path], *, headers: Path, rounds: int) -> dict[str, Any]:
    """The content of the result file."""
    with tempfile.TemporaryDirectory(prefix="edgeproof-") as temporary:
        programs = Path(temporary, "build")
        commands: dict[str, list[str]] = {}
        build(programs, headers=headers)
        for artifact in artifacts:
            manifest = read_manifest(artifact)
            photo = Path(temporary, f"{manifest.preprocess.size}.ppm")
            pixels = np.random.default_rng(0).integers(0, 256, manifest.input.shape[1:])
            Image.fromarray(pixels.astype(np.uint8)).save(photo)
            commands.update(ways(artifact, manifest, programs=programs, photo=photo))
        found = [{name: measure(command) for name, command in commands.items()} for _ in range(rounds)]
    return {
        "schema_version": 1,
        "machine": machine.describe(),
        "load_average": os.getloadavg()[0],
        "rounds": rounds,
        "artifacts": [_described(read_manifest(artifact)) for artifact in artifacts],
        "ways": {name: _summary([one[name] for one in found]) for name in commands},
    }


def _described(manifest: Manifest) -> dict[str, Any]:
    size = sum(record.bytes for record in manifest.files.values())
    told = {"name": manifest.name, "size": manifest.preprocess.size, "precision": manifest.precision}
    return {**told, "runtimes": manifest.runtimes, "bytes": size}


def _summary(found: list[list[float]]) -> dict[str, float]:
    seconds, processor, memory = zip(*found, strict=True)
    return {
        "start_to_end_min_s": round(min(seconds), 4),
        "start_to_end_p50_s": round(median(seconds), 4),
        "processor_min_s": round(min(processor), 4),  # what a busy machine does not stretch as much
        "peak_mib": round(median(memory), 1),
    }


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("artifacts", type=Path, nargs="+", metavar="ARTIFACT")
    parser.add_argument("--headers", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=10)
    given = parser.parse_args()
    path = RESULTS / "embedded.json"
    write_json(path, collect(given.artifacts, headers=given.headers, rounds=given.rounds))
    print(path)


if __name__ == "__main__":
    main()
