"""The report's pictures, each titled with its finding."""

from collections import defaultdict
from statistics import fmean
from typing import Any

from bench.report_blocks import Picture, fixed, milliseconds
from bench.report_data import Contestant, History, RunData, number
from bench.report_plots import Theme, axes, legend, picture, plain
from bench.report_speed import measured

MARKERS = {"torch": "o", "onnxruntime": "s", "openvino": "D"}
_AREA = (40.0, 900.0)


def slug(text: str) -> str:
    """A file stem from any name."""
    return "".join(c if c.isascii() and c.isalnum() else "_" for c in text) or "model"


def tradeoff(run: RunData, chosen: Contestant | None) -> Picture | None:
    """Accuracy against latency; the marker's area is the file size."""
    points = [
        (item, p50, auc, number(row, "bytes") or 0.0)
        for item in run.contestants
        if measured(row := run.timing(item))
        and (p50 := number(row, "p50_ms")) is not None
        and p50 > 0
        and (auc := number(item.accuracy, "splits", "test", "auc")) is not None
    ]
    if not points:
        return None

    def draw(figure: Any, theme: Theme) -> None:
        ax = axes(figure, theme, x="Latency p50, ms, model only (log scale)", y="AUC on test")
        ax.set_xscale("log")
        most = max(point[3] for point in points) or 1.0
        for item, p50, auc, weight in points:
            colour = theme.colour(run, item.student)
            area = _AREA[0] + (_AREA[1] - _AREA[0]) * weight / most
            fill = colour if item.precision == "int8" else "none"
            marker = MARKERS.get(item.runtime, "o")
            ax.scatter(
                p50,
                auc,
                s=area,
                marker=marker,
                facecolors=fill,
                edgecolors=colour,
                linewidths=1.5,
                alpha=0.85,
            )
        _label_points(ax, run, theme, points)
        ax.margins(x=0.16, y=0.16)
        _plain_log(ax)
        _trade_key(ax, theme)

    best = next((p for p in points if p[0] == chosen), None)
    finding = "Accuracy against latency"
    if best:
        finding = f"{best[0].short} keeps AUC {fixed(best[2])} at {milliseconds(best[1])} ms"
    return picture("accuracy_latency", finding=finding, draw=draw, width=8.6, height=5.0)


def _label_points(ax: Any, run: RunData, theme: Theme, points: list[Any]) -> None:
    """Write each model's name beside its marker; runtimes have their own marker, so the label is short."""
    style = {"fontsize": 8.5, "textcoords": "offset points", "ha": "center"}
    for item, p50, auc, weight in sorted(points, key=lambda p: (p[2], p[1])):
        most = max(point[3] for point in points) or 1.0
        radius = (_AREA[0] + (_AREA[1] - _AREA[0]) * weight / most) ** 0.5 / 2
        under = item.kind == "control" or item.precision == "int8"
        text = f"{item.label} {item.precision.upper()}"
        ax.annotate(
            plain(text),
            (p50, auc),
            xytext=(0, -radius - 4 if under else radius + 4),
            va="top" if under else "bottom",
            color=theme.colour(run, item.student),
            **style,
        )


def _plain_log(ax: Any) -> None:
    """Ticks such as 0.1, 0.2, 0.5, 1 instead of powers of ten."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    ax.xaxis.set_major_locator(LogLocator(base=10, subs=(1.0, 2.0, 5.0)))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.xaxis.set_minor_formatter(NullFormatter())


def _trade_key(ax: Any, theme: Theme) -> None:
    from matplotlib.lines import Line2D

    shared: dict[str, Any] = {"linestyle": "", "color": theme.faint, "markersize": 6}
    handles = [
        Line2D([], [], marker=m, markerfacecolor="none", label=name, **shared) for name, m in MARKERS.items()
    ]
    handles.append(Line2D([], [], marker="o", label="INT8 (filled)", **shared))
    legend(
        ax,
        theme,
        handles=handles,
        loc="lower right",
        title="area: file size",
        title_fontproperties={"size": 8.5},
    )
    ax.get_legend().get_title().set_color(theme.faint)


def training(run: RunData, student: str) -> Picture | None:
    """Validation AUC by epoch of every seed, with and without distillation."""
    curves = [
        (h, *_curve(h)) for h in run.histories if h.student == student and h.arm in ("distilled", "control")
    ]
    curves = [c for c in curves if c[1]]
    if not curves:
        return None

    def draw(figure: Any, theme: Theme) -> None:
        ax = axes(figure, theme, x="Epoch", y=_CURVE_NAMES[curves[0][3]])
        named: set[str] = set()
        for history, x, y, _ in curves:
            distilled = history.arm == "distilled"
            name = "distilled" if distilled else "control, no teacher"
            colour = theme.colour(run, student) if distilled else theme.faint
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
        legend(ax, theme, loc="best")

    finding = f"{student}: {_training_finding(curves)}"
    return picture(f"training_{slug(student)}", finding=finding, draw=draw)


_CURVE_NAMES = {"valid_auc": "Validation AUC", "valid_loss": "Validation loss", "train_loss": "Training loss"}


def _curve(history: History) -> tuple[list[float], list[float], str]:
    for key in _CURVE_NAMES:
        x, y = history.curve(key)
        if x:
            return x, y, key
    return [], [], ""


def _training_finding(curves: list[Any]) -> str:
    best: dict[str, list[float]] = defaultdict(list)
    for history, _, y, key in curves:
        best[history.arm].append(max(y) if key == "valid_auc" else min(y))
    if set(best) != {"distilled", "control"}:
        return "training curves"
    ours, theirs = fmean(best["distilled"]), fmean(best["control"])
    seeds = len(best["distilled"])
    what = _CURVE_NAMES[curves[0][3]].lower().replace("auc", "AUC")
    return (
        f"best {what} {ours:.3f} distilled, {theirs:.3f} without (mean of {seeds} seed{'s' * (seeds != 1)})"
    )


def teacher_training(run: RunData) -> Picture | None:
    """The teacher's validation AUC by epoch."""
    history = next((h for h in run.histories if h.arm == "teacher"), None)
    x, y, key = _curve(history) if history else ([], [], "")
    if not x:
        return None

    def draw(figure: Any, theme: Theme) -> None:
        ax = axes(figure, theme, x="Epoch", y=_CURVE_NAMES[key])
        ax.plot(x, y, color=theme.ink, linewidth=1.7, marker="o", markersize=4)
        _whole_epochs(ax)

    best = max(y) if key == "valid_auc" else min(y)
    return picture(
        "training_teacher", finding=f"teacher: best {_CURVE_NAMES[key].lower()} {best:.3f}", draw=draw
    )


def _whole_epochs(ax: Any) -> None:
    from matplotlib.ticker import MaxNLocator

    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
