"""The limit of this CPU for the rows of one bench: a peak for each setting, memory bandwidth for each number of threads."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from bench.limit.bandwidth import memory_gb_per_s
from bench.limit.peak import measure_peaks
from bench.limit.roof import roof_of
from bench.limit.runners import Setting
from bench.limit.traffic import Traffic
from bench.records.latency import Peak, Roof, Row
from distill.errors import EdgeproofError


@dataclass(frozen=True)
class Limit:
    """``gb_per_s`` is memory bandwidth by number of threads."""

    peaks: tuple[Peak, ...] = ()
    gb_per_s: Mapping[int, float] | None = None

    @property
    def most_gb_per_s(self) -> float | None:
        """Bandwidth with the most threads that any row has."""
        return self.gb_per_s[max(self.gb_per_s)] if self.gb_per_s else None

    def roof(self, row: Row, traffic: Traffic) -> Roof:
        """How near a row comes.

        Raises:
            EdgeproofError: its peak could not be measured, or it has no latency.
        """
        setting = setting_of(row)
        peak = next((one for one in self.peaks if _is_of(one, setting)), None)
        if peak is None or peak.gmacs_per_s is None:
            why = peak.reason if peak else "it was not measured"
            raise EdgeproofError(f"no peak of {row.runtime} in {row.precision}: {why}")
        bandwidth = (self.gb_per_s or {}).get(row.threads)
        roof = roof_of(
            traffic,
            p50_ms=row.p50_ms or 0.0,
            min_ms=row.min_ms,
            peak=peak,
            gb_per_s=bandwidth,
            batch=row.batch,
        )
        if roof is None:
            raise EdgeproofError("the row has no latency")
        return roof


def measure_limit(
    rows: Iterable[Row], *, budget_s: float, progress: Callable[[str], None] = lambda _: None
) -> Limit:
    """Measure what ``rows`` need; convolutions race for ``budget_s`` seconds."""
    settings = list(dict.fromkeys(setting_of(row) for row in rows if row.runtime != "torch"))
    if not settings:
        return Limit()
    progress("memory bandwidth")
    bandwidth = {threads: memory_gb_per_s(threads) for threads in sorted({one.threads for one in settings})}
    return Limit(measure_peaks(settings, budget_s=budget_s, progress=progress), bandwidth)


def setting_of(row: Row) -> Setting:
    """What the row's peak is the peak of."""
    return Setting(row.runtime, row.precision, row.threads)


def _is_of(peak: Peak, setting: Setting) -> bool:
    return (peak.runtime, peak.precision, peak.threads) == setting
