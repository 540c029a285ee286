"""Logit standardization: Sun et al. 2024 (arXiv 2403.01427). KL of z-scored logits, for K > 2 classes."""

from typing import Annotated

from pydantic import Field
from torch import Tensor

from distill.errors import EdgeproofError
from distill.methods.kl import softened_kl
from distill.methods.method import Method
from distill.methods.objective import Batch, Step
from distill.methods.pair import Pair
from students.output import ModelOutput

_EPSILON = 1e-7


def standardized(logits: Tensor) -> Tensor:
    """``[N, K]`` minus its mean over the classes, by its standard deviation (of the population, plus 1e-7)."""
    centred = logits - logits.mean(dim=1, keepdim=True)
    return centred / (logits.std(dim=1, keepdim=True, correction=0) + _EPSILON)


class LogitStandardization(Method):
    """Soft labels whose scale is each network's own: the student matches the order and the gaps, not the size.

    Raises:
        EdgeproofError: one logit, whose z-score is always 0, or two, whose z-scores are always 1 and -1.
    """

    name = "logit_standardization"

    def __init__(
        self, pair: Pair, *, weight: float = 1.0, temperature: Annotated[float, Field(gt=0)] = 2.0
    ) -> None:
        super().__init__(pair, weight=weight)
        if pair.task.num_logits <= 2:
            what = "one logit is always 0" if pair.task.num_logits == 1 else "two logits is always 1 and -1"
            instead = "soft_bce or dist" if pair.task.num_logits == 1 else "kl or dist"
            raise EdgeproofError(
                f"distillation.methods: logit_standardization: the z-score of {what}, whatever the student says; "
                f"use {instead}"
            )
        self.temperature = temperature

    def loss(self, output: ModelOutput, batch: Batch, step: Step) -> Tensor:
        """Scalar loss, times T²."""
        student, teacher = (
            standardized(logits.float()) for logits in (output.logits, self.teacher(batch).logits)
        )
        return softened_kl(student, teacher, temperature=self.temperature)
