"""KL divergence of softened class distributions: Hinton et al. 2015 (arXiv 1503.02531), for K ≥ 2 classes."""

from torch import Tensor
from torch.nn import functional as F

from distill.errors import EdgeproofError
from distill.methods.objective import Batch, Objective, require_teacher_logits
from students.output import ModelOutput


def softened_kl(student: Tensor, teacher: Tensor, *, temperature: float) -> Tensor:
    """``T² · KL(softmax(t/T) ‖ softmax(s/T))`` averaged over the batch, for ``[N, K]`` logits."""
    log_student = F.log_softmax(student / temperature, dim=1)
    log_teacher = F.log_softmax(teacher / temperature, dim=1)
    return temperature**2 * F.kl_div(log_student, log_teacher, log_target=True, reduction="batchmean")


class KL(Objective):
    """Soft labels from the teacher's class distribution."""

    name = "kl"

    def __init__(self, *, weight: float = 1.0, temperature: float = 2.0) -> None:
        super().__init__(weight=weight)
        self.temperature = temperature

    def loss(self, output: ModelOutput, batch: Batch) -> Tensor:
        """Scalar loss; raises :class:`EdgeproofError` for one logit, where it would be identically zero."""
        teacher = require_teacher_logits(batch, method=self.name)
        if output.logits.ndim != 2:
            raise EdgeproofError(
                "kl: given one logit, where a softmax is constant and KL zero; use soft_bce or logit_mse"
            )
        return softened_kl(output.logits.float(), teacher.float(), temperature=self.temperature)
