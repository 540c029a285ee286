"""The picture of degraded images: one panel a family, from clean to the strongest, one line a model."""

from collections.abc import Sequence
from textwrap import fill
from typing import Any

from bench.records.degradations import DegradationKind
from bench.report.data import RunData
from bench.report.degradations import cell, kinds
from bench.report.entry import Entry
from bench.report.figures_quality import team
from bench.report.style import marker_of, picture, slug, style_of
from distill.data.transforms.degradations import CLEAN
from distill.page.blocks import Picture
from distill.page.charts import FAINT, INK, PAPER, dress, plain

_COLUMNS = 3
_TITLE = 16  # letters in a line
_WIDTHS = (1.7, 1.1, 1.0)  # the first panel of each row has most strengths


def sweep(run: RunData, student: str, int8: Entry | None) -> Picture | None:
    """Balanced accuracy at the frozen threshold of teacher, student, alone and INT8 under every degradation."""
    items = [item for item in team(run, student, int8) if cell(run, item, CLEAN)]
    panels = _panels(run)
    if not items or not panels:
        return None

    def draw(figure: Any) -> None:
        rows = -(-len(panels) // _COLUMNS)
        widths = _WIDTHS[: min(len(panels), _COLUMNS)]
        grid = figure.subplots(rows, len(widths), sharey=True, squeeze=False, width_ratios=widths)
        for ax in list(grid.flat)[len(panels) :]:
            ax.set_visible(False)
        for place, (ax, (family, points)) in enumerate(zip(grid.flat, panels.items(), strict=False)):
            dress(ax, y="Balanced accuracy" if place % _COLUMNS == 0 else "")
            _panel(ax, run, items, points)
            ax.set_title(plain(fill(family, _TITLE)), fontsize=9, color=INK, loc="left")
        figure.legend(
            *grid[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False,
            fontsize=8.5, labelcolor=INK, handlelength=3.2,
        )  # fmt: skip

    finding, rows = f"{student}: {_finding(run, items[-1])}", -(-len(panels) // _COLUMNS)
    return picture(f"degradations_{slug(student)}", finding=finding, draw=draw, height=2.7 * rows)


def _panels(run: RunData) -> dict[str, list[DegradationKind]]:
    """Family → its degradations, led by the clean images."""
    clean = [kind for kind in kinds(run) if kind.is_clean]
    found: dict[str, list[DegradationKind]] = {}
    for kind in kinds(run):
        if not kind.is_clean:
            found.setdefault(kind.family, list(clean)).append(kind)
    return found


def _accuracy(run: RunData, item: Entry, degradation: str) -> float | None:
    found = cell(run, item, degradation)
    return found.balanced_accuracy if found else None


def _panel(ax: Any, run: RunData, items: Sequence[Entry], points: Sequence[DegradationKind]) -> None:
    ax.axhline(0.5, color=FAINT, linewidth=1.0)  # guessing
    for item in items:
        values = [_accuracy(run, item, kind.name) for kind in points]
        style = style_of(run, item)
        ax.plot(
            range(len(values)), [float("nan") if v is None else v for v in values], label=plain(item.short),
            marker="v" if item.is_control else marker_of(item), markersize=4.5,
            markerfacecolor=style["color"] if item.is_teacher or item.is_artifact else PAPER, **style,
        )  # fmt: skip
    ax.set_xticks(range(len(points)), [kind.strength for kind in points])
    ax.set_xlim(-0.3, len(points) - 0.7)


def _finding(run: RunData, item: Entry) -> str:
    values = [(_accuracy(run, item, kind.name), kind.title) for kind in kinds(run)]
    known = [(value, title) for value, title in values if value is not None]
    clean = _accuracy(run, item, CLEAN)
    if not known or clean is None:
        return "balanced accuracy on degraded images"
    value, title = min(known)
    name = item.form if item.is_artifact else item.short
    return f"{name} falls from {clean:.2f} to {value:.2f} at worst ({title})"
