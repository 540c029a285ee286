"""Decoupled knowledge distillation: Zhao et al. 2022 (arXiv 2203.08679), for K > 2 classes."""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from distill.errors import EdgeproofError
from distill.methods.kl import softened_kl
from distill.methods.method import Method
from distill.methods.objective import Batch, Step
from distill.methods.pair import Pair
from students.output import ModelOutput


def decoupled(
    student: Tensor, teacher: Tensor, target: Tensor, *, temperature: float
) -> tuple[Tensor, Tensor]:
    """TCKD and NCKD of ``[N, K]`` logits and target classes ``[N]``, each times T² and averaged over the batch.

    TCKD is the KL divergence of (target, all others), NCKD that of the softmax over the others alone. KL itself is
    ``TCKD + (1 - p_target of the teacher) · NCKD``.
    """
    chosen = F.one_hot(target, student.shape[1]).bool()
    ours, theirs = (_target_and_rest(logits / temperature, chosen) for logits in (student, teacher))
    kl = F.kl_div(ours, theirs, log_target=True, reduction="batchmean")
    ours, theirs = (logits[~chosen].reshape(len(logits), -1) for logits in (student, teacher))
    return temperature**2 * kl, softened_kl(ours, theirs, temperature=temperature)


def _target_and_rest(logits: Tensor, chosen: Tensor) -> Tensor:
    """Log-probabilities ``[N, 2]`` of the target and of all others together."""
    whole = logits.logsumexp(dim=1)
    rest = logits.masked_fill(chosen, -torch.inf).logsumexp(dim=1)
    return torch.stack([logits[chosen] - whole, rest - whole], dim=1)


class DKD(Method):
    """Weigh what the teacher says of the target class and of the others apart from each other.

    The target of an image without a label is the class that the teacher holds most likely.

    Raises:
        EdgeproofError: one logit or two, where there is but one class beside the target, and NCKD is zero.
    """

    name = "dkd"

    def __init__(
        self,
        pair: Pair,
        *,
        weight: float = 1.0,
        alpha: Annotated[float, Field(ge=0)] = 1.0,
        beta: Annotated[float, Field(ge=0)] = 8.0,
        temperature: Annotated[float, Field(gt=0)] = 4.0,
    ) -> None:
        super().__init__(pair, weight=weight)
        if pair.task.num_logits <= 2:
            raise EdgeproofError(
                f"distillation.methods: dkd weighs the classes beside the target, and with {pair.task.num_logits} "
                f"{'logit' if pair.task.num_logits == 1 else 'logits'} there is but one: its NCKD is zero; "
                f"use {'soft_bce' if pair.task.num_logits == 1 else 'kl'}"
            )
        self.alpha, self.beta, self.temperature = alpha, beta, temperature

    def loss(self, output: ModelOutput, batch: Batch, step: Step) -> Tensor:
        """Scalar loss: α · TCKD + β · NCKD."""
        teacher = self.teacher(batch).logits.float()
        target = torch.where(batch.labels >= 0, batch.labels, teacher.argmax(dim=1)).long()
        target_loss, others = decoupled(output.logits.float(), teacher, target, temperature=self.temperature)
        return self.alpha * target_loss + self.beta * others
