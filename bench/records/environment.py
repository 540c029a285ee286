"""What ran, where, and how long each stage took: ``environment.json``. Torch-free."""

from bench.records.machine import Machine
from distill.record import Record


class EnvironmentRecord(Record):
    """The machine with the versions installed, and wall-clock ``seconds`` by stage; ``created`` is an ISO time in UTC."""

    created: str
    machine: Machine
    command: str
    seconds: dict[str, float]
