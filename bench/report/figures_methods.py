"""The picture of methods: what each gave over the student alone, with its interval."""

from typing import Any

from bench.records.distillation import Distillation, Split
from bench.report.data import RunData
from bench.report.distillation import SPLITS, verdict_words
from bench.report.measures import BY_STATISTIC
from bench.report.methods import by_gain
from bench.report.style import colour_of, picture, slug
from distill.page.blocks import Picture
from distill.page.charts import FAINT, INK, dress, plain
from distill.page.formats import signed
from distill.recipe import DISTILLED


def methods_forest(run: RunData, student: str) -> Picture | None:
    """The gain of every method over the student alone, on test and on held-out generators; lines are 95 % intervals."""
    found = run.accuracy.distillation.get(student) if run.accuracy else None
    if found is None or not found.variants:
        return None
    shown = found

    def draw(figure: Any) -> None:
        splits = [split for split in SPLITS if split in shown.images]
        for place, split in enumerate(splits):
            ax = figure.add_subplot(1, len(splits), place + 1)
            title = BY_STATISTIC[shown.measure].title
            dress(ax, x=f"{title} over the student alone, {SPLITS[split]}")
            _panel(ax, shown, split, colour=colour_of(run, student), named=place == 0)

    height = 1.4 + 0.27 * (1 + len(found.variants))
    return picture(f"methods_{slug(student)}", finding=_finding(found), draw=draw, width=8.6, height=height)


def _panel(ax: Any, found: Distillation, split: Split, *, colour: str, named: bool) -> None:
    arms = by_gain(found)[::-1]  # the best on top
    for place, arm in enumerate(arms):
        difference = found.difference(split, arm=arm.arm)
        if difference is None:
            continue
        shade = colour if arm.arm == DISTILLED else INK
        if difference.ci:
            ax.plot(difference.ci, [place, place], color=shade, linewidth=1.6)
        ax.scatter(difference.mean, place, s=26, color=shade, zorder=3)
    ax.axvline(0, color=FAINT, linewidth=1)
    ax.set_yticks(range(len(arms)), [plain(arm.arm) if named else "" for arm in arms])
    ax.grid(False, axis="y")


def _finding(found: Distillation) -> str:
    best = by_gain(found)[0]
    difference = found.difference("test", arm=best.arm)
    count = f"{len(found.variants) + 1} methods"
    if difference is None:
        return count
    verdict = verdict_words(difference)
    return f"{count}: {best.arm} highest, {signed(difference.mean)} over the student alone ({verdict})"
