"""Labels: BCE with ``pos_weight``, focal loss (Lin et al. 2017, arXiv 1708.02002), cross-entropy for K classes."""

import torch
from torch import Tensor
from torch.nn import functional as F

from distill.methods.objective import Batch, Objective, Step
from students.output import ModelOutput


def focal_loss(logits: Tensor, labels: Tensor, *, gamma: float, pos_weight: Tensor | None = None) -> Tensor:
    """Mean of ``(1 - p_t)^gamma * BCE`` over ``[N]`` logits; ``gamma = 0`` is plain BCE."""
    bce = F.binary_cross_entropy_with_logits(logits, labels, pos_weight=pos_weight, reduction="none")
    # in the log domain: the gradient of missed**gamma itself is NaN for gamma < 1 where the sigmoid saturates
    log_missed = F.logsigmoid((1 - 2 * labels) * logits)
    return ((gamma * log_missed).exp() * bce).mean()


class GroundTruth(Objective):
    """BCE or focal loss on one logit; cross-entropy on K.

    Args:
        kind: ``bce`` or ``focal``.
        pos_weight: weight of the generated class; shifts the logit by its logarithm, which calibration undoes.
        gamma: focusing of the focal loss.
    """

    name = "labels"

    def __init__(
        self, *, weight: float = 1.0, kind: str = "bce", pos_weight: float = 1.0, gamma: float = 2.0
    ) -> None:
        super().__init__(weight=weight)
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
        return focal_loss(logits, labels, gamma=self.gamma, pos_weight=pos_weight)
