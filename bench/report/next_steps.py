"""What to do next: what mends the checks that failed, else what would make this verdict worth more. One or two sentences."""

from collections.abc import Iterator

from bench.advice import advice
from bench.report.data import RunData
from bench.report.degradations import left_out
from bench.report.entry import Entry
from bench.report.gates import failed_checks
from bench.report.speed import noisy
from distill.evaluation.statistics import MIN_SEEDS

_MOST = 3
_NOISY = "Time it again on a quiet machine (edgeproof bench)."
_SEEDS = f"Train with at least {MIN_SEEDS} seeds (--seeds {MIN_SEEDS}), so that distillation can be judged."
_SWEEP = "Let the sweep look at degraded images (degradations.samples)."
_OWN = "Run the same on your own photographs (edgeproof run own --set data.path=FOLDER): these are simulated."


def next_steps(run: RunData, chosen: Entry | None) -> str:
    """Every distinct advice on what failed; where nothing did, the first few of what is left open."""
    if steps := dict.fromkeys(map(advice, failed_checks(run))):
        return " ".join(steps)
    return " ".join([*_open(run, chosen)][:_MOST])


def _open(run: RunData, chosen: Entry | None) -> Iterator[str]:
    found = run.accuracy.distillation.get(chosen.name) if run.accuracy and chosen else None
    if found and len(found.seeds) < MIN_SEEDS:
        yield _SEEDS
    row = run.timing(chosen, size=run.large) or run.timing(chosen) if chosen else None
    if row and noisy(run, row):
        yield _NOISY
    if run.measures.detects and left_out(run):
        yield _SWEEP
    if run.simulated:
        yield _OWN
    if chosen:
        yield f"Copy artifacts/{chosen.key} to the device, and run edgeproof selftest there."
