"""Is anything slower than it was? The rows of a bench against those of an earlier one. Torch-free."""

from dataclasses import dataclass

from bench.records.latency import BenchRecord, Row
from distill.errors import EdgeproofError

Key = tuple[object, ...]


@dataclass(frozen=True)
class Compared:
    """What the comparison says: ``regressed`` maps a row's title to the finding, ``notes`` is what could not be compared."""

    regressed: dict[str, str]
    notes: tuple[str, ...]
    rows: int


def compare_to(baseline: BenchRecord, found: BenchRecord, *, limit: float) -> Compared:
    """Compare rows of the same identity.

    A row regressed if its p50 is larger by more than ``limit`` *and* beyond the noise: the 95 % intervals of the two medians do
    not overlap, and even the shortest call is longer by half the limit, for a machine that is busier than it was slows most
    calls and hardly all. One that was measured and now fails has regressed too.

    Args:
        baseline: the earlier bench.
        found: this one.
        limit: 0.1 lets a p50 be a tenth longer.
    """
    before = {_key(row): row for row in baseline.rows if row.measured}
    after = {_key(row): row for row in found.rows}
    regressed: dict[str, str] = {}
    notes = _about_machines(baseline, found)
    for key, row in after.items():
        old = before.get(key)
        if old is None:
            notes += [f"{title(row)}: not in the baseline"] if row.measured else []
        elif row.status == "skipped":
            notes.append(f"{title(row)}: skipped, {row.reason}")
        elif not row.measured:
            regressed[title(row)] = f"{row.status}, was {old.p50_ms:.3f} ms ({row.reason})"
        elif row.p50_ci_ms is None or old.p50_ci_ms is None:
            notes.append(f"{title(row)}: too few rounds to tell a change from noise")
        elif _ratio(row, old) > 1 + limit and _beyond_noise(row, old, limit=limit):
            regressed[title(row)] = (
                f"p50 {row.p50_ms:.3f} ms, was {old.p50_ms:.3f} ms: {_ratio(row, old) - 1:+.0%}, at most {limit:+.0%}"
            )
    notes += [f"{title(row)}: in the baseline alone" for key, row in before.items() if key not in after]
    compared = [key for key, row in after.items() if key in before and row.status != "skipped"]
    return Compared(regressed, tuple(notes), len(compared))


def parse_limit(text: str) -> float:
    """``10%`` or ``0.1`` → 0.1; raises :class:`EdgeproofError` for anything else."""
    number = text.strip().removesuffix("%")
    try:
        value = float(number) / (100 if text.strip().endswith("%") else 1)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise EdgeproofError(f"--max-regression {text}: expected a share, as in 10% or 0.1")
    return value


def title(row: Row) -> str:
    """A row in a few words, no two alike."""
    made = row.precision if row.quantizer is None else f"{row.precision} ({row.quantizer})"
    return (
        f"{row.model} {row.runtime} {made} {row.input_size}px {row.threads} thread{'s' * (row.threads > 1)} "
        f"batch {row.batch} {row.scope.replace('_', ' ')}"
    )


def _key(row: Row) -> Key:
    return (
        row.model, row.runtime, row.precision, row.quantizer, row.threads, row.batch, row.input_size, row.scope,
    )  # fmt: skip


def _ratio(row: Row, old: Row) -> float:
    return (row.p50_ms or 0.0) / old.p50_ms if old.p50_ms else float("inf")


def _beyond_noise(row: Row, old: Row, *, limit: float) -> bool:
    if row.p50_ci_ms is None or old.p50_ci_ms is None or row.min_ms is None or old.min_ms is None:
        return False
    return row.p50_ci_ms[0] > old.p50_ci_ms[1] and row.min_ms > old.min_ms * (1 + limit / 2)


def _about_machines(baseline: BenchRecord, found: BenchRecord) -> list[str]:
    there, here = baseline.machine.cpu_model, found.machine.cpu_model
    notes = [f"the baseline was measured on another CPU: {there}, this is {here}"] if there != here else []
    if baseline.rules != found.rules:
        notes.append(f"the baseline was measured by the rules of {baseline.rules}, this by {found.rules}")
    return notes
