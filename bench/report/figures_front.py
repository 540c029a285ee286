"""The picture of the students' front: accuracy as deployed against latency, and which of them none beats on both."""

from collections.abc import Sequence
from typing import Any

from bench.report.data import RunData
from bench.report.figures_tradeoff import plain_log
from bench.report.labels import box, place
from bench.report.students import Candidate, candidates, front
from bench.report.style import colour_of, marker_of, picture
from distill.page.blocks import Picture
from distill.page.charts import FAINT, axes, plain

_MARKER, _LETTERS = 9.0, 8.5  # points


def students_front(run: RunData) -> Picture | None:
    """Every student in its fastest form with its interval; the line joins those that no other beats."""
    found = candidates(run)
    if len(found) < 2:
        return None
    best = front(found)

    def draw(figure: Any) -> None:
        pixels = f"{run.large}×{run.large}"
        ax = axes(
            figure,
            x=f"Latency p50 as deployed at {pixels}, ms (log scale)",
            y=f"{run.measures.title} on test, as deployed",
        )
        ax.set_xscale("log")
        ax.step(
            [c.p50 for c in best], [c.score for c in best], where="post", color=FAINT, linewidth=1.2, zorder=1
        )
        for candidate in found:
            _mark(ax, run, candidate, in_front=candidate in best)
        ax.margins(x=0.14, y=0.12)
        plain_log(ax)
        figure.draw_without_rendering()  # settles the layout, so that names can be placed in pixels
        _write_names(ax, run, found)

    return picture("students_front", finding=_finding(best), draw=draw, width=7.4, height=4.6)


def _finding(best: Sequence[Candidate]) -> str:
    if len(best) == 1:
        return f"{best[0].name} is as fast as any other and better"
    return f"From fast to good, none beaten on both: {', '.join(candidate.name for candidate in best)}"


def _mark(ax: Any, run: RunData, candidate: Candidate, *, in_front: bool) -> None:
    colour = colour_of(run, candidate.name)
    test = candidate.item.test
    if test and test.score_ci:
        ax.plot([candidate.p50] * 2, test.score_ci, color=colour, linewidth=1.0, alpha=0.5, zorder=2)
    ax.scatter(
        candidate.p50, candidate.score, s=64, marker=marker_of(candidate.item), zorder=3, linewidths=1.5,
        facecolors=colour if in_front else "none", edgecolors=colour,
    )  # fmt: skip


def _write_names(ax: Any, run: RunData, found: Sequence[Candidate]) -> None:
    """Each name beside its marker, where no marker or other name is."""
    pixel = ax.figure.dpi / 72
    markers = [box(ax.transData.transform((c.p50, c.score)), _MARKER * pixel, _MARKER * pixel) for c in found]
    taken = list(markers)
    for candidate, marker in zip(found, markers, strict=True):
        width, height = 0.56 * _LETTERS * pixel * len(candidate.name), 1.3 * _LETTERS * pixel
        spot = place(marker, width=width, height=height, taken=taken, frame=ax.get_window_extent().extents)
        taken.append(spot)
        ax.annotate(
            plain(candidate.name), ((spot[0] + spot[2]) / 2, (spot[1] + spot[3]) / 2), xycoords="figure pixels",
            ha="center", va="center", fontsize=_LETTERS, color=colour_of(run, candidate.name),
        )  # fmt: skip
