"""The roofline picture: how fast each row computes, against what this CPU can do (Williams et al. 2009)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.limit.roof import beyond_roof
from bench.records.latency import BenchRecord, Peak, Row
from bench.report.entry import PRECISIONS, RUNTIMES
from bench.report.labels import Box, box, overlap, place
from bench.report.style import MARKERS, picture
from distill.forms import Precision
from distill.page.blocks import Picture
from distill.page.charts import FAINT, HUES, INK, axes, legend_below, plain

_LINES: dict[Precision, Any] = {"int8": "-", "bf16": (0, (5, 2)), "fp32": (0, (1.2, 1.6))}
_LABEL_SIZE, _MARKER = 8.5, 55.0
_AXES_POINTS = 290  # about how high the axes become
_WIDE = 1.9  # room beside the outermost points, as a factor


@dataclass(frozen=True)
class _Point:
    row: Row
    x: float  # multiply-accumulates for each byte moved
    y: float  # giga multiply-accumulates a second
    share: float


def roofline(
    record: BenchRecord, *, chosen: str | None = None, colours: Mapping[str, str] | None = None
) -> Picture | None:
    """Every row that has a share of the roofline, of the most threads; None where no row has.

    Args:
        record: whose rows and peaks are drawn.
        chosen: the model that the title speaks of, and whose names find their place first.
        colours: model → its colour in the report's other pictures.
    """
    points = _points(record, chosen)
    if not points:
        return None
    threads = points[0].row.threads
    names = dict.fromkeys(point.row.model for point in points)
    hues = {name: HUES[index % len(HUES)] for index, name in enumerate(names)} | dict(colours or {})
    peaks = _best(record.peaks, threads)

    def draw(figure: Any) -> None:
        ax = axes(
            figure,
            x="Multiply-accumulates for each byte moved (log scale)",
            y="Giga multiply-accumulates a second (log scale)",
        )
        ax.set_xscale("log")
        ax.set_yscale("log")
        _limits(ax, points, peaks, record.memory_gb_per_s)
        _roofs(ax, peaks, record.memory_gb_per_s)
        for point in points:
            colour, int8 = hues[point.row.model], point.row.precision == "int8"
            ax.scatter(
                point.x, point.y, s=_MARKER, marker=MARKERS[point.row.runtime], edgecolors=colour,
                facecolors=colour if int8 else "none", linewidths=1.5, alpha=0.85, zorder=3,
            )  # fmt: skip
        _plain_ticks(ax)
        _key(figure, ax, points)
        figure.draw_without_rendering()  # settles the layout, so that labels can be placed in pixels
        _label(ax, points, hues)

    return picture("roofline", finding=_finding(record, points), draw=draw, width=8.6, height=5.2)


def _points(record: BenchRecord, chosen: str | None) -> list[_Point]:
    """The chosen model first, then INT8, then the nearest to its limit."""
    rows = [row for row in record.rows if row.roof and row.roof.moved_bytes and row.p50_ms]
    threads = max((row.threads for row in rows), default=0)
    found = []
    for row in rows:
        if row.roof and row.p50_ms and row.threads == threads:
            macs = row.roof.gmacs_per_s * row.p50_ms * 1e6
            found.append(_Point(row, macs / row.roof.moved_bytes, row.roof.gmacs_per_s, row.roof.share))
    return sorted(found, key=lambda p: (p.row.model != chosen, p.row.precision != "int8", -p.share))


def _best(peaks: Sequence[Peak], threads: int) -> dict[Precision, Peak]:
    """Of each precision the peak of the faster runtime."""
    found: dict[Precision, Peak] = {}
    for peak in sorted(peaks, key=lambda peak: peak.gmacs_per_s or 0.0):
        if peak.gmacs_per_s and peak.threads == threads:
            found[peak.precision] = peak
    return {name: found[name] for name in reversed(PRECISIONS) if name in found}


def _finding(record: BenchRecord, points: Sequence[_Point]) -> str:
    best = points[0]
    threads = "1 thread" if best.row.threads == 1 else f"{best.row.threads} threads"
    name = f"{_name(best.row, sized=True)} in {RUNTIMES[best.row.runtime]}"
    text = f"With {threads}, {name} reaches {best.share:.0%} of what this CPU can do"
    if any(peak.reason for peak in record.peaks if peak.gmacs_per_s and peak.threads == best.row.threads):
        text += "; the limit is doubtful, other programs ran"
    beyond = len(beyond_roof(record))
    if beyond:
        rows = "1 row is" if beyond == 1 else f"{beyond} rows are"
        text += f"; {rows} beyond the measured limit: it is too low, or the caches hold the model"
    return text


def _name(row: Row, *, sized: bool) -> str:
    size = f" {row.input_size}²" if sized else ""
    return f"{row.model} {row.precision.upper()}{size}"


def _limits(
    ax: Any, points: Sequence[_Point], peaks: Mapping[Precision, Peak], gb_per_s: float | None
) -> None:
    xs = [point.x for point in points]
    ys = [point.y for point in points] + [peak.gmacs_per_s or 0.0 for peak in peaks.values()]
    left, right = min(xs) / _WIDE, max(xs) * _WIDE
    if gb_per_s and peaks:  # the lowest roof's corner stays in sight
        left = min(left, min(peak.gmacs_per_s or 0.0 for peak in peaks.values()) / gb_per_s / _WIDE)
    ax.set_xlim(left, right)
    ax.set_ylim(min(ys) / _WIDE, max(ys) * 1.6)


def _roofs(ax: Any, peaks: Mapping[Precision, Peak], gb_per_s: float | None) -> None:
    left, right = ax.get_xlim()
    heights = {name: peak.gmacs_per_s or 0.0 for name, peak in peaks.items()}
    for name, height in heights.items():
        start = max(left, height / gb_per_s) if gb_per_s else left
        ax.plot([start, right], [height, height], color=INK, linewidth=1.3, linestyle=_LINES[name], zorder=2)
    _roof_labels(ax, heights)
    if gb_per_s and heights:
        end = min(right, max(heights.values()) / gb_per_s)
        ax.plot([left, end], [left * gb_per_s, end * gb_per_s], color=FAINT, linewidth=1.3, zorder=2)
        _slope_label(ax, gb_per_s)


def _roof_labels(ax: Any, heights: Mapping[Precision, float]) -> None:
    """Beside the axes, since inside some row or other has its marker there; a line apart, the lowest at its place."""
    low, high = ax.get_ylim()
    line = (high / low) ** (1.3 * _LABEL_SIZE / _AXES_POINTS)
    place_at = 0.0
    for name, height in sorted(heights.items(), key=lambda item: item[1]):
        place_at = max(height, place_at * line)
        ax.annotate(
            f"{name.upper()} {height:.0f} GMAC/s", (ax.get_xlim()[1], place_at), xytext=(4, 0),
            textcoords="offset points", ha="left", va="center", fontsize=_LABEL_SIZE, color=INK,
        )  # fmt: skip


def _slope_label(ax: Any, gb_per_s: float) -> None:
    """Along the slope, near its lower end in sight."""
    x = max(ax.get_xlim()[0], ax.get_ylim()[0] / gb_per_s) * 1.15
    ax.annotate(
        f"memory {gb_per_s:.0f} GB/s", (x, x * gb_per_s), xytext=(0, 4), textcoords="offset points",
        rotation=45, rotation_mode="anchor", transform_rotates_text=True, ha="left", va="bottom",
        fontsize=_LABEL_SIZE, color=FAINT,
    )  # fmt: skip


def _plain_ticks(ax: Any) -> None:
    """1, 2, 5, 10 instead of powers of ten."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(LogLocator(base=10, subs=(1.0, 2.0, 5.0)))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_minor_formatter(NullFormatter())


def _key(figure: Any, ax: Any, points: Sequence[_Point]) -> None:
    shared: dict[str, Any] = {"linestyle": "", "color": FAINT, "markersize": 6}
    runtimes = {point.row.runtime for point in points}
    for name, marker in MARKERS.items():
        if name in runtimes:
            ax.plot([], [], marker=marker, markerfacecolor="none", label=RUNTIMES[name], **shared)
    ax.plot([], [], marker="o", label="INT8 (filled)", **shared)
    legend_below(figure, ax)


def _label(ax: Any, points: Sequence[_Point], hues: Mapping[str, str]) -> None:
    """Names beside markers; one that finds no free place there is left to the table."""
    pixel = ax.figure.dpi / 72
    side, height = 1.2 * _MARKER**0.5 * pixel, 1.25 * _LABEL_SIZE * pixel
    centres = [tuple(ax.transData.transform((point.x, point.y))) for point in points]
    boxes = [box(centre, side, side) for centre in centres]
    taken = [*boxes, *(text.get_window_extent().extents for text in ax.texts)]
    frame = ax.get_window_extent().extents
    sized = len({point.row.input_size for point in points}) > 1
    for point, marker in zip(points, boxes, strict=True):
        text = f"{_name(point.row, sized=sized)}: {point.share:.0%}"
        found = place(
            marker, width=0.54 * _LABEL_SIZE * pixel * len(text), height=height, taken=taken, frame=frame
        )
        if overlap(found, taken) > 0 or not _beside(found, marker, height):
            continue
        taken.append(found)
        ax.annotate(
            plain(text), ((found[0] + found[2]) / 2, (found[1] + found[3]) / 2), xycoords="figure pixels",
            ha="center", va="center", fontsize=_LABEL_SIZE, color=hues[point.row.model],
        )  # fmt: skip


def _beside(label: Box, marker: Box, height: float) -> bool:
    """Whether nobody takes a label for another marker's: it is less than a line away."""
    return (
        max(label[1] - marker[3], marker[1] - label[3], label[0] - marker[2], marker[0] - label[2]) < height
    )
