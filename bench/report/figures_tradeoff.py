"""The front picture: accuracy against latency like for like, ResNet18 in it.

A network is a line from eager PyTorch through its fastest exported FP32 form to its fastest INT8 one, since every form of it
has about the same accuracy: three markers of which none hides another, instead of seven.
"""

from dataclasses import dataclass, replace
from itertools import chain, pairwise
from typing import Any

from bench.report.data import RunData
from bench.report.entry import Entry
from bench.report.labels import Box, place
from bench.report.style import colour_of, picture
from distill.page.blocks import Picture
from distill.page.charts import FAINT, INK, PAPER, axes, legend, plain
from distill.page.formats import milliseconds, square, times

_LABEL_SIZE, _MARKER = 8.5, 7.0  # points
_MOST_TIMES = 4  # networks whose labels have room for a time
_FORMS = (("o", "eager PyTorch"), ("s", "FP32, exported"), ("D", "INT8"))


@dataclass(frozen=True)
class _Point:
    item: Entry
    form: int
    p50: float
    score: float


def tradeoff(run: RunData, chosen: Entry | None) -> Picture | None:
    """Accuracy, at the size a network was trained at, against latency at the size where every network is timed."""
    trails = [trail for name in (*run.students, *run.teachers) if (trail := _trail(run, name, chosen))]
    if not trails:
        return None

    def draw(figure: Any) -> None:
        x = f"Latency p50 at {square(run.large)}, ms, model only, batch 1 (log scale)"
        ax = axes(figure, x=x, y=f"{run.measures.title} on test, with its 95 % interval")
        ax.set_xscale("log")
        for trail in trails:
            _draw_trail(ax, run, trail, chosen)
        alone = _alone(run, chosen, trails)
        if alone:
            _draw_alone(ax, alone, chosen_trail=next(t for t in trails if t[0].item.name == alone.item.name))
        ax.margins(x=0.1, y=0.16)
        _reference(ax, run)
        plain_log(ax)
        _key(ax)
        figure.draw_without_rendering()  # settles the layout, so that labels can be placed in pixels
        _label(ax, run, trails, alone)

    finding = _finding(run, trails, chosen)
    return picture("accuracy_latency", finding=finding, draw=draw, width=6.6, height=4.7)


def _trail(run: RunData, name: str, chosen: Entry | None) -> list[_Point]:
    """The fastest of each form, slowest form first; of students that were not chosen the last one alone."""
    points = [
        _Point(item, _form(item), row.p50_ms, item.score)
        for item in run.entries
        if item.name == name and not item.is_control and item.score is not None
        if (row := run.timing(item, size=run.large)) and row.p50_ms is not None
    ]
    fast = sorted(points, key=lambda point: (point.item != chosen, point.p50))
    trail = [next(p for p in fast if p.form == form) for form in sorted({p.form for p in points})]
    whole = name in run.teachers or chosen is None or name == chosen.name or len(run.students) < 3
    return trail if whole else trail[-1:]


def _form(item: Entry) -> int:
    """Its place in :data:`_FORMS`."""
    return 0 if not item.is_artifact else 2 if item.is_int8 else 1


def _alone(run: RunData, chosen: Entry | None, trails: list[list[_Point]]) -> _Point | None:
    """The chosen student without a teacher, where its eager form is drawn: the same network, so as fast."""
    alone = run.student(chosen.name, arm="alone") if chosen else None
    for trail in trails:
        if alone and alone.score is not None and trail[0].item.name == alone.name and trail[0].form == 0:
            return _Point(alone, 0, trail[0].p50, alone.score)
    return None


def _draw_trail(ax: Any, run: RunData, trail: list[_Point], chosen: Entry | None) -> None:
    colour = colour_of(run, trail[-1].item.name)
    ax.plot(
        [p.p50 for p in trail], [p.score for p in trail], color=colour, linewidth=1.2, alpha=0.7, zorder=2
    )
    last = trail[-1]
    if last.item.test and last.item.test.score_ci:
        ax.plot([last.p50] * 2, last.item.test.score_ci, color=colour, linewidth=1.4, alpha=0.6, zorder=2)
    for point in trail:
        large = 1.5 if point.item == chosen else 1.0
        ax.plot(
            [point.p50], [point.score], marker=_FORMS[point.form][0], markersize=_MARKER * large, color=colour,
            markerfacecolor=colour if point.form == 2 else PAPER, markeredgewidth=1.5, zorder=3,
        )  # fmt: skip


def _draw_alone(ax: Any, alone: _Point, *, chosen_trail: list[_Point]) -> None:
    ax.plot(
        [alone.p50] * 2,
        [alone.score, chosen_trail[0].score],
        color=FAINT,
        linestyle=(0, (2, 2)),
        linewidth=1.2,
    )
    ax.plot(
        [alone.p50], [alone.score], marker=_FORMS[0][0], markersize=_MARKER, color=FAINT, markerfacecolor=PAPER,
        markeredgewidth=1.5, zorder=3,
    )  # fmt: skip


def _reference(ax: Any, run: RunData) -> None:
    """ResNet18 in eager PyTorch: a line across, since it is timed and not judged."""
    row = run.reference(size=run.large)
    if row is None or row.p50_ms is None:
        return
    ax.axvline(row.p50_ms, color=INK, linewidth=1.3, linestyle=(0, (5, 3)), zorder=1)
    ax.annotate(
        f"ResNet18, eager FP32\n{milliseconds(row.p50_ms)} ms (timed only)", (row.p50_ms, 0.03),
        xycoords=("data", "axes fraction"), xytext=(-4, 0), textcoords="offset points", fontsize=_LABEL_SIZE, color=INK,
        ha="right", va="bottom",
    )  # fmt: skip


def _label(ax: Any, run: RunData, trails: list[list[_Point]], alone: _Point | None) -> None:
    """Write each network's name beside its last marker, where no marker, line or other name is."""
    pixel = ax.figure.dpi / 72
    further = [alone] if alone else []
    joined = [(a, b) for trail in trails for a, b in pairwise(trail)]
    joined += [(alone, trail[0]) for trail in trails if alone and trail[0].item.name == alone.item.name]
    taken = [_around(ax, point, point, 1.5 * _MARKER * pixel) for point in (*chain(*trails), *further)]
    taken += [_around(ax, a, b, 0.4 * _MARKER * pixel) for a, b in joined]
    taken += [_interval(ax, trail[-1], 0.2 * _MARKER * pixel) for trail in trails]
    taken += [text.get_window_extent().extents for text in ax.texts]
    for point in (*(trail[-1] for trail in trails), *further):
        text, marker = (
            _name(point, brief=len(trails) > _MOST_TIMES),
            _around(ax, point, point, 1.5 * _MARKER * pixel),
        )
        width, height = 0.56 * _LABEL_SIZE * pixel * len(text), 1.3 * _LABEL_SIZE * pixel
        frame = ax.get_window_extent().extents
        found = place(marker, width=width, height=height, taken=taken, frame=frame)
        taken.append(found)
        ax.annotate(
            plain(text), ((found[0] + found[2]) / 2, (found[1] + found[3]) / 2), xycoords="figure pixels",
            ha="center", va="center", fontsize=_LABEL_SIZE,
            color=FAINT if point.item.is_control else colour_of(run, point.item.name),
        )  # fmt: skip


def _around(ax: Any, a: _Point, b: _Point, side: float) -> Box:
    """The pixels that two markers, or one, and the line between them take."""
    (x0, y0), (x1, y1) = ax.transData.transform([(a.p50, a.score), (b.p50, b.score)])
    half = side / 2
    return min(x0, x1) - half, min(y0, y1) - half, max(x0, x1) + half, max(y0, y1) + half


def _interval(ax: Any, point: _Point, side: float) -> Box:
    """The pixels of a marker's interval."""
    low, high = (point.item.test.score_ci if point.item.test else None) or (point.score, point.score)
    return _around(ax, replace(point, score=low), replace(point, score=high), side)


def _name(point: _Point, *, brief: bool) -> str:
    if point.item.is_control:
        return f"{point.item.name} without a teacher"
    return point.item.name if brief else f"{point.item.name}, {milliseconds(point.p50)} ms"


def _finding(run: RunData, trails: list[list[_Point]], chosen: Entry | None) -> str:
    best = next((point for trail in trails for point in trail if point.item == chosen), None)
    if best is None:
        return f"{run.measures.title} against latency at {square(run.large)}"
    row = run.timing(best.item, size=run.large)
    faster = ""
    if (
        row
        and row.speedup_vs_resnet18_eager is not None
        and row.speedup_claimed
        and not row.speedup_disagrees
    ):
        faster = f", {times(row.speedup_vs_resnet18_eager)} eager ResNet18's speed"
    return (
        f"{best.item.short}: {run.measures.name} {best.score:.3f} at {milliseconds(best.p50)} ms{faster}"
    )  # fmt: skip


def plain_log(ax: Any) -> None:
    """Ticks such as 0.1, 0.2, 0.5, 1 instead of powers of ten."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    ax.xaxis.set_major_locator(LogLocator(base=10, subs=(1.0, 2.0, 5.0)))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.xaxis.set_minor_formatter(NullFormatter())


def _key(ax: Any) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D(
            [], [], marker=marker, color=FAINT, linestyle="", markersize=6, label=label,
            markerfacecolor=FAINT if number == 2 else PAPER,
        )
        for number, (marker, label) in enumerate(_FORMS)
    ]  # fmt: skip
    legend(ax, handles=handles, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3)
