"""Every model's verdicts at its frozen threshold, rates at a fixed false-positive rate, and calibration; or of K classes."""

from bench.report.data import RunData
from bench.report.entry import Entry
from bench.report.measures import cells, titles
from bench.report.tables import table, without_empty
from distill.evaluation.statistics import wilson
from distill.page.blocks import Table
from distill.page.formats import count, fixed, with_interval

_RATES = "Caught, and what probabilities are worth"
_RATES_NOTE = (
    "On the test split. TPR at 1 or 5\u00a0% FPR: the share of generated images caught where at most that share of real ones is "
    "flagged; its interval is a bootstrap by group (scene). ECE before: of the network's own probabilities, before calibration "
    "on validation images; the INT8 form's beside its FP32 form's tells what INT8 changed."
)
_WILSON = " Intervals of shares: Wilson's, as if images were independent."


def verdicts(run: RunData) -> Table:
    """Error measures of every model on test; of two classes at the frozen threshold, with the share of each class."""
    measures = run.measures
    judged = [item for item in run.entries if item.test]
    if not measures.detects:
        rows = [(item.short, *cells(item.test, measures.verdicts)) for item in judged]
        heads = ("Model", *titles(measures.verdicts))
        return table(measures.verdicts_title, heads, rows, note=measures.verdicts_note)
    share = "Share [95\u00a0% CI]"
    heads = (
        "Model", "Threshold", "Generated caught", share, "Real kept", share, "Balanced accuracy", "F1"
    )  # fmt: skip
    rows = [(item.short, *_at_threshold(item)) for item in judged]
    return table(measures.verdicts_title, heads, rows, note=measures.verdicts_note + _WILSON)


def rates(run: RunData) -> Table | None:
    """What every model catches at a fixed false-positive rate, and its calibration; None of K classes."""
    wanted = run.measures.rates
    if not wanted:
        return None
    rows = tuple(
        (
            item.short,
            *cells(found, wanted),
            fixed(item.accuracy.ece_before if item.accuracy else None),
            fixed(found.ece),
            fixed(found.nll),
            fixed(found.brier),
        )
        for item in run.entries
        if (found := item.test)
    )
    heads = ("Model", *titles(wanted), "ECE before", "ECE", "NLL", "Brier")
    return without_empty(table(_RATES, heads, rows, note=_RATES_NOTE))


def _at_threshold(item: Entry) -> tuple[str, ...]:
    found = item.test
    if found is None or item.accuracy is None:
        return ()
    (tn, fp), (fn, tp) = found.confusion
    caught, kept = (tp, tp + fn), (tn, tn + fp)
    return (
        fixed(item.accuracy.threshold),
        *(
            text
            for pair in (caught, kept)
            for text in (f"{count(pair[0])} of {count(pair[1])}", _share(*pair))
        ),
        fixed(found.balanced_accuracy),
        fixed(found.f1),
    )


def _share(part: int, whole: int) -> str:
    return with_interval(part / whole if whole else None, wilson(part, whole))
