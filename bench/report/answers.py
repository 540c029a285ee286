"""Three answers instead of two: how often every model is sure, and how often it errs then."""

from collections.abc import Iterator

from bench.report.data import RunData
from bench.report.tables import table
from distill.page.blocks import Table
from distill.page.formats import NONE, fixed, percent

_TITLES = (
    "Model", "Not sure", "Answered (TRR)", "Right of these", "Real called generated", "Generated called real",
)  # fmt: skip
_NOTE = (
    "On the test split. Where the probability lies inside the band the answer is “not sure”; the band was fitted on "
    "validation images so that of either class at most 5 % are answered wrongly (more on other images than those). "
    "TRR: trial response rate, the share of all images that get an answer. The last two are shares of all real and of "
    "all generated images."
)


def answers(run: RunData) -> Table:
    """Every model that has a band, on the test split."""
    return table("Verdicts with a band", _TITLES, tuple(_rows(run)), note=_NOTE)


def _rows(run: RunData) -> Iterator[tuple[str, ...]]:
    for item in run.entries:
        found = item.accuracy
        if found is None or found.band is None or "test" not in found.answered:
            continue
        band, test = found.band, found.answered["test"]
        yield (
            item.short,
            f"{fixed(band.low)} to {fixed(band.high)}" if band.low < band.high else NONE,
            *map(percent, (test.share, test.accuracy, test.false_positive_rate, test.miss_rate)),
        )
