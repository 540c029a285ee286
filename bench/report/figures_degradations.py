"""The picture of degraded images: one panel a family, from clean to the strongest, one line a model."""

from textwrap import fill
from typing import Any

from bench.report.data import Contestant, RunData, lookup, number, sequence
from bench.report.degradations import CLEAN, cell, names
from bench.report.figures import MARKERS, slug
from bench.report.figures_quality import team
from bench.report.plots import look, picture
from distill.page.blocks import Picture
from distill.page.charts import FAINT, INK, PAPER, dress, plain

_MEASURE = "balanced_accuracy"
_COLUMNS = 3
_TITLE = 16  # letters in a line
_WIDTHS = (1.7, 1.1, 1.0)  # the first panel of each row has most strengths


def sweep(run: RunData, student: str, int8: Contestant | None) -> Picture | None:
    """Balanced accuracy at the frozen threshold of teacher, student, control and INT8 under every degradation."""
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

    finding = f"{student}: {_finding(run, items[-1])}"
    return picture(f"degradations_{slug(student)}", finding=finding, draw=draw, height=5.4)


def _panels(run: RunData) -> dict[str, dict[str, str]]:
    """Family → degradation → strength, each family led by the clean images; most strengths first."""
    found: dict[str, dict[str, str]] = {}
    for item in sequence(run.degradations, "degradations"):
        name, family = str(lookup(item, "name")), str(lookup(item, "family"))
        if name != CLEAN:
            found.setdefault(family, {CLEAN: CLEAN})[name] = str(lookup(item, "strength"))
    return found


def _panel(ax: Any, run: RunData, items: list[Contestant], points: dict[str, str]) -> None:
    ax.axhline(0.5, color=FAINT, linewidth=1.0)  # guessing
    for item in items:
        values = [number(cell(run, item, name), _MEASURE) for name in points]
        style = look(run, item)
        inside = style["color"] if item.kind in ("teacher", "artifact") else PAPER
        ax.plot(
            range(len(values)), [float("nan") if v is None else v for v in values], label=plain(item.short),
            marker="v" if item.kind == "control" else MARKERS.get(item.runtime, "o"), markersize=4.5,
            markerfacecolor=inside, **style,
        )  # fmt: skip
    ax.set_xticks(range(len(points)), list(points.values()))
    ax.set_xlim(-0.3, len(points) - 0.7)


def _finding(run: RunData, item: Contestant) -> str:
    found = [(number(cell(run, item, name), _MEASURE), title) for name, title in names(run).items()]
    known = [(value, title) for value, title in found if value is not None]
    clean = number(cell(run, item, CLEAN), _MEASURE)
    if not known or clean is None:
        return "balanced accuracy on degraded images"
    value, title = min(known)
    name = item.short.removeprefix(f"{item.student} ")
    return f"{name} falls from {clean:.2f} to {value:.2f} at worst ({title})"
