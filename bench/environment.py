"""What ran, where, and how long each stage took: what ``environment.json`` holds. Torch-free."""

import sys
from datetime import UTC, datetime

from bench.records.environment import EnvironmentRecord
from bench.records.machine import Machine
from distill.pipeline.stage import Run
from distill.pipeline.state import STATE, StageStates


def environment(run: Run) -> EnvironmentRecord:
    """Describe this process and machine, and the stages of the run so far.

    Raises:
        EdgeproofError: the record of the stages is damaged.
    """
    path = run.folder / STATE
    stages = StageStates.read(path).stages if path.is_file() else {}
    return EnvironmentRecord(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        machine=Machine.here(),
        command=" ".join(["edgeproof", *sys.argv[1:]]),
        seconds={name: entry.seconds for name, entry in stages.items()},
    )
