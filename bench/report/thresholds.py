"""Every model's verdicts at its frozen threshold."""

from bench.report.data import RunData
from bench.report.tables import table
from distill.page.blocks import Table
from distill.page.formats import count, fixed


def thresholds(run: RunData) -> Table:
    """Confusion counts and error measures of every model at its frozen threshold, on test."""
    rows = []
    for item in run.entries:
        test = item.test
        if item.accuracy is None or test is None:
            continue
        (tn, fp), (fn, tp) = test.confusion
        measures = (test.balanced_accuracy, test.tpr_at_1fpr, test.ece, test.nll, test.brier)
        rows.append(
            (
                item.short,
                fixed(item.accuracy.threshold),
                *(count(n) for n in (tn, fp, fn, tp)),
                *map(fixed, measures),
            )
        )
    names = ("Real kept", "Real flagged", "Generated missed", "Generated caught")
    titles = ("Model", "Threshold", *names, "Balanced accuracy", "TPR at 1 % FPR", "ECE", "NLL", "Brier")
    note = "One threshold per model, frozen on clean validation images before the test split was read."
    return table("Verdicts at the frozen threshold", titles, rows, note=note)
