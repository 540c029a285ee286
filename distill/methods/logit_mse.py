"""Logit matching: Ba & Caruana 2014 (arXiv 1312.6184); Kim et al. 2021 (arXiv 2105.08919) find it beats KL."""

from torch import Tensor
from torch.nn import functional as F

from distill.methods.method import Method
from distill.methods.objective import Batch, Step
from students.output import ModelOutput


class LogitMSE(Method):
    """Mean squared difference of the student's and the teacher's logits, for one logit or K."""

    name = "logit_mse"
    as_labels = True

    def loss(self, output: ModelOutput, batch: Batch, step: Step) -> Tensor:
        """Scalar loss."""
        return F.mse_loss(output.logits.float(), self.teacher(batch).logits.float())
