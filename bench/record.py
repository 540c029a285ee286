"""The bench record (``bench.json``): what was measured, on what, how far to believe it. Torch-free."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from distill.errors import EdgeproofError
from distill.files import write_json

SCHEMA_VERSION = 1
REFERENCE_S = 0.458  # inference of the frozen-feature ResNet18 in the reports this project grew from

Runtime = Literal["torch", "onnxruntime", "openvino"]
Precision = Literal["fp32", "bf16", "int8"]
Scope = Literal["model", "end_to_end"]
Status = Literal["ok", "failed", "skipped"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Row(_Frozen):
    """One contestant's latency. Times are milliseconds per call, pooled over all rounds.

    ``spread`` is ``(p90 - p10) / p50``; ``noisy`` says that steal, the spread or a drift between the two
    halves of the run is too large to trust the digits. ``speedup_vs_resnet18_eager`` is the median over
    rounds of that round's ratio to the reference row, ``speedup_range`` the 10th and 90th percentile of
    those ratios, and ``speedup_claimed`` whether the whole range lies above 1: no speed-up is claimed
    inside the spread. A row that is not ``ok`` has no times but a ``reason``.
    """

    model: str
    runtime: Runtime
    precision: Precision
    quantizer: str | None = None
    threads: int = Field(ge=1)
    batch: int = Field(default=1, ge=1)
    input_size: int = Field(ge=1)
    scope: Scope = "model"
    samples: int = 0
    min_ms: float | None = None
    p50_ms: float | None = None
    p90_ms: float | None = None
    p99_ms: float | None = None
    spread: float | None = None
    noisy: bool = False
    speedup_vs_reference: float | None = None
    speedup_vs_resnet18_eager: float | None = None
    speedup_range: tuple[float, float] | None = None
    speedup_claimed: bool = False
    bytes: int | None = None
    params: int | None = None
    macs: int | None = None
    metrics: dict[str, Any] | None = None
    status: Status = "ok"
    reason: str | None = None


class BenchRecord(_Frozen):
    """All rows of one run on one machine.

    ``machine`` is :func:`distill.machine.describe` and ``steal_share`` during the run (None where the OS does
    not tell); ``noisy`` says that too much was stolen for any row to be trusted.
    """

    schema_version: Literal[1] = 1
    created: str = Field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    machine: dict[str, Any]
    reference_s: float = REFERENCE_S
    noisy: bool = False
    rounds: int = 0
    seconds: float = 0.0
    rows: tuple[Row, ...]


def write_record(path: Path, record: BenchRecord) -> None:
    """Write the record as JSON, atomically."""
    write_json(path, record.model_dump(mode="json"))


def read_record(path: Path) -> BenchRecord:
    """Read a record.

    Raises:
        EdgeproofError: no such file, no JSON, another schema version, or a field that does not fit.

    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise EdgeproofError(f"{path}: cannot read the bench record ({error.strerror or error})") from None
    except ValueError as error:
        raise EdgeproofError(f"{path}: not a bench record, expected JSON ({error})") from None
    found = value.get("schema_version") if isinstance(value, dict) else None
    if found != SCHEMA_VERSION:
        raise EdgeproofError(f"{path}: schema_version is {found!r}, this edgeproof reads {SCHEMA_VERSION}")
    try:
        return BenchRecord.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise EdgeproofError(f"{path}: {place}: {first['msg']} (found {first['input']!r:.60})") from None
