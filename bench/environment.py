"""What ran, where, and how long each stage took: what ``environment.json`` holds. Torch-free."""

import importlib.metadata
import platform
import sys
from datetime import UTC, datetime

from bench.records.environment import EnvironmentRecord
from bench.records.machine import Machine
from distill.machine import versions
from distill.pipeline.stage import Run
from distill.pipeline.state import STATE, StageStates

PACKAGES = (
    "edgeproof", "torch", "torchvision", "timm", "lightning", "numpy", "pillow",
    "onnx", "onnxruntime", "openvino", "nncf", "neural-compressor",
)  # fmt: skip


def environment(run: Run) -> EnvironmentRecord:
    """Describe this process and machine, and the stages of the run so far.

    Raises:
        EdgeproofError: the record of the stages is damaged.
    """
    path = run.folder / STATE
    stages = StageStates.read(path).stages if path.is_file() else {}
    return EnvironmentRecord(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        edgeproof=importlib.metadata.version("edgeproof"),
        python=platform.python_version(),
        platform=platform.platform(),
        versions=versions(PACKAGES),
        machine=Machine.here(),
        command=" ".join(["edgeproof", *sys.argv[1:]]),
        seconds={name: entry.seconds for name, entry in stages.items()},
    )
