"""Several teachers, one target: their softened answers mixed by fixed shares or by how right each is.

By confidence: Zhang et al. 2022, CA-MKD (arXiv 2201.00007, its weighting of logits).
"""

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from distill.errors import EdgeproofError
from distill.methods.kl import as_classes
from distill.methods.method import Method
from distill.methods.objective import Batch, Step
from distill.methods.pair import Pair
from students.output import ModelOutput


def mixed_kl(student: Tensor, teachers: Tensor, shares: Tensor, *, temperature: float) -> Tensor:
    """``T² · KL(Σ_m w_m softmax(t_m / T) ‖ softmax(s / T))`` averaged over the batch.

    Args:
        student: logits ``[N, K]``.
        teachers: logits of M teachers ``[M, N, K]``.
        shares: w ``[M, N]``, summing to 1 over the teachers.
        temperature: T.
    """
    target = (shares[:, :, None] * (teachers / temperature).softmax(dim=2)).sum(dim=0)
    log_student = (student / temperature).log_softmax(dim=1)
    return temperature**2 * F.kl_div(log_student, target, reduction="batchmean")


def confidence_shares(teachers: Tensor, labels: Tensor) -> Tensor:
    """``w_m = (1 - exp(L_m) / Σ exp(L)) / (M - 1)`` with L the cross-entropy of teacher m; ``[M, N]``.

    Args:
        teachers: logits ``[M, N, K]``.
        labels: float ``[N]``, the class's number; where it is unknown (-1), shares are equal. With two classes it may
            lie between 0 and 1.
    """
    count, _, classes = teachers.shape
    known = labels >= 0
    if classes == 2:
        target = torch.stack([1 - labels, labels], dim=1)
    else:
        target = F.one_hot(labels.clamp(min=0).long(), classes).to(teachers.dtype)
    wrong = -(target * teachers.log_softmax(dim=2)).sum(dim=2)
    shares = (1 - wrong.softmax(dim=0)) / (count - 1)
    return torch.where(known, shares, torch.full_like(shares, 1 / count))


class SeveralTeachers(Method):
    """Soft labels from all of ``teachers`` together; on one logit as the two classes that it stands for.

    Args:
        pair: the models.
        weight: of the term.
        by: ``mean`` with ``shares``, or ``confidence``: for each image, the more the better a teacher knows its label.
        shares: one for each teacher, in their order; equal if left out.
        temperature: T.

    Raises:
        EdgeproofError: fewer than two teachers, or shares that do not fit.
    """

    name = "several_teachers"

    def __init__(
        self,
        pair: Pair,
        *,
        weight: float = 1.0,
        by: Literal["mean", "confidence"] = "mean",
        shares: tuple[Annotated[float, Field(ge=0)], ...] = (),
        temperature: Annotated[float, Field(gt=0)] = 4.0,
    ) -> None:
        super().__init__(pair, weight=weight)
        if len(self.teachers) < 2:
            raise EdgeproofError(
                f"distillation.methods: several_teachers: found teachers = {list(self.teachers)}, expected two or more"
            )
        if shares and (by != "mean" or len(shares) != len(self.teachers) or not sum(shares)):
            raise EdgeproofError(
                f"distillation.methods: several_teachers: found shares = {list(shares)} with by = {by!r} and "
                f"{len(self.teachers)} teachers; expected by = 'mean' and a share for each, not all of them 0"
            )
        given = shares or (1.0,) * len(self.teachers)
        self.by, self.temperature = by, temperature
        self.shares = tuple(share / sum(given) for share in given)

    def loss(self, output: ModelOutput, batch: Batch, step: Step) -> Tensor:
        """Scalar loss."""
        teachers = torch.stack([as_classes(self.said(batch, name).logits.float()) for name in self.teachers])
        if self.by == "confidence":
            shares = confidence_shares(teachers, batch.labels)
        else:
            shares = teachers.new_tensor(self.shares)[:, None].expand(teachers.shape[:2])
        student = as_classes(output.logits.float())
        return mixed_kl(student, teachers, shares, temperature=self.temperature)
