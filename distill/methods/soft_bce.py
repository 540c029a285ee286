"""Temperature-scaled BCE: Hinton et al. 2015 (arXiv 1503.02531) done right for one logit.

Softmax over a single logit is constant, so a KL term on it is identically zero; the two-class case is a
Bernoulli one, and its cross-entropy is BCE against the teacher's softened probability.
"""

from torch import Tensor
from torch.nn import functional as F

from distill.errors import EdgeproofError
from distill.methods.objective import Batch, Objective, require_teacher_logits
from students.output import ModelOutput


def soft_bce(student: Tensor, teacher: Tensor, *, temperature: float) -> Tensor:
    """``T² · BCE(σ(s/T), σ(t/T))`` over ``[N]`` logits; T² keeps the gradient's size independent of T."""
    target = (teacher / temperature).sigmoid()
    return temperature**2 * F.binary_cross_entropy_with_logits(student / temperature, target)


class SoftBCE(Objective):
    """Soft labels from the teacher's one logit."""

    name = "soft_bce"

    def __init__(self, *, weight: float = 1.0, temperature: float = 2.0) -> None:
        super().__init__(weight=weight)
        self.temperature = temperature

    def loss(self, output: ModelOutput, batch: Batch) -> Tensor:
        """Scalar loss; raises :class:`EdgeproofError` for several classes."""
        teacher = require_teacher_logits(batch, method=self.name)
        if output.logits.ndim != 1:
            raise EdgeproofError(
                f"soft_bce: given {output.logits.shape[1]} logits, expected one; use the method kl"
            )
        return soft_bce(output.logits.float(), teacher.float(), temperature=self.temperature)
