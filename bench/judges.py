"""How models are judged: two classes by their ranking and at one frozen threshold, K by the likeliest. Torch-free.

What differs between the two has its only home here; everything else in this package asks the judge.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from bench.records.accuracy import Reliability, RocCurve
from bench.records.distillation import Epoch, Statistic
from distill.data.samples import GENERATED, REAL
from distill.evaluation.arms import Resampled, resample, resample_means
from distill.evaluation.calibration import Calibration, uncalibrated
from distill.evaluation.classes import class_metrics, class_reliability
from distill.evaluation.metrics import (
    Metrics,
    binary_metrics,
    choose_threshold,
    expected_calibration_error,
    reliability,
    roc_points,
)
from distill.evaluation.statistics import PairedDifference, bootstrap_mean, paired_bootstrap
from distill.task import Task

Scores = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]
Groups = Sequence[str]


class Judge(ABC):
    """What a task's models are judged by.

    Attributes:
        measure: what they are compared by.
        compared: the statistics of arms that have intervals, by epoch; of the last, the measure tells whether it held.
    """

    measure: ClassVar[Statistic]
    compared: ClassVar[Mapping[Epoch, tuple[Statistic, ...]]]

    @property
    def statistics(self) -> tuple[Statistic, ...]:
        """All that are told of every training."""
        return self.compared["best"]

    @abstractmethod
    def metrics(
        self,
        labels: Labels,
        probabilities: Scores,
        *,
        threshold: float | None,
        groups: Groups,
        resamples: int,
    ) -> Metrics:
        """Every metric of a split."""

    @abstractmethod
    def paired(
        self, labels: Labels, ours: Scores, theirs: Scores, groups: Groups, *, n: int
    ) -> PairedDifference:
        """The measure of one model minus that of another on the same images, with its interval."""

    @abstractmethod
    def refit(self, labels: Labels, probabilities: Scores) -> float | None:
        """The threshold that would be best on these images."""

    @abstractmethod
    def roc(self, labels: Labels, probabilities: Scores) -> RocCurve | None:
        """The ROC curve."""

    @abstractmethod
    def reliability(self, labels: Labels, probabilities: Scores) -> Reliability:
        """What was said against what was so."""

    @abstractmethod
    def ece_before(self, labels: Labels, probabilities: Scores, calibration: Calibration) -> float | None:
        """The expected calibration error that there was before ``calibration``."""

    @abstractmethod
    def tells(self, labels: Labels) -> bool:
        """Whether a split has the classes that a comparison takes."""

    @abstractmethod
    def resampled(
        self, labels: Labels, answers: Scores, groups: Groups, epoch: Epoch
    ) -> dict[Statistic, Resampled]:
        """Every statistic of an arm's seeds; replicates of those that are compared.

        ``answers`` ``[S, N]`` or ``[S, N, K]`` need no calibration: all go by order.
        """


class BinaryJudge(Judge):
    """Real or generated."""

    measure = "auc"
    compared: ClassVar[Mapping[Epoch, tuple[Statistic, ...]]] = {
        "best": ("auc", "tpr_at_5fpr", "tpr_at_1fpr"), "last": ("auc",),
    }  # fmt: skip

    def metrics(
        self,
        labels: Labels,
        probabilities: Scores,
        *,
        threshold: float | None,
        groups: Groups,
        resamples: int,
    ) -> Metrics:
        """At the frozen threshold."""
        if threshold is None:
            raise ValueError("a binary model has a threshold")
        return binary_metrics(labels, probabilities, threshold=threshold, groups=groups, resamples=resamples)

    def paired(
        self, labels: Labels, ours: Scores, theirs: Scores, groups: Groups, *, n: int
    ) -> PairedDifference:
        """Of the AUC."""
        return paired_bootstrap(labels, ours, theirs, groups, n=n)

    def refit(self, labels: Labels, probabilities: Scores) -> float | None:
        """By balanced accuracy."""
        return choose_threshold(labels, probabilities)

    def roc(self, labels: Labels, probabilities: Scores) -> RocCurve | None:
        """None for one class."""
        found = roc_points(labels, probabilities)
        return RocCurve.model_validate(found) if found else None

    def reliability(self, labels: Labels, probabilities: Scores) -> Reliability:
        """Of the probability of *generated*."""
        return Reliability.model_validate(reliability(labels, probabilities))

    def ece_before(self, labels: Labels, probabilities: Scores, calibration: Calibration) -> float | None:
        """Of the plain sigmoid of the logit."""
        return expected_calibration_error(labels, uncalibrated(probabilities, calibration))

    def tells(self, labels: Labels) -> bool:
        """Both are there."""
        return set(labels.tolist()) >= {REAL, GENERATED}

    def resampled(
        self, labels: Labels, answers: Scores, groups: Groups, epoch: Epoch
    ) -> dict[Statistic, Resampled]:
        """Of the ROC curve."""
        with_draws = self.compared[epoch]
        found = resample(labels, answers, groups, statistics=with_draws)
        others = [name for name in self.statistics if name not in found]
        found |= resample(labels, answers, groups, statistics=others, n=0)
        return {name: found[name] for name in self.statistics}


class ClassJudge(Judge):
    """K classes of any names."""

    measure = "accuracy"
    compared: ClassVar[Mapping[Epoch, tuple[Statistic, ...]]] = {"best": ("accuracy",), "last": ("accuracy",)}

    def metrics(
        self,
        labels: Labels,
        probabilities: Scores,
        *,
        threshold: float | None,
        groups: Groups,
        resamples: int,
    ) -> Metrics:
        """Of the likeliest."""
        return class_metrics(labels, probabilities, groups=groups, resamples=resamples)

    def paired(
        self, labels: Labels, ours: Scores, theirs: Scores, groups: Groups, *, n: int
    ) -> PairedDifference:
        """Of the accuracy."""
        change = _hits(labels, ours).astype(float) - _hits(labels, theirs)
        return PairedDifference(float(change.mean()), bootstrap_mean(change, groups, n=n))

    def refit(self, labels: Labels, probabilities: Scores) -> float | None:
        """None: there is no threshold."""
        return None

    def roc(self, labels: Labels, probabilities: Scores) -> RocCurve | None:
        """None: it is about two classes."""
        return None

    def reliability(self, labels: Labels, probabilities: Scores) -> Reliability:
        """Of the likeliest class's probability."""
        return Reliability.model_validate(class_reliability(labels, probabilities))

    def ece_before(self, labels: Labels, probabilities: Scores, calibration: Calibration) -> float | None:
        """None: it is told of two classes alone."""
        return None

    def tells(self, labels: Labels) -> bool:
        """There are images."""
        return labels.size > 0

    def resampled(
        self, labels: Labels, answers: Scores, groups: Groups, epoch: Epoch
    ) -> dict[Statistic, Resampled]:
        """Of right answers."""
        return {"accuracy": resample_means(_hits(labels, answers), groups)}


def judge_of(task: Task) -> Judge:
    """The one for a task."""
    return ClassJudge() if task.classes else BinaryJudge()


def _hits(labels: Labels, scores: Scores) -> npt.NDArray[np.bool_]:
    """Whether the likeliest of ``[..., K]`` is right."""
    found: npt.NDArray[np.bool_] = scores.argmax(axis=-1) == labels
    return found
