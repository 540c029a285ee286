"""Logit matching: Ba & Caruana 2014 (arXiv 1312.6184); Kim et al. 2021 (arXiv 2105.08919) find it beats KL."""

from torch import Tensor
from torch.nn import functional as F

from distill.methods.objective import Batch, Objective, require_teacher_logits
from students.output import ModelOutput


class LogitMSE(Objective):
    """Mean squared difference of the student's and the teacher's logits, for one logit or K."""

    name = "logit_mse"

    def loss(self, output: ModelOutput, batch: Batch) -> Tensor:
        """Scalar loss."""
        teacher = require_teacher_logits(batch, method=self.name)
        return F.mse_loss(output.logits.float(), teacher.float())
