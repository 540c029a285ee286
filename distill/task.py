"""What a model answers: two classes with one logit, or K classes with K. Torch-free.

Labels, ground-truth loss, the score that chooses epochs and seeds, calibration and probabilities have their only
home here. Every model, loss, export and report takes its :class:`Task`; nothing else knows how many logits there are.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from distill.errors import EdgeproofError, unknown_name
from distill.evaluation.calibration import Calibration, fit_calibration, fit_temperature
from distill.evaluation.metrics import both_classes, choose_threshold, roc_auc

if TYPE_CHECKING:
    from torch import Tensor

    from distill.methods.objective import Objective
    from distill.recipe import LossSettings

Numbers = npt.NDArray[np.float64]
_UNCALIBRATED = Calibration()


@dataclass(frozen=True)
class Task(ABC):
    """What is asked of a model. Label 0 is real; every other one is generated.

    Attributes:
        labels: names of the classes, by number.
        kind: ``binary`` or ``multiclass``, as a manifest says it.
        metric: name of :meth:`score`.
    """

    labels: tuple[str, ...]
    kind: ClassVar[Literal["binary", "multiclass"]]
    metric: ClassVar[str]

    @property
    @abstractmethod
    def num_logits(self) -> int:
        """Logits of one image."""

    @abstractmethod
    def ground_truth(
        self, settings: "LossSettings", *, labels: npt.NDArray[np.int64], weight: float = 1.0
    ) -> "Objective":
        """The recipe's loss against the labels; ``labels`` ``[N]`` are those of the training split."""

    @abstractmethod
    def loss(self, logits: "Tensor", labels: "Tensor") -> float:
        """Plain mean loss of ``[N]`` or ``[N, K]`` logits against ``[N]`` labels, to watch."""

    @abstractmethod
    def score(self, labels: npt.ArrayLike, logits: npt.ArrayLike) -> float:
        """What chooses the best epoch and seed on validation data; higher is better."""

    @abstractmethod
    def calibrate(self, labels: npt.ArrayLike, logits: npt.ArrayLike) -> Calibration:
        """Fit what :meth:`probabilities` takes, on validation data."""

    @abstractmethod
    def probabilities(self, logits: npt.ArrayLike, *, calibration: Calibration = _UNCALIBRATED) -> Numbers:
        """Calibrated probabilities: of *generated* ``[N]`` for two classes, of every class ``[N, K]`` for K."""

    @abstractmethod
    def generated(self, probabilities: npt.ArrayLike) -> Numbers:
        """Probability ``[N]`` that an image is generated, from :meth:`probabilities`."""

    def threshold(self, labels: npt.ArrayLike, probabilities: npt.ArrayLike) -> float:
        """The threshold on the probability of *generated* that is best on these (validation) images."""
        return choose_threshold(np.asarray(labels) > 0, self.generated(probabilities))


@dataclass(frozen=True)
class Binary(Task):
    """Real or generated, with one logit: a softmax over it would be constant, so it has a sigmoid."""

    labels: tuple[str, ...] = ("real", "generated")
    kind = "binary"
    metric = "AUC"

    @property
    def num_logits(self) -> int:
        """One."""
        return 1

    def ground_truth(
        self, settings: "LossSettings", *, labels: npt.NDArray[np.int64], weight: float = 1.0
    ) -> "Objective":
        """BCE or focal loss; ``pos_weight`` "auto" is reals / fakes, whose inverse logit adjustment takes."""
        from distill.methods.ground_truth import GroundTruth

        pos_weight, adjustment = 1.0, 0.0
        if settings.pos_weight == "auto":
            pos_weight = _imbalance(labels)
        elif settings.pos_weight != "none":
            pos_weight = float(settings.pos_weight)
        if settings.logit_adjustment:
            adjustment = -settings.logit_adjustment * math.log(_imbalance(labels))
        return GroundTruth(
            weight=weight,
            kind=settings.kind,
            pos_weight=pos_weight,
            gamma=settings.focal_gamma,
            adjustment=adjustment,
        )

    def loss(self, logits: "Tensor", labels: "Tensor") -> float:
        """BCE."""
        from torch.nn import functional

        return float(functional.binary_cross_entropy_with_logits(logits, labels))

    def score(self, labels: npt.ArrayLike, logits: npt.ArrayLike) -> float:
        """Area under the ROC curve."""
        return roc_auc(labels, logits)

    def calibrate(self, labels: npt.ArrayLike, logits: npt.ArrayLike) -> Calibration:
        """Temperature and bias (Platt scaling).

        What makes up for imbalanced classes shifts every logit by a constant: ``pos_weight`` w by ln w, balanced batches
        by ln(reals / fakes), logit adjustment by τ ln(reals / fakes). A temperature could not undo that; the bias does, and
        exactly, for it is fitted without bounds: logits with and without a shift give the same probabilities. So
        nothing has to be known here of how a model was trained.
        """
        return fit_calibration(labels, logits)

    def probabilities(self, logits: npt.ArrayLike, *, calibration: Calibration = _UNCALIBRATED) -> Numbers:
        """``[N]`` logits → ``[N]`` probabilities of *generated*."""
        scaled = np.asarray(logits, dtype=np.float64) / calibration.temperature + calibration.bias
        return np.asarray((1.0 + np.tanh(scaled / 2.0)) / 2.0)  # the sigmoid, without overflow

    def generated(self, probabilities: npt.ArrayLike) -> Numbers:
        """The same ``[N]``."""
        return np.asarray(probabilities, dtype=np.float64)


@dataclass(frozen=True)
class MultiClass(Task):
    """K classes with K logits."""

    kind = "multiclass"
    metric = "accuracy"

    @property
    def num_logits(self) -> int:
        """One for each class."""
        return len(self.labels)

    def ground_truth(
        self, settings: "LossSettings", *, labels: npt.NDArray[np.int64], weight: float = 1.0
    ) -> "Objective":
        """Cross-entropy."""
        from distill.methods.ground_truth import GroundTruth

        if settings.kind != "bce" or settings.remedies:
            raise EdgeproofError(
                "loss: focal loss, pos_weight and logit_adjustment are for one logit, expected the defaults"
            )
        return GroundTruth(weight=weight)

    def loss(self, logits: "Tensor", labels: "Tensor") -> float:
        """Cross-entropy."""
        from torch.nn import functional

        return float(functional.cross_entropy(logits, labels.long()))

    def score(self, labels: npt.ArrayLike, logits: npt.ArrayLike) -> float:
        """Share of the images whose likeliest class is right."""
        return float((np.asarray(logits).argmax(axis=1) == np.asarray(labels)).mean())

    def calibrate(self, labels: npt.ArrayLike, logits: npt.ArrayLike) -> Calibration:
        """One temperature."""
        return fit_temperature(labels, logits)

    def probabilities(self, logits: npt.ArrayLike, *, calibration: Calibration = _UNCALIBRATED) -> Numbers:
        """``[..., K]`` logits → softmax over the classes."""
        scaled = np.asarray(logits, dtype=np.float64) / calibration.temperature
        shifted = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
        return np.asarray(shifted / shifted.sum(axis=-1, keepdims=True))

    def generated(self, probabilities: npt.ArrayLike) -> Numbers:
        """Everything but class 0."""
        return np.asarray(np.asarray(probabilities, dtype=np.float64)[..., 1:].sum(axis=-1))


def _imbalance(labels: npt.NDArray[np.int64]) -> float:
    """Reals / fakes of labels ``[N]``; raises :class:`EdgeproofError` if one of them is missing."""
    fakes = labels > 0
    both_classes(fakes, purpose="the weight of the rarer class")
    return float((~fakes).sum() / fakes.sum())


BINARY = Binary()
TASKS: dict[str, Task] = {"binary": BINARY}


def find_task(name: str) -> Task:
    """The task that a recipe names.

    Raises:
        EdgeproofError: an unknown name.
    """
    if name not in TASKS:
        raise unknown_name(kind="task", given=name, choices=TASKS)
    return TASKS[name]


def task_of_labels(kind: str, labels: tuple[str, ...]) -> Task:
    """The task that a manifest describes."""
    return Binary(labels) if kind == "binary" else MultiClass(labels)
