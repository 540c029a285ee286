"""Every metric of judged images with its interval, by drawing whole groups of them. Torch-free."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from deploy.evaluate_record import Judgement, Measure
from distill.data.samples import Sample
from distill.evaluation.classes import class_metrics
from distill.evaluation.metrics import Metrics, binary_metrics
from distill.evaluation.statistics import (
    MIN_GROUPS_OF_AN_INTERVAL,
    Interval,
    group_counts,
    group_index,
    percentile_interval,
)
from distill.task import Task

Scores = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]

BINARY = (
    "auc", "ap", "balanced_accuracy", "tpr", "tnr", "f1", "tpr_at_5fpr", "tpr_at_1fpr", "eer", "brier", "nll", "ece",
)  # fmt: skip
CLASSES = ("accuracy", "balanced_accuracy", "macro_f1", "macro_auc", "nll", "ece")
OF_A_GENERATOR = ("auc", "tpr", "tpr_at_5fpr")
_BIASED = {
    "ece"
}  # empty and thin bins make it larger on every draw: an interval would not hold its own value
_LEVEL = 0.95


@dataclass(frozen=True)
class Truth:
    """What is known of ``N`` images: labels ``[N]`` and the group of each; one without a group is its own."""

    labels: Labels
    groups: tuple[str, ...]

    @classmethod
    def of(cls, samples: Sequence[Sample]) -> "Truth":
        """From samples."""
        labels = np.array([sample.label for sample in samples], dtype=np.int64)
        return cls(labels, tuple(sample.group or sample.path for sample in samples))

    def only(self, rows: npt.NDArray[np.int64]) -> "Truth":
        """Some of them."""
        return Truth(self.labels[rows], tuple(self.groups[row] for row in rows))


def names_of(task: Task) -> tuple[str, ...]:
    """Every measure that the task has."""
    return CLASSES if task.kind == "multiclass" else BINARY


def judge(
    task: Task,
    truth: Truth,
    probabilities: Scores,
    *,
    threshold: float | None,
    resamples: int,
    names: Sequence[str] = (),
) -> Judgement:
    """Measure ``probabilities`` ``[N]`` or ``[N, K]`` against the truth.

    Args:
        task: of the artifact.
        truth: of the same images.
        probabilities: calibrated.
        threshold: frozen beforehand; None for K classes.
        resamples: draws of groups behind each interval; there is none below
            :data:`distill.evaluation.arms.MIN_GROUPS_OF_AN_INTERVAL` groups.
        names: measures to tell; all unless given.
    """
    names, found = names or names_of(task), _metrics(task, truth.labels, probabilities, threshold)
    ranges = intervals(task, truth, probabilities, threshold=threshold, names=names, resamples=resamples)
    return Judgement(
        n=len(truth.labels),
        classes={name: int((truth.labels == number).sum()) for number, name in enumerate(task.labels)},
        groups=len(set(truth.groups)),
        measures={name: Measure(value=getattr(found, name), interval=ranges.get(name)) for name in names},
        confusion=found.confusion,
    )


def intervals(
    task: Task,
    truth: Truth,
    probabilities: Scores,
    *,
    threshold: float | None,
    names: Sequence[str],
    resamples: int,
    seed: int = 0,
) -> dict[str, Interval]:
    """Percentile intervals: the metrics are computed anew on each draw of whole groups, with replacement."""
    group = group_index(truth.groups, len(truth.labels))
    count = int(group.max(initial=-1)) + 1
    if count < MIN_GROUPS_OF_AN_INTERVAL or not resamples:
        return {}
    wanted = [name for name in names if name not in _BIASED]
    draws: list[list[float]] = []
    for counts in group_counts(count, samples=len(group), n=resamples, seed=seed):
        for drawn in counts:
            rows = np.repeat(np.arange(len(group)), drawn[group].astype(np.intp))
            found = _metrics(task, truth.labels[rows], probabilities[rows], threshold)
            draws.append([np.nan if (value := getattr(found, name)) is None else value for name in wanted])
    ranges = {
        name: percentile_interval([column], _LEVEL)
        for name, column in zip(wanted, np.array(draws).T, strict=True)
    }
    return {name: pair for name, pair in ranges.items() if pair is not None}


def _metrics(task: Task, labels: Labels, probabilities: Scores, threshold: float | None) -> Metrics:
    if task.kind == "multiclass" or threshold is None:
        return class_metrics(labels, probabilities, resamples=0)
    return binary_metrics(labels, probabilities, threshold=threshold, resamples=0)
