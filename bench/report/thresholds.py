"""Every model's verdicts: at its frozen threshold, or the likeliest of K classes."""

from collections.abc import Iterator

from bench.report.data import RunData
from bench.report.entry import Entry
from bench.report.measures import cells, titles
from bench.report.tables import table
from distill.page.blocks import Table
from distill.page.formats import count, fixed

_COUNTS = ("Real kept", "Real flagged", "Generated missed", "Generated caught")


def thresholds(run: RunData) -> Table:
    """Error measures of every model on test; of two classes with the threshold and the confusion counts."""
    measures = run.measures
    rows = tuple(
        (item.short, *(_at_threshold(item) if measures.detects else ()), *cells(item.test, measures.verdicts))
        for item in run.entries
        if item.test
    )
    own = ("Threshold", *_COUNTS) if measures.detects else ()
    heads = ("Model", *own, *titles(measures.verdicts))
    return table(measures.verdicts_title, heads, rows, note=measures.verdicts_note)


def _at_threshold(item: Entry) -> Iterator[str]:
    yield fixed(item.accuracy.threshold if item.accuracy else None)
    yield from (count(number) for row in (item.test.confusion if item.test else ()) for number in row)
