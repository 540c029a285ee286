"""What may be said of speed: nothing inside the spread, and noise is called noise."""

from bench.report.data import REFERENCE_S, Json, RunData, interval, number


def measured(row: Json) -> bool:
    """Whether a bench row holds a latency."""
    return row.get("status") == "ok" and number(row, "p50_ms") is not None


def beyond_spread(fast: Json, slow: Json) -> bool:
    """Whether ``fast`` is faster by more than the spread: its p90 lies under the other's minimum."""
    high, low = number(fast, "p90_ms"), number(slow, "min_ms")
    return high is not None and low is not None and high < low


def beats_resnet18(run: RunData, row: Json) -> bool:
    """Whether the bench claims the speed-up over ResNet18; by the ranges where it does not say."""
    claimed = row.get("speedup_claimed")
    return claimed if isinstance(claimed, bool) else beyond_spread(row, run.reference_row)


def loses_to_resnet18(run: RunData, row: Json) -> bool:
    """Whether the row is slower than ResNet18 by more than the spread."""
    ratios = interval(row, "speedup_range")
    return ratios[1] < 1 if ratios else beyond_spread(run.reference_row, row)


def beats_reported(row: Json) -> bool:
    """Whether the row's p90 lies under the reported 0.458 s."""
    high = number(row, "p90_ms")
    return high is not None and high < REFERENCE_S * 1000


def noisy(run: RunData, row: Json) -> bool:
    """Whether the row, the reference it is compared with, or the whole bench was called noisy."""
    return any(item.get("noisy") is True for item in (run.bench, row, run.reference_row))
