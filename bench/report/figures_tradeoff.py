"""The picture of accuracy against latency."""

from dataclasses import dataclass
from typing import Any

from bench.report.data import RunData
from bench.report.entry import RUNTIMES, Entry
from bench.report.labels import box, near, place
from bench.report.style import MARKERS, colour_of, marker_of, picture
from distill.page.blocks import Picture
from distill.page.charts import FAINT, axes, legend, plain
from distill.page.formats import milliseconds

_AREA = (40.0, 900.0)
_LABEL_SIZE = 8.5


@dataclass(frozen=True)
class _Point:
    item: Entry
    p50: float
    score: float
    area: float


def tradeoff(run: RunData, chosen: Entry | None) -> Picture | None:
    """Accuracy against latency; the marker's area is the file size."""
    points = _points(run)
    if not points:
        return None

    def draw(figure: Any) -> None:
        ax = axes(figure, x="Latency p50, ms, model only (log scale)", y=f"{run.measures.title} on test")
        ax.set_xscale("log")
        for point in points:
            colour = colour_of(run, point.item.name)
            fill = colour if point.item.is_int8 else "none"
            marker = marker_of(point.item)
            style = {"facecolors": fill, "edgecolors": colour, "linewidths": 1.5, "alpha": 0.85}
            ax.scatter(point.p50, point.score, s=point.area, marker=marker, **style)
        ax.margins(x=0.12, y=0.16)
        plain_log(ax)
        _trade_key(ax)
        figure.draw_without_rendering()  # settles the layout, so that labels can be placed in pixels
        _label_points(ax, run, points)

    best = next((p for p in points if p.item == chosen), None)
    finding = "Accuracy against latency"
    if best:
        finding = f"{best.item.short}: {run.measures.name} {best.score:.3f} at {milliseconds(best.p50)} ms"
    return picture("accuracy_latency", finding=finding, draw=draw, width=8.6, height=5.0)


def _points(run: RunData) -> list[_Point]:
    rows = [(item, row) for item in run.entries if (row := run.timing(item)) and row.measured]
    most = max((row.bytes or 0 for _, row in rows), default=0) or 1
    found = []
    for item, row in rows:
        if row.p50_ms and item.score is not None:
            area = _AREA[0] + (_AREA[1] - _AREA[0]) * (row.bytes or 0) / most
            found.append(_Point(item, row.p50_ms, item.score, area))
    return found


def _label_points(ax: Any, run: RunData, points: list[_Point]) -> None:
    """Write each model's name beside its marker, where no other name or marker is.

    The marker tells the runtime, so close models that differ in nothing else share one name.
    """
    pixel = ax.figure.dpi / 72
    centres = [tuple(ax.transData.transform((p.p50, p.score))) for p in points]
    sides = [1.2 * p.area**0.5 * pixel for p in points]
    boxes = [box(centre, side, side) for centre, side in zip(centres, sides, strict=True)]
    taken = [*boxes, ax.get_legend().get_window_extent().extents]
    done: list[tuple[str, Any]] = []
    for point, centre, marker in sorted(zip(points, centres, boxes, strict=True), key=lambda p: p[1]):
        text = point.item.label + (f" {point.item.precision}" if point.item.is_int8 else "")
        if any(text == name and near(centre, other, 60 * pixel) for name, other in done):
            continue
        width, height = 0.56 * _LABEL_SIZE * pixel * len(text), 1.25 * _LABEL_SIZE * pixel
        found = place(marker, width=width, height=height, taken=taken, frame=ax.get_window_extent().extents)
        taken.append(found)
        done.append((text, centre))
        ax.annotate(
            plain(text), ((found[0] + found[2]) / 2, (found[1] + found[3]) / 2), xycoords="figure pixels",
            ha="center", va="center", fontsize=_LABEL_SIZE, color=colour_of(run, point.item.name),
        )  # fmt: skip


def plain_log(ax: Any) -> None:
    """Ticks such as 0.1, 0.2, 0.5, 1 instead of powers of ten."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    ax.xaxis.set_major_locator(LogLocator(base=10, subs=(1.0, 2.0, 5.0)))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.xaxis.set_minor_formatter(NullFormatter())


def _trade_key(ax: Any) -> None:
    from matplotlib.lines import Line2D

    shared: dict[str, Any] = {"linestyle": "", "color": FAINT, "markersize": 6}
    handles = [
        Line2D([], [], marker=m, markerfacecolor="none", label=RUNTIMES[name], **shared)
        for name, m in MARKERS.items()
    ]
    handles.append(Line2D([], [], marker="o", label="INT8 (filled)", **shared))
    # beside the axes: inside, some run or other has a point in every corner
    legend(ax, handles=handles, loc="upper left", bbox_to_anchor=(1.0, 1.0), title="area: file size")
