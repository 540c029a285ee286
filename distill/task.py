"""What a model answers: two classes with one logit or with one for each generator, or K classes with K. Torch-free.

Labels, ground-truth loss, the score that chooses epochs and seeds, calibration and probabilities have their only
home here. Every model, loss, export and report takes its :class:`Task`; nothing else knows how many logits there are.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from distill.data.samples import GENERATED, Sample
from distill.errors import EdgeproofError
from distill.evaluation.band import Band, fit_band
from distill.evaluation.calibration import Calibration, fit_calibration, fit_temperature
from distill.evaluation.metrics import both_classes, choose_threshold, roc_auc

if TYPE_CHECKING:
    from torch import Tensor

    from distill.methods.objective import Objective
    from distill.recipe import LossSettings
    from distill.task_settings import TaskSettings

Numbers = npt.NDArray[np.float64]
_UNCALIBRATED = Calibration()


@dataclass(frozen=True)
class Task(ABC):
    """What is asked of a model.

    Attributes:
        labels: names of the classes, by a sample's number.
        kind: ``binary`` or ``multiclass``, as an artifact's manifest says it.
        metric: name of :meth:`score`.
    """

    labels: tuple[str, ...]
    kind: ClassVar[Literal["binary", "multiclass"]]
    metric: ClassVar[str]

    @property
    @abstractmethod
    def num_logits(self) -> int:
        """Logits of one image."""

    @property
    def classes(self) -> tuple[str, ...]:
        """The names that the data itself must use for its classes; none where layouts know real from generated."""
        return ()

    @property
    @abstractmethod
    def described(self) -> str | dict[str, Any]:
        """What a checkpoint's sidecar says of it, as JSON: teachers and students must agree."""

    def targets(self, samples: Sequence[Sample]) -> npt.NDArray[np.int64]:
        """What a model learns of each sample ``[N]``: its label, -1 = unlabelled."""
        return np.array([sample.label for sample in samples], dtype=np.int64)

    @abstractmethod
    def ground_truth(
        self, settings: "LossSettings", *, labels: npt.NDArray[np.int64], weight: float = 1.0
    ) -> "Objective":
        """The recipe's loss against the targets; ``labels`` ``[N]`` are those of the training split."""

    @abstractmethod
    def loss(self, logits: "Tensor", labels: "Tensor") -> float:
        """Plain mean loss of ``[N]`` or ``[N, K]`` logits against the samples' labels ``[N]``, to watch."""

    @abstractmethod
    def score(self, labels: npt.ArrayLike, logits: npt.ArrayLike) -> float:
        """What chooses the best epoch and seed on validation data; higher is better."""

    def score_of(self, labels: npt.ArrayLike, probabilities: npt.ArrayLike) -> float:
        """The same of what :meth:`probabilities` gives: monotonous in the logits, or with their likeliest class."""
        return self.score(labels, probabilities)

    @abstractmethod
    def calibrate(self, labels: npt.ArrayLike, logits: npt.ArrayLike) -> Calibration:
        """Fit what :meth:`probabilities` takes, on validation data."""

    def answers(self, logits: npt.ArrayLike) -> Numbers:
        """What verdicts follow from, of a network's logits: ``[N]`` log-odds of *generated*, or ``[N, K]`` logits."""
        return np.asarray(logits, dtype=np.float64)

    def deployed(self, logits: "Tensor") -> "Tensor":
        """The same as a part of an artifact's graph, of the logits of one image: ``[1]``, or ``[1, K]``."""
        return logits.reshape((1,) if self.num_logits == 1 else (1, self.num_logits))

    @abstractmethod
    def probabilities(self, logits: npt.ArrayLike, *, calibration: Calibration = _UNCALIBRATED) -> Numbers:
        """Calibrated probabilities: of *generated* ``[N]`` for two classes, of every class ``[N, K]`` for K."""

    @abstractmethod
    def generated(self, probabilities: npt.ArrayLike) -> Numbers:
        """Probability ``[N]`` that an image is generated, from :meth:`probabilities`.

        Raises:
            EdgeproofError: the classes do not tell it.
        """

    @abstractmethod
    def threshold(self, labels: npt.ArrayLike, probabilities: npt.ArrayLike) -> float | None:
        """The one on the probability of *generated* that is best on these (validation) images; None for K classes."""

    @abstractmethod
    def band(
        self, labels: npt.ArrayLike, probabilities: npt.ArrayLike, *, threshold: float | None
    ) -> Band | None:
        """Where the answer is *not sure*, from the same images; None for K classes."""


@dataclass(frozen=True)
class Binary(Task):
    """Real or generated, with one logit: a softmax over it would be constant, so it has a sigmoid.

    Label 0 is real; every other one is generated.
    """

    labels: tuple[str, ...] = ("real", "generated")
    kind = "binary"
    metric = "AUC"

    @property
    def num_logits(self) -> int:
        """One."""
        return 1

    @property
    def described(self) -> str | dict[str, Any]:
        """Its kind alone."""
        return self.kind

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
        return roc_auc(np.asarray(labels) > 0, self.answers(logits))

    def score_of(self, labels: npt.ArrayLike, probabilities: npt.ArrayLike) -> float:
        """Area under the ROC curve."""
        return roc_auc(np.asarray(labels) > 0, self.generated(probabilities))

    def calibrate(self, labels: npt.ArrayLike, logits: npt.ArrayLike) -> Calibration:
        """Temperature and bias (Platt scaling).

        What makes up for imbalanced classes shifts every logit by a constant: ``pos_weight`` w by ln w, balanced batches
        by ln(reals / fakes), logit adjustment by τ ln(reals / fakes). A temperature could not undo that; the bias does, and
        exactly, for it is fitted without bounds: logits with and without a shift give the same probabilities. So
        nothing has to be known here of how a model was trained.
        """
        return fit_calibration(np.asarray(labels) > 0, self.answers(logits))

    def probabilities(self, logits: npt.ArrayLike, *, calibration: Calibration = _UNCALIBRATED) -> Numbers:
        """``[N]`` probabilities of *generated*."""
        scaled = self.answers(logits) / calibration.temperature + calibration.bias
        return np.asarray((1.0 + np.tanh(scaled / 2.0)) / 2.0)  # the sigmoid, without overflow

    def generated(self, probabilities: npt.ArrayLike) -> Numbers:
        """The same ``[N]``."""
        return np.asarray(probabilities, dtype=np.float64)

    def threshold(self, labels: npt.ArrayLike, probabilities: npt.ArrayLike) -> float | None:
        """By balanced accuracy."""
        return choose_threshold(np.asarray(labels) > 0, self.generated(probabilities))

    def band(
        self, labels: npt.ArrayLike, probabilities: npt.ArrayLike, *, threshold: float | None
    ) -> Band | None:
        """Around the threshold, 5 % of either class in error at most."""
        if threshold is None:
            return None
        return fit_band(np.asarray(labels) > 0, self.generated(probabilities), threshold=threshold)


@dataclass(frozen=True)
class Families(Binary):
    """Real, or made by one of K generator families: K + 1 logits to learn and distil, judged as real or generated.

    Subclass distillation (Müller, Kornblith & Hinton 2020, arXiv 2002.03936): a binary teacher near 0 or 1 leaves little
    to transfer, its subclasses tell more. The probability of *generated* is the sum over the families, whose log-odds
    ``logsumexp(z[1:]) - z[0]`` stand for the one logit of :class:`Binary` from calibration on. An artifact is therefore
    a binary one.

    Attributes:
        families: names of generators (``Sample.generator``), in the order of the logits after the first, real.
    """

    families: tuple[str, ...] = ()

    @property
    def num_logits(self) -> int:
        """One for real, one for each family."""
        return 1 + len(self.families)

    @property
    def described(self) -> str | dict[str, Any]:
        """Kind and labels."""
        from distill.task_settings import REAL_LABEL  # of the recipe, which nobody needs to run an artifact

        return {"kind": "families", "labels": [REAL_LABEL, *self.families]}

    def targets(self, samples: Sequence[Sample]) -> npt.NDArray[np.int64]:
        """0 for real, the number of the family for a generated one, -1 for unlabelled.

        Raises:
            EdgeproofError: an image of a generator that is not among the labels.
        """
        numbers = {name: number for number, name in enumerate(self.families, start=1)}
        for sample in samples:
            if sample.label == GENERATED and sample.generator not in numbers:
                raise EdgeproofError(
                    f"{sample.path}: generator {sample.generator!r} to train on, expected one of "
                    f"{', '.join(self.families)} (task.labels)"
                )
        return np.array(
            [numbers[sample.generator] if sample.label == GENERATED else sample.label for sample in samples],
            dtype=np.int64,
        )

    def ground_truth(
        self, settings: "LossSettings", *, labels: npt.NDArray[np.int64], weight: float = 1.0
    ) -> "Objective":
        """Cross-entropy over real and the families."""
        return _cross_entropy(settings, weight=weight)

    def loss(self, logits: "Tensor", labels: "Tensor") -> float:
        """BCE of the log-odds: generators that were not learned are judged too."""
        odds = logits[:, 1:].logsumexp(dim=1) - logits[:, 0]
        return super().loss(odds, (labels > 0).to(odds.dtype))

    def answers(self, logits: npt.ArrayLike) -> Numbers:
        """``[N, K + 1]`` logits → ``[N]`` log-odds of all families together against real."""
        values = np.asarray(logits, dtype=np.float64)
        return np.asarray(np.logaddexp.reduce(values[..., 1:], axis=-1) - values[..., 0])

    def deployed(self, logits: "Tensor") -> "Tensor":
        """``[1, K + 1]`` → ``[1]``. Sub alone, never Add: ONNX Runtime's quantizer quantizes every Add."""
        rest = logits[:, 1:]
        largest = rest.amax(dim=1)
        log_sum = (rest - largest[:, None]).exp().sum(dim=1).log()  # 0 or more
        return (largest - logits[:, 0]) - (-log_sum)


@dataclass(frozen=True)
class MultiClass(Task):
    """K classes of any names with K logits; the verdict is the likeliest."""

    kind = "multiclass"
    metric = "accuracy"

    @property
    def num_logits(self) -> int:
        """One for each class."""
        return len(self.labels)

    @property
    def classes(self) -> tuple[str, ...]:
        """The labels."""
        return self.labels

    @property
    def described(self) -> str | dict[str, Any]:
        """Kind and labels."""
        return {"kind": self.kind, "labels": list(self.labels)}

    def ground_truth(
        self, settings: "LossSettings", *, labels: npt.NDArray[np.int64], weight: float = 1.0
    ) -> "Objective":
        """Cross-entropy."""
        return _cross_entropy(settings, weight=weight)

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
        """Raises: the classes have other names."""
        raise EdgeproofError(
            f"the classes {', '.join(self.labels)} do not tell whether an image is generated"
        )

    def threshold(self, labels: npt.ArrayLike, probabilities: npt.ArrayLike) -> float | None:
        """None: the verdict is the likeliest class."""
        return None

    def band(
        self, labels: npt.ArrayLike, probabilities: npt.ArrayLike, *, threshold: float | None
    ) -> Band | None:
        """None as well."""
        return None


def _cross_entropy(settings: "LossSettings", *, weight: float) -> "Objective":
    from distill.methods.ground_truth import GroundTruth

    if settings.kind != "bce" or settings.remedies:
        raise EdgeproofError(
            "loss: focal loss, pos_weight and logit_adjustment are for one logit, expected the defaults"
        )
    return GroundTruth(weight=weight)


def _imbalance(labels: npt.NDArray[np.int64]) -> float:
    """Reals / fakes of labels ``[N]``; raises :class:`EdgeproofError` if one of them is missing."""
    fakes = labels > 0
    both_classes(fakes, purpose="the weight of the rarer class")
    return float((~fakes).sum() / fakes.sum())


BINARY = Binary()


def find_task(settings: "TaskSettings") -> Task:
    """The task that a recipe names."""
    if settings.kind == "multiclass":
        return MultiClass(settings.labels)
    return Families(families=settings.labels[1:]) if settings.kind == "families" else BINARY


def task_of_labels(kind: str, labels: tuple[str, ...]) -> Task:
    """The task that a manifest describes."""
    return Binary(labels) if kind == "binary" else MultiClass(labels)
