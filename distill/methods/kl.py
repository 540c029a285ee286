"""KL divergence of softened class distributions: Hinton et al. 2015 (arXiv 1503.02531), for K ≥ 2 classes."""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from distill.errors import EdgeproofError
from distill.methods.method import Method
from distill.methods.objective import Batch, Step
from distill.methods.pair import Pair
from students.output import ModelOutput


def softened_kl(student: Tensor, teacher: Tensor, *, temperature: float) -> Tensor:
    """``T² · KL(softmax(t/T) ‖ softmax(s/T))`` averaged over the batch, for ``[N, K]`` logits."""
    log_student = F.log_softmax(student / temperature, dim=1)
    log_teacher = F.log_softmax(teacher / temperature, dim=1)
    return temperature**2 * F.kl_div(log_student, log_teacher, log_target=True, reduction="batchmean")


def as_classes(logits: Tensor) -> Tensor:
    """``[N, K]`` as they are; one logit ``[N]`` as the two classes that it stands for, ``[0, z]``."""
    return logits if logits.ndim == 2 else torch.stack([torch.zeros_like(logits), logits], dim=1)


class KL(Method):
    """Soft labels from the teacher's class distribution.

    Raises:
        EdgeproofError: a task with one logit, where a softmax is constant and KL identically zero.
    """

    name = "kl"
    as_labels = True

    def __init__(
        self, pair: Pair, *, weight: float = 1.0, temperature: Annotated[float, Field(gt=0)] = 2.0
    ) -> None:
        super().__init__(pair, weight=weight)
        if pair.task.num_logits == 1:
            raise EdgeproofError(
                "distillation.methods: kl is identically zero for one logit; use soft_bce or logit_mse"
            )
        self.temperature = temperature

    def loss(self, output: ModelOutput, batch: Batch, step: Step) -> Tensor:
        """Scalar loss."""
        teacher = self.teacher(batch).logits
        return softened_kl(output.logits.float(), teacher.float(), temperature=self.temperature)
