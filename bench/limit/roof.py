"""The roofline model (Williams et al. 2009): the least time that a call can take here, and the share that a row reaches."""

from bench.limit.traffic import Traffic
from bench.records.latency import BenchRecord, Peak, Roof, Row

OVER = 1.05  # a share above it is no noise


def roof_of(
    traffic: Traffic,
    *,
    p50_ms: float,
    peak: Peak,
    gb_per_s: float | None,
    min_ms: float | None = None,
    batch: int = 1,
) -> Roof | None:
    """How near a call of ``p50_ms`` comes to what this CPU can do; None where its peak is not known.

    Args:
        traffic: what the model computes and moves.
        p50_ms: of one call of ``batch`` images.
        peak: of its runtime, precision and threads.
        gb_per_s: of memory with as many threads; None leaves memory out.
        min_ms: the shortest call.
        batch: images in a call.
    """
    if not peak.gmacs_per_s or p50_ms <= 0:
        return None
    macs, moved = traffic.macs * batch, traffic.moved_bytes(batch)
    compute_ms = macs / peak.gmacs_per_s / 1e6
    memory_ms = moved / gb_per_s / 1e6 if gb_per_s else 0.0
    attainable = max(compute_ms, memory_ms)
    return Roof(
        attainable_ms=attainable,
        share=attainable / p50_ms,
        share_at_min=attainable / min_ms if min_ms else None,
        bound="memory" if memory_ms > compute_ms else "compute",
        moved_bytes=moved,
        gmacs_per_s=macs / p50_ms / 1e6,
    )


def beyond_roof(record: BenchRecord) -> list[Row]:
    """Rows that are faster than their roof allows: the peak was measured too low, or the model stays in the caches."""
    return [row for row in record.rows if row.roof and row.roof.share > OVER]
