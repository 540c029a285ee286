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
Rules = Literal["edgeproof", "mlperf"]
Bound = Literal["compute", "memory"]


class Layer(Frozen):
    """One operation of a model by its runtime's own profiler: milliseconds of one call, share of the call, plain words."""

    name: str
    kind: str
    ms: float
    share: float
    words: str


class Roof(Frozen):
    """How near a row comes to what this CPU can do (Williams et al. 2009, the roofline model).

    ``attainable_ms`` is the time that ``macs`` and ``moved_bytes`` of one call take at the measured peak of this runtime,
    precision and number of threads, ``share`` is attainable over measured p50, ``bound`` tells which of the two it is.
    ``share_at_min`` is attainable over the minimum: what the model reaches when nothing disturbs it.
    """

    attainable_ms: float
    share: float
    share_at_min: float | None = None
    bound: Bound
    moved_bytes: int
    gmacs_per_s: float


class Peak(Frozen):
    """The fastest of several convolutions through one runtime: giga multiply-accumulates in a second, and its shape.

    ``reason`` says why there is none, or why one is doubtful.
    """

    runtime: Runtime
    precision: Precision
    threads: int = Field(ge=1)
    gmacs_per_s: float | None = None
    shape: str = ""
    reason: str | None = None


class Row(Frozen):
    """One contestant's latency. Times are milliseconds per call, pooled over all rounds.

    ``model`` is the name that the recipe gives it, ``quantizer`` that of the section that made an INT8 one.
    ``reference`` marks a row that ratios are taken to: by rows of the same input size, threads, batch and scope alone.
    ``speedup_vs_reference`` compares p50 with the reports' 0.458 s, which was measured at 224 × 224, and stands in rows of
    that size alone. ``spread`` is ``(p90 - p10) / p50``; ``noisy`` says that
    steal, the spread or a drift between the two halves of the run is too large to trust the digits.
    ``speedup_vs_resnet18_eager`` is the ratio of the two p50 that are shown; ``speedup_ci`` is the 95 % bootstrap interval of
    the ratio from paired rounds, ``speedup_disagrees`` says that the shown ratio lies outside of it, ``speedup_claimed``
    that the whole interval lies above 1: no speed-up is claimed inside the spread. ``mad_ms`` is the median absolute
    deviation, ``p50_ci_ms`` the bootstrap interval of the median. ``spoiled`` counts calls that something else interrupted,
    which were repeated; percentiles are of the others. Where hardly any others are left they count too, as long as they took,
    and the row is noisy.
    ``images_per_s`` is the throughput of all cores, ``peak_bytes`` the resident memory of a process that runs this model
    alone, ``cold_start_ms`` what such a process takes from start to its first answer, ``energy_mj`` millijoules of one call.
    A row that is not ``ok`` has no times but a ``reason``.
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
    mad_ms: float | None = None
    p50_ci_ms: tuple[float, float] | None = None
    spoiled: int = 0
    noisy: bool = False
    speedup_vs_reference: float | None = None
    speedup_vs_resnet18_eager: float | None = None
    speedup_ci: tuple[float, float] | None = None
    speedup_disagrees: bool = False
    speedup_claimed: bool = False
    images_per_s: float | None = None
    cold_start_ms: float | None = None
    peak_bytes: int | None = None
    energy_mj: float | None = None
    layers: tuple[Layer, ...] = ()
    roof: Roof | None = None
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
    """All rows of one run on one machine; ``noisy`` says that too much was stolen for any row to be trusted.

    ``isolated`` says that each runtime ran in a process of its own, ``waiting`` by runtime how its threads wait for work,
    ``rounds`` is the most visits of any row. ``absent`` tells of a measure that no row has, or not all of them, why: such as
    energy where no counter can be read. ``memory_gb_per_s`` is of as many threads as the row with the most of them has.
    """

    version = 3

    created: str = Field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    machine: Machine
    reference_s: float = REFERENCE_S
    noisy: bool = False
    rules: Rules = "edgeproof"
    isolated: bool = False
    waiting: dict[str, str] = Field(default_factory=dict)
    rounds: int = 0
    seconds: float = 0.0
    peaks: tuple[Peak, ...] = ()
    memory_gb_per_s: float | None = None
    absent: dict[str, str] = Field(default_factory=dict)
    rows: tuple[Row, ...]
