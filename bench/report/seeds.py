"""Every seed of every student, with the teacher and without."""

from collections.abc import Iterator

from bench.records.accuracy import Distillation
from bench.report.claims import distillation_claim
from bench.report.data import RunData
from bench.report.tables import table
from distill.page.blocks import Table
from distill.page.formats import fixed


def seeds(run: RunData) -> Table:
    """Every seed of every student, with and without distillation, best and last epoch."""
    found = run.accuracy.distillation if run.accuracy else {}
    rows = [row for name, student in found.items() for row in _rows(name, student)]
    titles = (
        "Student",
        "Seed",
        "Epoch",
        "AUC distilled",
        "AUC alone",
        "TPR at 5 % FPR distilled",
        "TPR at 5 % FPR alone",
    )
    claims = "; ".join(f"{name}: {distillation_claim(student)}" for name, student in found.items())
    return table("Seeds: all of them", titles, rows, note=f"{claims}." if claims else "")


def _rows(student: str, found: Distillation) -> Iterator[tuple[str, ...]]:
    for pair in found.seeds:
        for epoch, ours, theirs in (
            ("best", pair.distilled.best, pair.alone.best),
            ("last", pair.distilled.last, pair.alone.last),
        ):
            cells = (ours.auc, theirs.auc, ours.tpr_at_5fpr, theirs.tpr_at_5fpr)
            yield student, str(pair.seed), epoch, *map(fixed, cells)
