"""What may be said of speed: nothing inside the spread, and noise is called noise."""

from bench.records.latency import REFERENCE_S, Row
from bench.report.data import RunData


def beyond_spread(fast: Row, slow: Row) -> bool:
    """Whether ``fast`` is faster by more than the spread: its p90 lies under the other's minimum."""
    return fast.p90_ms is not None and slow.min_ms is not None and fast.p90_ms < slow.min_ms


def beats_resnet18(row: Row) -> bool:
    """Whether the bench claims the speed-up over ResNet18, and the ratio that is shown agrees with its interval."""
    return row.measured and row.speedup_claimed and not row.speedup_disagrees


def loses_to_resnet18(row: Row) -> bool:
    """Whether the row is slower than ResNet18 by more than the spread."""
    return row.speedup_ci is not None and row.speedup_ci[1] < 1


def beats_reported(row: Row) -> bool:
    """Whether the row's p90 lies under the reported 0.458 s."""
    return row.p90_ms is not None and row.p90_ms < REFERENCE_S * 1000


def noisy(run: RunData, row: Row | None) -> bool:
    """Whether the row, the reference it is compared with, or the whole bench was called noisy."""
    reference = None if row is None else run.reference_of(row)
    return any(item is not None and item.noisy for item in (run.bench, row, reference))
