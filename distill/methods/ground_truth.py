"""Labels: BCE with ``pos_weight``, focal loss (Lin et al. 2017, arXiv 1708.02002), cross-entropy for K classes."""

import torch
from torch import Tensor
from torch.nn import functional as F

from distill.methods.objective import Batch, Objective, Step
from students.output import ModelOutput


def focal_loss(logits: Tensor, labels: Tensor, *, gamma: float, pos_weight: Tensor | None = None) -> Tensor:
    """Mean of ``(1 - p_t)^gamma * BCE`` over ``[N]`` logits; ``gamma = 0`` is plain BCE.

    A label between 0 and 1 (a mixed image's) is that much of the loss of a 1, and the rest of that of a 0.
    """
    if not gamma:
        return F.binary_cross_entropy_with_logits(logits, labels, pos_weight=pos_weight)
    # in the log domain: the gradient of missed**gamma itself is NaN for gamma < 1 where the sigmoid saturates
    generated = (gamma * F.logsigmoid(-logits)).exp() * F.softplus(-logits)
    real = (gamma * F.logsigmoid(logits)).exp() * F.softplus(logits)
    if pos_weight is not None:
        generated = pos_weight * generated
    return (labels * generated + (1 - labels) * real).mean()


class GroundTruth(Objective):
    """BCE or focal loss on one logit; cross-entropy on K.

    Args:
        kind: ``bce`` or ``focal``.
        pos_weight: weight of the generated class; shifts the logit by its logarithm, which calibration undoes.
        gamma: focusing of the focal loss.
        adjustment: added to the one logit while it trains (Menon et al. 2020, arXiv 2007.07314); the logit itself is
            then lower by as much, which calibration undoes too.
    """

    name = "labels"

    def __init__(
        self,
        *,
        weight: float = 1.0,
        kind: str = "bce",
        pos_weight: float = 1.0,
        gamma: float = 2.0,
        adjustment: float = 0.0,
    ) -> None:
        super().__init__(weight=weight)
        self.adjustment = adjustment
        self.gamma = gamma if kind == "focal" else 0.0
        self.register_buffer("pos_weight", torch.tensor(pos_weight), persistent=False)

    def loss(self, output: ModelOutput, batch: Batch, step: Step) -> Tensor:
        """Scalar loss against ``batch.labels``; images without a label (-1) take no part.

        The mean is over the labelled ones, so that ``weight`` means the same however many unlabelled images there
        are; that each batch holds its share of them is the sampler's business.
        """
        known = batch.labels >= 0
        logits, labels = output.logits.float()[known], batch.labels[known]
        if not len(labels):
            return output.logits.float().sum() * 0.0
        if logits.ndim == 2:
            return F.cross_entropy(logits, labels.long())
        pos_weight = self.pos_weight
        if not isinstance(pos_weight, Tensor):
            raise TypeError("pos_weight is no tensor")
        if self.adjustment:
            logits = logits + self.adjustment
        return focal_loss(logits, labels, gamma=self.gamma, pos_weight=pos_weight)
