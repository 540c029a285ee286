"""The pictures of training: the validation score by epoch."""

from collections.abc import Sequence
from statistics import fmean
from typing import Any

from bench.report.arms import ARMS
from bench.report.data import RunData
from bench.report.files import Training
from bench.report.style import colour_of, picture, slug
from distill.page.blocks import Picture
from distill.page.charts import FAINT, INK, axes, legend
from distill.roster import Arm


def training(run: RunData, student: str) -> Picture | None:
    """Every seed of a student, in every arm."""
    mine = [t for t in run.trainings if t.model.name == student and t.history.epochs]
    if not mine:
        return None
    styles: dict[Arm, dict[str, Any]] = {
        "distilled": {"color": colour_of(run, student), "linestyle": "-"},
        "alone": {"color": FAINT, "linestyle": (0, (5, 2))},
        "plain": {"color": FAINT, "linestyle": (0, (1.2, 1.2))},
        "pool": {"color": INK, "linestyle": (0, (5, 1.5, 1.2, 1.5))},
    }
    arms = {arm: [t for t in mine if t.model.arm == arm] for arm in styles}

    def draw(figure: Any) -> None:
        ax = axes(figure, x="Epoch", y=f"Validation {mine[0].history.metric}")
        for name, trainings in arms.items():
            for number, one in enumerate(trainings):
                label = {} if number else {"label": ARMS[name]}
                few = "o" if len(one.history.epochs) < 3 else None
                style = {"linewidth": 1.6, "alpha": 0.85, "marker": few, "markersize": 4}
                ax.plot(*_curve(one), **styles[name], **style, **label)
        _whole_epochs(ax)
        legend(ax, loc="best")

    finding = f"{student}: {_finding(arms['distilled'], arms['alone'])}"
    return picture(f"training_{slug(student)}", finding=finding, draw=draw)


def teacher_training(run: RunData, teacher: str) -> Picture | None:
    """The teacher's one training."""
    one = next((t for t in run.trainings if t.model.name == teacher and t.history.epochs), None)
    if one is None:
        return None

    def draw(figure: Any) -> None:
        ax = axes(figure, x="Epoch", y=f"Validation {one.history.metric}")
        ax.plot(*_curve(one), color=INK, linewidth=1.7, marker="o", markersize=4)
        _whole_epochs(ax)

    finding = f"{teacher}: best validation {one.history.metric} {_best(one):.3f}"
    return picture(f"training_{slug(teacher)}", finding=finding, draw=draw)


def _curve(one: Training) -> tuple[list[int], list[float]]:
    epochs = one.history.epochs
    return [epoch.epoch for epoch in epochs], [epoch.valid_score for epoch in epochs]


def _best(one: Training) -> float:
    return max(epoch.valid_score for epoch in one.history.epochs)


def _finding(distilled: Sequence[Training], alone: Sequence[Training]) -> str:
    if not distilled or not alone:
        return "training curves"
    ours, theirs = (fmean(map(_best, arm)) for arm in (distilled, alone))
    seeds, metric = len(distilled), distilled[0].history.metric
    mean = f"mean of {seeds} seed{'s' * (seeds != 1)}"
    return f"best validation {metric} {ours:.3f} distilled, {theirs:.3f} without ({mean})"


def _whole_epochs(ax: Any) -> None:
    from matplotlib.ticker import MaxNLocator

    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
