"""What is left under the worst of the degradations that most photographs go through. One sentence of the verdict."""

from bench.report.data import RunData
from bench.report.degradations import cell, kinds, left_out
from bench.report.entry import Entry
from distill.data.transforms.degradations import CLEAN
from distill.page.formats import fixed, with_interval


def worst_claim(run: RunData, chosen: Entry | None) -> str:
    """AUC and balanced accuracy of the chosen model under the plausible degradation where its AUC is lowest."""
    if left_out(run):
        return "not measured (degradations.samples = 0), so nothing is claimed of compressed, shrunk or blurred images."
    found = [
        (kind, metrics)
        for kind in kinds(run)
        if chosen and kind.is_plausible and (metrics := cell(run, chosen, kind.name))
    ]
    known = [(metrics.auc, kind, metrics) for kind, metrics in found if metrics.auc is not None]
    if not known or chosen is None:
        return "not measured, so nothing is claimed of compressed, shrunk or blurred images."
    _, kind, worst = min(known, key=lambda item: item[0])
    clean = cell(run, chosen, CLEAN)
    before = f"; {fixed(clean.balanced_accuracy)} on the clean images" if clean else ""
    names = ", ".join(kind.title for kind, _ in found)
    return (
        f"of what most photographs go through ({names}) the worst is {kind.title}: AUC {with_interval(worst.auc, worst.auc_ci)}, "
        f"balanced accuracy at the frozen threshold {fixed(worst.balanced_accuracy)} (0.5 is guessing{before})."
    )
