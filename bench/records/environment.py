"""What ran, where, and how long each stage took: ``environment.json``. Torch-free."""

from bench.records.machine import Machine
from distill.record import Record


class EnvironmentRecord(Record):
    """``versions`` by package, wall-clock ``seconds`` by stage; ``created`` is an ISO time in UTC."""

    created: str
    edgeproof: str
    python: str
    platform: str
    versions: dict[str, str]
    machine: Machine
    command: str
    seconds: dict[str, float]
