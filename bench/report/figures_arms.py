"""The picture of arms: every seed as dots joined from the student alone to the distilled one."""

from collections.abc import Sequence
from statistics import fmean
from typing import Any

from bench.records.distillation import Distillation, Split
from bench.report.data import RunData
from bench.report.distillation import SPLITS, verdict_words
from bench.report.measures import BY_STATISTIC, NAMES
from bench.report.style import colour_of, picture, slug
from distill.page.blocks import Picture
from distill.page.charts import FAINT, INK, PAPER, dress
from distill.page.formats import signed
from distill.roster import Arm

_BAR = 0.16  # half the width of a mean's bar, in places


def paired_seeds(run: RunData, student: str) -> Picture | None:
    """AUC or accuracy of each seed in each arm on test and on held-out generators; a bar marks the mean."""
    found = run.accuracy.distillation.get(student) if run.accuracy else None
    if found is None or not found.images:
        return None
    shown, title = found, BY_STATISTIC[found.measure].title

    def draw(figure: Any) -> None:
        splits = [split for split in SPLITS if split in shown.images]
        for place, split in enumerate(splits):
            ax = figure.add_subplot(1, len(splits), place + 1)
            dress(ax, y=f"{title} (bar: mean of the seeds)" if place == 0 else "")
            _panel(ax, shown, split, colour=colour_of(run, student))

    return picture(f"seeds_{slug(student)}", finding=f"{student}: {_finding(found)}", draw=draw)


def _panel(ax: Any, found: Distillation, split: Split, *, colour: str) -> None:
    scores = {
        arm.arm: [training.splits[split].best.value(found.measure) or 0.0 for training in arm.seeds]
        for arm in found.arms
    }
    order = _order(scores)
    for values in zip(*(scores[arm] for arm in order), strict=True):
        ax.plot(range(len(order)), values, color=FAINT, linewidth=0.9, alpha=0.6, zorder=1)
    for place, arm in enumerate(order):
        taught = arm == "distilled"
        dots = {"facecolor": colour if taught else PAPER, "edgecolor": colour if taught else INK}
        ax.scatter([place] * len(scores[arm]), scores[arm], s=30, linewidth=1.3, zorder=3, **dots)
        mean = fmean(scores[arm])
        ax.plot(
            [place - _BAR, place + _BAR],
            [mean, mean],
            color=colour if taught else INK,
            linewidth=2.2,
            zorder=2,
        )
    ax.set_xticks(range(len(order)), order)
    ax.set_xlim(-0.45, len(order) - 0.55)
    ax.grid(False, axis="x")
    ax.set_title(SPLITS[split], fontsize=9, color=INK, loc="left")


def _order(scores: dict[Arm, list[float]]) -> Sequence[Arm]:
    """Without augmentation first, then more of everything; distilled last."""
    return [arm for arm in ("plain", "alone", "pool", "distilled") if arm in scores]


def _finding(found: Distillation) -> str:
    name = NAMES[found.measure]
    parts = [
        f"{signed(difference.mean)} on {where} ({verdict_words(difference).split(',')[0]})"
        for split, where in SPLITS.items()
        if (difference := found.difference(split))
    ]
    return f"distilled − alone, {name} {', '.join(parts)}" if parts else f"the arms' {name}, seed by seed"
