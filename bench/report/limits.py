"""What this CPU can do at most, and where the chosen model's time goes, layer by layer."""

from bench.report.cells import where
from bench.report.data import RunData
from bench.report.entry import Entry
from bench.report.tables import without_empty
from distill.page.blocks import Column, Table, columns
from distill.page.formats import NONE, count, milliseconds, percent, square

_MOST = 5


def peaks(run: RunData) -> Table:
    """The fastest convolutions of each runtime and precision, and the memory's bandwidth."""
    found = run.bench.peaks if run.bench else ()
    rows = tuple(
        (
            *where(peak.runtime, peak.precision.upper()),
            str(peak.threads),
            count(peak.gmacs_per_s),
            peak.shape or NONE,
            peak.reason or NONE,
        )
        for peak in found
    )
    heads = (*columns("Runtime", "Precision", "Threads", "GMAC/s", left=2), *_words("Shape", "Note"))
    memory = run.bench.memory_gb_per_s if run.bench else None
    note = f"Memory: {memory:.1f} GB/s." if memory is not None else ""
    return without_empty(Table("What this CPU reaches: convolutions", heads, rows, note))


def layers(run: RunData, chosen: Entry | None) -> Table:
    """The most expensive layers of the chosen model at each size, by its runtime's own profiler."""
    sizes = dict.fromkeys((run.large, run.trained_size(chosen.name))) if chosen else ()
    rows = tuple(
        (
            square(pixels),
            layer.words,
            layer.name,
            milliseconds(layer.ms),
            percent(layer.share, 0),
        )
        for pixels in sizes
        if chosen and (row := run.timing(chosen, size=pixels))
        for layer in sorted(row.layers, key=lambda layer: -layer.ms)[:_MOST]
    )
    heads = (*_words("Input", "Layer", "Its name"), *columns("ms", "Of the call", left=0))
    title = f"Where the time of {chosen.short} goes" if chosen else "Where the time goes"
    note = "By the runtime's own profiler, which takes time itself: read the shares."
    return Table(title, heads, rows, note)


def _words(*titles: str) -> tuple[Column, ...]:
    return tuple(Column(title, right=False) for title in titles)
