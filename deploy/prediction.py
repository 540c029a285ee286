"""What a detector says about an image. Torch-free."""

from dataclasses import dataclass
from typing import Literal

from distill.evaluation.band import Band

Answer = Literal["real", "generated", "not sure"]


@dataclass(frozen=True)
class Prediction:
    """What the detector says about one image.

    Attributes:
        probability: calibrated probability that the image is generated, in [0, 1]; of K classes that of ``label``.
        logit: its log-odds; from the mean over the crops where the policy is ``tiles``.
        label: the manifest's label; of K classes the likeliest.
        threshold: the artifact's frozen threshold; None for K classes.
        generated: the verdict, ``probability >= threshold``; None for K classes.
        probabilities: K classes only, in the order of the manifest's labels.
        answer: ``real``, ``generated``, or ``not sure`` inside the manifest's band; None for K classes and where there is
            no band.
        cautions: what to bear in mind, an image far from the model's input for one; mostly none.
        spread: lowest and highest probability among the tiles, where there were several; None for K classes.
    """

    probability: float
    logit: float
    label: str
    threshold: float | None
    generated: bool | None
    probabilities: tuple[float, ...] | None = None
    answer: Answer | None = None
    cautions: tuple[str, ...] = ()
    spread: tuple[float, float] | None = None


def answer_of(probability: float, *, band: Band | None) -> Answer | None:
    """One of three, as the band says; None without one."""
    if band is None:
        return None
    if probability < band.low:
        return "real"
    return "generated" if probability >= band.high else "not sure"
