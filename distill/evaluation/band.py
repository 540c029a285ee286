"""When a detector had better say that it is not sure: a band of probabilities, fitted on validation data. NumPy only."""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, model_validator

from distill.errors import EdgeproofError
from distill.evaluation.metrics import both_classes
from distill.evaluation.statistics import Floats, check_scores

MAX_ERROR = 0.05
_Unit = Annotated[float, Field(ge=0.0, le=1.0)]


class Band(BaseModel):
    """Below ``low`` an image is called real, from ``high`` on generated, and between them the answer is *not sure*.

    ``max_error`` is what it was fitted for: at most that share of the generated images is called real, and at most
    that share of the real ones generated.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, defer_build=True)

    low: _Unit
    high: _Unit
    max_error: Annotated[float, Field(gt=0.0, lt=1.0)] = MAX_ERROR

    @model_validator(mode="after")
    def _ordered(self) -> "Band":
        if self.low > self.high:
            raise ValueError(f"low is {self.low:g}, expected at most high, {self.high:g}")
        return self


@dataclass(frozen=True)
class Answered:
    """What becomes of the images of a split; None where there is none of the kind.

    Attributes:
        share: of all images, those that get an answer: the trial response rate (TRR) of NIST's media forensics
            evaluations.
        false_positive_rate: of the real images, those that are called generated.
        miss_rate: of the generated images, those that are called real.
        accuracy: of those that get an answer, the right ones.
    """

    share: float | None
    false_positive_rate: float | None
    miss_rate: float | None
    accuracy: float | None


def fit_band(
    labels: npt.ArrayLike, probabilities: npt.ArrayLike, *, threshold: float, max_error: float = MAX_ERROR
) -> Band:
    """The narrowest band around ``threshold`` whose two edges hold ``max_error`` on new images of the same kind.

    Each edge is a quantile of its own class (Sadinle, Lei & Wasserman 2019, JASA 114:223: least ambiguous sets with
    bounded error levels), with split conformal prediction's correction for a finite sample (Vovk 2012): of n
    images of a class, k = floor((n + 1) max_error) may lie at or beyond the edge. An edge that lies on the far side of
    the threshold is moved to it, which errs less: an answer never contradicts the verdict, and a detector that holds
    both limits at its threshold is always sure. With too few images (18 of a class for 5 %), that class's edge is at 0
    or 1, and the detector never sure.

    Args:
        labels: ``[N]``, 1 = generated; validation images, as those that chose ``threshold``.
        probabilities: ``[N]`` calibrated.
        threshold: the frozen one.
        max_error: of either class.

    Raises:
        EdgeproofError: malformed input, one class only, or ``max_error`` not between 0 and 1.
    """
    truth, scores = check_scores(labels, probabilities)
    both_classes(truth, purpose="fitting a band")
    if not 0 < max_error < 1:
        raise EdgeproofError(f"max_error is {max_error:g}, expected more than 0 and less than 1")
    low = _edge(scores[truth], among=scores, at_most=threshold, max_error=max_error)
    high = 1 - _edge(1 - scores[~truth], among=1 - scores, at_most=1 - threshold, max_error=max_error)
    return Band(low=low, high=max(high, threshold), max_error=max_error)  # max: 1 - (1 - t) may round below t


def answered(labels: npt.ArrayLike, probabilities: npt.ArrayLike, *, band: Band) -> Answered:
    """How often a band answers, and errs, on a split: labels ``[N]`` (1 = generated) and probabilities ``[N]``."""
    truth, scores = check_scores(labels, probabilities)
    real, generated = scores < band.low, scores >= band.high
    sure, right = real | generated, np.where(truth, generated, real)
    return Answered(
        share=_mean(sure),
        false_positive_rate=_mean(generated[~truth]),
        miss_rate=_mean(real[truth]),
        accuracy=_mean(right[sure]),
    )


def _edge(own: Floats, *, among: Floats, at_most: float, max_error: float) -> float:
    """Below which at most ``max_error`` of one class lie: ``at_most`` if it may be, or else halfway between two scores,
    so that rounding moves none.
    """
    allowed = int((own.size + 1) * max_error + 1e-9)
    if not allowed:
        return 0.0
    last = float(np.sort(own)[allowed - 1])
    if at_most < last:
        return at_most
    lower = among[among < last]
    return (last + float(lower.max(initial=0.0))) / 2


def _mean(values: npt.NDArray[np.bool_]) -> float | None:
    return float(values.mean()) if values.size else None
