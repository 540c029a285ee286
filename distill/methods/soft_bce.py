"""Temperature-scaled BCE: Hinton et al. 2015 (arXiv 1503.02531) done right for one logit.

Softmax over a single logit is constant, so a KL term on it is identically zero; the two-class case is a
Bernoulli one, whose cross-entropy is BCE against the teacher's softened probability. The teacher's own entropy,
which no student can change, is taken off: what remains is the KL divergence, zero for a perfect student.
"""

from typing import Annotated

from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from distill.errors import EdgeproofError
from distill.methods.method import Method
from distill.methods.objective import Batch, Step
from distill.methods.pair import Pair
from students.output import ModelOutput


def soft_bce(student: Tensor, teacher: Tensor, *, temperature: float) -> Tensor:
    """``T² · (BCE(σ(s/T), σ(t/T)) - H(σ(t/T)))``, a Bernoulli KL divergence, averaged over ``[N]`` logits.

    T² keeps the gradient's size independent of T.
    """
    softened = teacher / temperature
    target = softened.sigmoid()
    entropy = F.binary_cross_entropy_with_logits(softened, target)
    return temperature**2 * (F.binary_cross_entropy_with_logits(student / temperature, target) - entropy)


class SoftBCE(Method):
    """Soft labels from the teacher's one logit.

    Raises:
        EdgeproofError: a task with several logits.
    """

    name = "soft_bce"
    as_labels = True

    def __init__(
        self, pair: Pair, *, weight: float = 1.0, temperature: Annotated[float, Field(gt=0)] = 2.0
    ) -> None:
        super().__init__(pair, weight=weight)
        if pair.task.num_logits > 1:
            raise EdgeproofError(
                f"distillation.methods: soft_bce is for one logit, not {pair.task.num_logits}; use kl or logit_mse"
            )
        self.temperature = temperature

    def loss(self, output: ModelOutput, batch: Batch, step: Step) -> Tensor:
        """Scalar loss."""
        teacher = self.teacher(batch).logits
        return soft_bce(output.logits.float(), teacher.float(), temperature=self.temperature)
