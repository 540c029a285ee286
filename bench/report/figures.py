"""The report's pictures, each titled with its finding."""

from collections import defaultdict
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from bench.report.data import RUNTIMES, Contestant, History, RunData, number
from bench.report.labels import box, near, place
from bench.report.plots import colour_of, picture
from bench.report.speed import measured
from distill.page.blocks import Picture
from distill.page.charts import FAINT, INK, axes, legend, plain
from distill.page.formats import milliseconds

MARKERS = {"torch": "o", "onnxruntime": "s", "openvino": "D"}
_AREA = (40.0, 900.0)
_LABEL_SIZE = 8.5


def slug(text: str) -> str:
    """A file stem from any name."""
    return "".join(c if c.isascii() and (c.isalnum() or c == "-") else "_" for c in text) or "model"


@dataclass(frozen=True)
class _Point:
    item: Contestant
    p50: float
    auc: float
    area: float


def tradeoff(run: RunData, chosen: Contestant | None) -> Picture | None:
    """Accuracy against latency; the marker's area is the file size."""
    points = _points(run)
    if not points:
        return None

    def draw(figure: Any) -> None:
        ax = axes(figure, x="Latency p50, ms, model only (log scale)", y="AUC on test")
        ax.set_xscale("log")
        for point in points:
            colour = colour_of(run, point.item.student)
            fill = colour if point.item.precision == "int8" else "none"
            marker = MARKERS.get(point.item.runtime, "o")
            style = {"facecolors": fill, "edgecolors": colour, "linewidths": 1.5, "alpha": 0.85}
            ax.scatter(point.p50, point.auc, s=point.area, marker=marker, **style)
        ax.margins(x=0.12, y=0.16)
        _plain_log(ax)
        _trade_key(ax)
        figure.draw_without_rendering()  # settles the layout, so that labels can be placed in pixels
        _label_points(ax, run, points)

    best = next((p for p in points if p.item == chosen), None)
    finding = "Accuracy against latency"
    if best:
        finding = f"{best.item.short}: AUC {best.auc:.3f} at {milliseconds(best.p50)} ms"
    return picture("accuracy_latency", finding=finding, draw=draw, width=8.6, height=5.0)


def _points(run: RunData) -> list[_Point]:
    rows = [(item, run.timing(item)) for item in run.contestants]
    most = max((number(row, "bytes") or 0.0 for _, row in rows), default=0.0) or 1.0
    found = []
    for item, row in rows:
        p50, auc = number(row, "p50_ms"), number(item.accuracy, "splits", "test", "auc")
        if measured(row) and p50 and auc is not None:
            share = (number(row, "bytes") or 0.0) / most
            found.append(_Point(item, p50, auc, _AREA[0] + (_AREA[1] - _AREA[0]) * share))
    return found


def _label_points(ax: Any, run: RunData, points: list[_Point]) -> None:
    """Write each model's name beside its marker, where no other name or marker is.

    The marker tells the runtime, so close models that differ in nothing else share one name.
    """
    pixel = ax.figure.dpi / 72
    centres = [tuple(ax.transData.transform((p.p50, p.auc))) for p in points]
    sides = [1.2 * p.area**0.5 * pixel for p in points]
    boxes = [box(centre, side, side) for centre, side in zip(centres, sides, strict=True)]
    taken = [*boxes, ax.get_legend().get_window_extent().extents]
    done: list[tuple[str, Any]] = []
    for point, centre, marker in sorted(zip(points, centres, boxes, strict=True), key=lambda p: p[1]):
        text = point.item.label + (" INT8" if point.item.precision == "int8" else "")
        if any(text == name and near(centre, other, 60 * pixel) for name, other in done):
            continue
        width, height = 0.56 * _LABEL_SIZE * pixel * len(text), 1.25 * _LABEL_SIZE * pixel
        found = place(marker, width=width, height=height, taken=taken, frame=ax.get_window_extent().extents)
        taken.append(found)
        done.append((text, centre))
        ax.annotate(
            plain(text), ((found[0] + found[2]) / 2, (found[1] + found[3]) / 2), xycoords="figure pixels",
            ha="center", va="center", fontsize=_LABEL_SIZE, color=colour_of(run, point.item.student),
        )  # fmt: skip


def _plain_log(ax: Any) -> None:
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


def training(run: RunData, student: str) -> Picture | None:
    """Validation AUC by epoch of every seed, with and without distillation."""
    curves = [
        (h, *_curve(h)) for h in run.histories if h.student == student and h.arm in ("distilled", "control")
    ]
    curves = sorted((c for c in curves if c[1]), key=lambda c: c[0].arm != "distilled")
    if not curves:
        return None

    def draw(figure: Any) -> None:
        ax = axes(figure, x="Epoch", y=_CURVE_NAMES[curves[0][3]])
        named: set[str] = set()
        for history, x, y, _ in curves:
            distilled = history.arm == "distilled"
            name = "distilled" if distilled else "control, no teacher"
            colour = colour_of(run, student) if distilled else FAINT
            style = {
                "color": colour,
                "linestyle": "-" if distilled else (0, (5, 2)),
                "linewidth": 1.6,
                "alpha": 0.85,
            }
            label = {} if name in named else {"label": name}
            ax.plot(x, y, marker="o" if len(x) < 3 else None, markersize=4, **style, **label)
            named.add(name)
        _whole_epochs(ax)
        legend(ax, loc="best")

    finding = f"{student}: {_training_finding(curves)}"
    return picture(f"training_{slug(student)}", finding=finding, draw=draw)


_CURVE_NAMES = {"valid_auc": "Validation AUC", "valid_loss": "Validation loss", "train_loss": "Training loss"}


def _curve(history: History) -> tuple[list[float], list[float], str]:
    for key in _CURVE_NAMES:
        x, y = history.curve(key)
        if x:
            return x, y, key
    return [], [], ""


def _spoken(key: str) -> str:
    return _CURVE_NAMES[key].lower().replace("auc", "AUC")


def _training_finding(curves: list[Any]) -> str:
    best: dict[str, list[float]] = defaultdict(list)
    for history, _, y, key in curves:
        best[history.arm].append(max(y) if key == "valid_auc" else min(y))
    if set(best) != {"distilled", "control"}:
        return "training curves"
    ours, theirs = fmean(best["distilled"]), fmean(best["control"])
    seeds = len(best["distilled"])
    what = _spoken(curves[0][3])
    return (
        f"best {what} {ours:.3f} distilled, {theirs:.3f} without (mean of {seeds} seed{'s' * (seeds != 1)})"
    )


def teacher_training(run: RunData) -> Picture | None:
    """The teacher's validation AUC by epoch."""
    history = next((h for h in run.histories if h.arm == "teacher"), None)
    x, y, key = _curve(history) if history else ([], [], "")
    if not x:
        return None

    def draw(figure: Any) -> None:
        ax = axes(figure, x="Epoch", y=_CURVE_NAMES[key])
        ax.plot(x, y, color=INK, linewidth=1.7, marker="o", markersize=4)
        _whole_epochs(ax)

    best = max(y) if key == "valid_auc" else min(y)
    return picture("training_teacher", finding=f"teacher: best {_spoken(key)} {best:.3f}", draw=draw)


def _whole_epochs(ax: Any) -> None:
    from matplotlib.ticker import MaxNLocator

    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
