"""The picture of the students' front: accuracy as INT8 against latency, and which of them none beats on both."""

from collections.abc import Sequence
from typing import Any

from bench.report.data import RunData
from bench.report.figures_tradeoff import plain_log
from bench.report.students import Candidate, candidates, front
from bench.report.style import colour_of, marker_of, picture
from distill.page.blocks import Picture
from distill.page.charts import FAINT, axes, plain

_LIFT = 7  # points between a marker and its name


def students_front(run: RunData) -> Picture | None:
    """Every student in its fastest INT8 form with its interval; the line joins those that no other beats."""
    found = candidates(run)
    if len(found) < 2:
        return None
    best = front(found)

    def draw(figure: Any) -> None:
        pixels = f"{run.large}×{run.large}"
        ax = axes(
            figure,
            x=f"Latency p50 of INT8 at {pixels}, ms (log scale)",
            y=f"{run.measures.title} on test, INT8",
        )
        ax.set_xscale("log")
        ax.step(
            [c.p50 for c in best], [c.score for c in best], where="post", color=FAINT, linewidth=1.2, zorder=1
        )
        for candidate in found:
            _mark(ax, run, candidate, in_front=candidate in best)
        ax.margins(x=0.14, y=0.12)
        plain_log(ax)

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
    ax.annotate(
        plain(candidate.name), (candidate.p50, candidate.score), xytext=(_LIFT, _LIFT), textcoords="offset points",
        fontsize=8.5, color=colour,
    )  # fmt: skip
