"""From a bench record of latencies to one with everything else, within a budget of seconds. Torch-free."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any, TypeVar

from bench.contestant import one_line
from bench.details.cold_start import cold_start
from bench.details.energy import POWERCAP, EnergyCounters, energy_mj
from bench.details.form import Form, form_of
from bench.details.layers import expensive_layers
from bench.details.throughput import open_form, request_of, throughput
from bench.limit.limit import Limit, measure_limit
from bench.limit.traffic import Traffic, model_traffic
from bench.records.latency import BenchRecord, Row
from deploy.artifact import MODEL_FILES
from distill.machine import usable_threads

SECONDS = 20.0
_PEAKS_SHARE = 0.3  # of the time goes into the race of convolutions
_NO_TIME = "no time was left for it"
Found = TypeVar("Found")
Tell = Callable[[str, int, int], None]


def add_details(
    record: BenchRecord,
    folders: Mapping[Form, Path],
    *,
    seconds: float = SECONDS,
    progress: Tell = lambda what, done, total: None,
    powercap: Path = POWERCAP,
    clock: Callable[[], float] = time.perf_counter,
) -> BenchRecord:
    """The same record with this CPU's peaks, and what is told of its rows of scope ``model``.

    Rows get their share of the roofline, costliest layers, throughput, cold start, memory and energy; INT8 comes first,
    the fastest first. What fails or finds no time left is never raised: ``absent`` says of each measure why rows lack it.

    Args:
        record: with latencies; measured on this machine, now.
        folders: :func:`bench.details.form_of` of a row → its artifact. PyTorch's rows have none.
        seconds: nothing begins after so many; a part of them goes to the peaks, which come first.
        progress: told what is measured, how much is done, of how much.
        powercap: where the energy counters are.
        clock: seconds; for tests.
    """
    measuring = _Measuring(until=clock() + seconds, clock=clock)
    rows = [row for row in record.rows if row.measured and row.scope == "model" and form_of(row) in folders]
    forms = list(dict.fromkeys(form_of(row) for row in sorted(rows, key=_importance)))
    total = 2 * len(forms) + 1
    limit = measuring.limit(rows, seconds=seconds * _PEAKS_SHARE, tell=lambda what: progress(what, 0, total))
    counters = measuring.attempt("energy", lambda: EnergyCounters(powercap)) if forms else None
    details = {form: _Details(form, folders[form], measuring, limit, counters) for form in forms}
    found: dict[int, dict[str, Any]] = {id(row): {} for row in rows}
    # What is cheap comes first for all: it is not to find the time spent.
    for number, (add, form) in enumerate(product((_Details.of_rows, _Details.of_form), forms), 1):
        progress(f"details of {form}", number, total)
        same = [row for row in rows if form_of(row) == form]
        for row, added in zip(same, add(details[form], same), strict=True):
            found[id(row)] |= added
    return record.model_copy(
        update={
            "peaks": limit.peaks,
            "memory_gb_per_s": limit.most_gb_per_s,
            "absent": record.absent | measuring.reasons(),
            "rows": tuple(row.model_copy(update=found.get(id(row), {})) for row in record.rows),
        }
    )


def _importance(row: Row) -> tuple[bool, float]:
    return row.precision != "int8", row.p50_ms or 0.0


@dataclass
class _Measuring:
    """The time that is left, and what failed of each measure: of which form, and why."""

    until: float
    clock: Callable[[], float]
    tried: dict[str, set[Form]] = field(default_factory=dict)
    failed: dict[str, dict[str, list[Form | None]]] = field(default_factory=dict)

    def attempt(
        self, measure: str, job: Callable[[], Found], *, form: Form | None = None, costly: bool = True
    ) -> Found | None:
        """What ``job`` finds; None with a reason if it fails, or if it is costly and too late to begin."""
        self.tried.setdefault(measure, set()).update({form} if form else ())
        reason = _NO_TIME
        if not costly or self.clock() < self.until:
            try:
                return job()
            except Exception as error:  # whatever a runtime raises costs this measure, not the bench
                reason = one_line(error)
        forms = self.failed.setdefault(measure, {}).setdefault(reason, [])
        if form not in forms:
            forms.append(form)
        return None

    def limit(self, rows: Sequence[Row], *, seconds: float, tell: Callable[[str], None]) -> Limit:
        """Peaks and bandwidth; without them where they cannot be had."""
        found = self.attempt("peaks", lambda: measure_limit(rows, budget_s=seconds, progress=tell))
        return found or Limit()

    def reasons(self) -> dict[str, str]:
        """Measure → why none, or why some rows do not have it."""
        return {
            measure: "; ".join(
                _told(reason, forms, of=len(self.tried[measure])) for reason, forms in failures.items()
            )
            for measure, failures in self.failed.items()
        }


def _told(reason: str, forms: Sequence[Form | None], *, of: int) -> str:
    if forms[0] is None or len(forms) == of:  # of none: of all
        return reason
    return f"{forms[0]}: {reason}" if len(forms) == 1 else f"{reason} ({len(forms)} of {of} models)"


@dataclass(frozen=True)
class _Details:
    """What is told of one form's rows."""

    form: Form
    folder: Path
    measuring: _Measuring
    limit: Limit
    counters: EnergyCounters | None

    def of_rows(self, rows: Sequence[Row]) -> list[dict[str, Any]]:
        """Roof, layers and energy, of each row its own."""
        traffic = self._try("roof", self._traffic, costly=False)
        return [self._of_row(row, traffic) for row in rows]

    def of_form(self, rows: Sequence[Row]) -> list[dict[str, Any]]:
        """Throughput, cold start and memory: the same for all rows."""
        found: dict[str, Any] = {}
        threads, cores = max(row.threads for row in rows), usable_threads()
        if rate := self._try("throughput", lambda: throughput(self.folder, self.form, cores=cores)):
            found["images_per_s"] = rate
        if start := self._try("cold start", lambda: cold_start(self.folder, self.form, threads=threads)):
            found |= {"cold_start_ms": start.ms, "peak_bytes": start.peak_bytes}
        return [found] * len(rows)

    def _of_row(self, row: Row, traffic: Traffic | None) -> dict[str, Any]:
        found: dict[str, Any] = {}
        if traffic:
            found["macs"] = traffic.macs if row.macs is None else row.macs
            found["roof"] = self._try("roof", lambda: self.limit.roof(row, traffic), costly=False)
        if row.batch == 1:  # what an artifact's file holds
            profile = self._try(
                "layers", lambda: expensive_layers(self.folder, self.form, threads=row.threads)
            )
            found["layers"] = profile or ()
            if counters := self.counters:
                found["energy_mj"] = self._try("energy", lambda: self._energy(row, counters))
        return found

    def _energy(self, row: Row, counters: EnergyCounters) -> float:
        session = open_form(self.folder, self.form, threads=row.threads)
        return energy_mj(request_of(session, self.form.input_size), counters)

    def _traffic(self) -> Traffic:
        path = self.folder / MODEL_FILES[self.form.runtime][0]
        return model_traffic(path, float_bytes=2 if self.form.precision == "bf16" else 4)

    def _try(self, measure: str, job: Callable[[], Found], *, costly: bool = True) -> Found | None:
        return self.measuring.attempt(measure, job, form=self.form, costly=costly)
