"""DIST: Huang et al. 2022 (arXiv 2205.10536). The teacher's relations, not its very probabilities."""

from typing import Annotated

from pydantic import Field
from torch import Tensor

from distill.methods.method import Method
from distill.methods.objective import Batch, Step
from distill.methods.pair import Pair
from students.output import ModelOutput

_EPSILON = 1e-8


def correlation(one: Tensor, other: Tensor) -> Tensor:
    """Pearson's r ``[N]`` of the rows of two ``[N, D]``; 0 where a row is constant. Products of norms are at least 1e-8."""
    one, other = (rows - rows.mean(dim=1, keepdim=True) for rows in (one, other))
    norms = one.norm(dim=1) * other.norm(dim=1)
    found: Tensor = (one * other).sum(dim=1) / norms.clamp(min=_EPSILON)
    return found


def relations(student: Tensor, teacher: Tensor, *, temperature: float) -> tuple[Tensor, Tensor]:
    """Inter-class and intra-class distance, each times T²: ``1 - r`` between probabilities, averaged.

    Inter-class: over the K classes of one image. Intra-class: over the batch's images for one class. With one logit
    ``[N]`` a row holds p and 1 - p, whose correlation is 1 or -1 whatever the student says: only the intra-class one,
    of the probability over the batch, has a meaning, and the other is zero.
    """
    if student.ndim == 1:
        one, other = ((logits / temperature).sigmoid()[None] for logits in (student, teacher))
        return student.new_zeros(()), temperature**2 * (1 - correlation(one, other)).mean()
    one, other = ((logits / temperature).softmax(dim=1) for logits in (student, teacher))
    inter, intra = (1 - correlation(one, other)).mean(), (1 - correlation(one.T, other.T)).mean()
    return temperature**2 * inter, temperature**2 * intra


class DIST(Method):
    """Correlate with the teacher: among the classes of an image, and among the images of a batch.

    On one logit the second alone is left.
    """

    name = "dist"

    def __init__(
        self,
        pair: Pair,
        *,
        weight: float = 1.0,
        inter: Annotated[float, Field(ge=0)] = 1.0,
        intra: Annotated[float, Field(ge=0)] = 1.0,
        temperature: Annotated[float, Field(gt=0)] = 1.0,
    ) -> None:
        super().__init__(pair, weight=weight)
        self.inter, self.intra, self.temperature = inter, intra, temperature

    def loss(self, output: ModelOutput, batch: Batch, step: Step) -> Tensor:
        """Scalar loss."""
        teacher = self.teacher(batch).logits
        inter, intra = relations(output.logits.float(), teacher.float(), temperature=self.temperature)
        return self.inter * inter + self.intra * intra
