"""Label smoothing: Szegedy et al. 2015 (arXiv 1512.00567), Müller et al. 2019 (arXiv 1906.02629). No teacher.

A baseline: part of what a teacher's soft labels give is that they are soft.
"""

from typing import Annotated

from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from distill.methods.method import Method
from distill.methods.objective import Batch, Step
from distill.methods.pair import Pair
from students.output import ModelOutput


def smoothed_loss(logits: Tensor, labels: Tensor, *, smoothing: float) -> Tensor:
    """Cross-entropy with ``(1 - ε) · y + ε / K``, averaged over the batch; K = 2 for one logit.

    Args:
        logits: ``[N]`` or ``[N, K]``.
        labels: float ``[N]``; of one logit also between 0 and 1.
        smoothing: ε.
    """
    if logits.ndim == 2:
        return F.cross_entropy(logits, labels.long(), label_smoothing=smoothing)
    return F.binary_cross_entropy_with_logits(logits, (1 - smoothing) * labels + smoothing / 2)


class LabelSmoothing(Method):
    """The labels' loss itself, on smoothed labels: meant to stand in its place, with ``distillation.label_weight = 0``.

    Images without a label take no part.
    """

    name = "label_smoothing"
    listens = False

    def __init__(
        self, pair: Pair, *, weight: float = 1.0, smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.1
    ) -> None:
        super().__init__(pair, weight=weight)
        self.smoothing = smoothing

    def loss(self, output: ModelOutput, batch: Batch, step: Step) -> Tensor:
        """Scalar loss over the labelled images."""
        known = batch.labels >= 0
        if not known.any():
            return output.logits.float().sum() * 0.0
        return smoothed_loss(output.logits.float()[known], batch.labels[known], smoothing=self.smoothing)
