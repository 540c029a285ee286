"""The bench record (``bench.json``): what was measured, on what, how far to believe it. Torch-free."""

from datetime import UTC, datetime
from typing import Literal

from pydantic import Field

from bench.records.identity import Runtime
from bench.records.machine import Machine
from distill.forms import Precision
from distill.record import Frozen, Record

REFERENCE_S = 0.458  # inference of the frozen-feature ResNet18 in the reports this project grew from

Scope = Literal["model", "end_to_end"]
Status = Literal["ok", "failed", "skipped"]


class Row(Frozen):
    """One contestant's latency. Times are milliseconds per call, pooled over all rounds.

    ``model`` is the name that the recipe gives it, ``quantizer`` that of the section that made an INT8 one.
    ``reference`` marks the row that ratios are taken to. ``spread`` is ``(p90 - p10) / p50``; ``noisy`` says that
    steal, the spread or a drift between the two halves of the run is too large to trust the digits.
    ``speedup_vs_resnet18_eager`` is the median over rounds of that round's ratio to the reference row,
    ``speedup_range`` the 10th and 90th percentile of those ratios, and ``speedup_claimed`` whether the whole range
    lies above 1: no speed-up is claimed inside the spread. A row that is not ``ok`` has no times but a ``reason``.
    """

    model: str
    runtime: Runtime
    precision: Precision
    quantizer: str | None = None
    threads: int = Field(ge=1)
    batch: int = Field(default=1, ge=1)
    input_size: int = Field(ge=1)
    scope: Scope = "model"
    reference: bool = False
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
    metrics: dict[str, float] | None = None
    status: Status = "ok"
    reason: str | None = None

    @property
    def measured(self) -> bool:
        """Whether it holds a latency."""
        return self.status == "ok" and self.p50_ms is not None


class BenchRecord(Record):
    """All rows of one run on one machine; ``noisy`` says that too much was stolen for any row to be trusted."""

    version = 2

    created: str = Field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    machine: Machine
    reference_s: float = REFERENCE_S
    noisy: bool = False
    rounds: int = 0
    seconds: float = 0.0
    rows: tuple[Row, ...]
