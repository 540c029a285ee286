"""Bench rows and records with few fields that matter."""

from typing import Any

from bench.records.latency import BenchRecord, Row
from bench.records.machine import Machine


def row(**given: Any) -> Row:
    """An INT8 row of OpenVINO, one thread, 1 ms."""
    plain: dict[str, Any] = {
        "model": "tiny", "runtime": "openvino", "precision": "int8", "threads": 1, "input_size": 32,
        "samples": 9, "min_ms": 0.9, "p50_ms": 1.0, "p90_ms": 1.1, "p99_ms": 1.2, "spread": 0.1,
    }  # fmt: skip
    return Row(**plain | given)


def record(*rows: Row, **given: Any) -> BenchRecord:
    machine = Machine(
        cpu_model="a CPU", isa_flags=(), cores=2, threads=2, has_int8_dot=True, has_bf16=True, usable_threads=2,
        governor=None, memory_gib=8.0, os="Linux", python="3.11", versions={},
    )  # fmt: skip
    return BenchRecord(machine=machine, rows=rows, **given)
