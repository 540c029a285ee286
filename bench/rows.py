"""A row from what was measured: percentiles, intervals, ratios, and whether they can be trusted. Torch-free."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from bench.contestant import Contestant
from bench.entry import Entry
from bench.intervals import Floats, median_interval, ratio_interval
from bench.noise import is_noisy, is_stolen
from bench.records.latency import REFERENCE_S, Row

REPORTS_SIZE = 224  # the input size of the reports' 0.458 s
MIN_PAIRED_ROUNDS = 10  # behind a claim

_IDENTITY = [name for name in Row.model_fields if name in Contestant.__dataclass_fields__]


def rows_of(entries: Iterable[Entry], *, steal_share: float | None) -> list[Row]:
    """A row for each, in their order; ratios are taken to the reference of the same league."""
    entries = list(entries)
    references = {
        entry.contestant.league: entry
        for entry in entries
        if entry.contestant.reference and entry.status == "ok"
    }
    return [
        _row(entry, references.get(entry.contestant.league), stolen=is_stolen(steal_share))
        for entry in entries
    ]


def _row(entry: Entry, reference: Entry | None, *, stolen: bool) -> Row:
    identity = {name: getattr(entry.contestant, name) for name in _IDENTITY}
    if entry.status != "ok":
        return Row(**identity, status=entry.status, reason=entry.reason)
    rounds = entry.samples.by_round()
    pooled = entry.samples.pooled()
    interval = median_interval(list(rounds.values()))
    p10, p50, p90, p99 = _percentiles(pooled)
    samples = entry.samples
    noisy = stolen or samples.mostly_spoiled or is_noisy(pooled, interval)
    return Row(
        **identity,
        samples=pooled.size,
        min_ms=entry.samples.shortest,
        p50_ms=p50,
        p90_ms=p90,
        p99_ms=p99,
        spread=(p90 - p10) / p50 if p50 else 0.0,
        mad_ms=float(np.median(np.abs(pooled - p50))),
        p50_ci_ms=interval,
        spoiled=samples.size - pooled.size
        if samples.drops_spoiled and not samples.mostly_spoiled
        else samples.spoiled,
        noisy=noisy,
        speedup_vs_reference=_over_the_reports(entry.contestant, p50),
        **_speedup(entry, reference),
    )


def _percentiles(pooled: Floats) -> tuple[float, float, float, float]:
    p10, p50, p90, p99 = (float(value) for value in np.percentile(pooled, [10, 50, 90, 99]))
    return p10, p50, p90, p99


def _over_the_reports(contestant: Contestant, p50: float) -> float | None:
    """The reports timed one image of 224 × 224: nothing else compares with it."""
    alike = contestant.input_size == REPORTS_SIZE and contestant.batch == 1
    return REFERENCE_S * 1e3 / p50 if alike and p50 else None


def _speedup(entry: Entry, reference: Entry | None) -> dict[str, Any]:
    """The ratio of the two medians that are shown, and the interval from the rounds that both took part in."""
    if reference is None:
        return {}
    own, theirs = entry.samples.pooled(), reference.samples.pooled()
    if not np.median(own) > 0:
        return {}
    shown = float(np.median(theirs) / np.median(own))
    found = ratio_interval(entry.samples.by_round(), reference.samples.by_round())
    if found is None:
        return {"speedup_vs_resnet18_eager": shown}
    (low, high), rounds = found
    return {
        "speedup_vs_resnet18_eager": shown,
        "speedup_ci": (low, high),
        "speedup_disagrees": not low <= shown <= high,
        "speedup_claimed": low > 1 and rounds >= MIN_PAIRED_ROUNDS and _comparable(entry, reference),
    }


def _comparable(entry: Entry, reference: Entry) -> bool:
    """Whether a ratio may be claimed: never inside the spread, nor of calls that others slowed to calls that they did not.

    Nine of ten calls are to be faster than nine of ten of the reference.
    """
    if entry.samples.disturbed or reference.samples.disturbed:
        return False
    own, theirs = entry.samples.pooled(), reference.samples.pooled()
    return float(np.percentile(own, 90)) < float(np.percentile(theirs, 10))
