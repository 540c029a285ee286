"""The picture of AUC per generator: trained families, held-out families, and the identity control at 0.5."""

from statistics import fmean
from typing import Any

from bench.report.data import RunData
from bench.report.entry import Entry
from bench.report.families import HELD_OUT, TRAINED, generator_groups, metrics_on
from bench.report.figures_quality import team
from bench.report.style import colour_of, marker_of, picture, slug
from distill.page.blocks import Picture
from distill.page.charts import FAINT, INK, PAPER, axes, plain

_Groups = list[tuple[str, list[str]]]


def generators(run: RunData, student: str, int8: Entry | None) -> Picture | None:
    """AUC and interval of teacher, student and INT8 on every generator."""
    items = [item for item in team(run, student, int8) if not item.is_control]
    groups = list(generator_groups(items))
    if not groups:
        return None
    rows = [name for _, names in groups for name in names]

    def draw(figure: Any) -> None:
        ax = axes(figure, x="AUC on test with 95 % interval", y="")
        ax.axvline(0.5, color=FAINT, linewidth=1.2)
        for shift, item in enumerate(items):
            _dots(ax, run, item, rows, (shift - (len(items) - 1) / 2) * 0.24)
        _bands(ax, groups)
        ax.set_ylim(len(rows) - 0.5, -0.5)
        ax.set_yticks(range(len(rows)), [plain(name) for name in rows])
        ax.grid(False, axis="y")
        figure.legend(
            *ax.get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False,
            fontsize=8.5, labelcolor=INK,
        )  # fmt: skip

    finding = f"{student}: {_finding(items[-1], groups)}"
    return picture(f"generators_{slug(student)}", finding=finding, draw=draw, height=1.9 + 0.42 * len(rows))


def _dots(ax: Any, run: RunData, item: Entry, rows: list[str], shift: float) -> None:
    colour = colour_of(run, item.name)
    fill = colour if item.is_int8 or item.is_teacher else PAPER
    label = {"label": plain(item.short)}
    for place, name in enumerate(rows):
        found = metrics_on(item, name)
        if found is None:
            continue
        if found.auc_ci:
            ax.plot(found.auc_ci, [place + shift] * 2, color=colour, linewidth=1.4, solid_capstyle="round")
        ax.plot(
            [found.auc], [place + shift], marker=marker_of(item), markersize=6, linestyle="",
            markerfacecolor=fill, markeredgecolor=colour, **label,
        )  # fmt: skip
        label = {}


def _bands(ax: Any, groups: _Groups) -> None:
    start = -0.5
    for title, names in groups:
        end = start + len(names)
        if title != TRAINED:
            ax.axhline(start, color=FAINT, linewidth=0.8, linestyle=(0, (2, 3)))
        style = {"fontsize": 8.5, "color": FAINT, "fontstyle": "italic", "ha": "left", "va": "center"}
        ax.text(1.01, (start + end) / 2, title, transform=ax.get_yaxis_transform(), rotation=270, **style)
        start = end


def _finding(item: Entry, groups: _Groups) -> str:
    means = {}
    for title, names in groups:
        values = [found.auc for name in names if (found := metrics_on(item, name))]
        if values:
            means[title] = fmean(values)
    if {TRAINED, HELD_OUT} <= set(means):
        return f"mean AUC {means[TRAINED]:.2f} on trained families, {means[HELD_OUT]:.2f} on held-out ones"
    return "AUC per generator"
