"""Relational knowledge distillation: Park et al. 2019 (arXiv 1904.05068). Distances and angles within a batch."""

from collections.abc import Sequence
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from distill.methods.maps import OneMap, Two
from distill.methods.pair import Pair

_EPSILON = 1e-12


def distance_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Huber loss (δ = 1) of the distances within two ``[N, D]`` (D may differ), averaged over pairs of different images.

    Each side's distances are divided by their own mean; their squares are at least 1e-12.
    """
    return F.smooth_l1_loss(_distances(student), _distances(teacher))


def angle_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Huber loss (δ = 1) of the cosines of the angles within two ``[N, D]``, averaged over triplets of different images.

    Takes N³ memory.
    """
    return F.smooth_l1_loss(_cosines(student), _cosines(teacher))


def _distances(rows: Tensor) -> Tensor:
    """``[N (N - 1)]``, of mean 1."""
    squares = (rows[:, None] - rows[None]).square().sum(dim=2)
    found = squares[~_diagonal(rows)].clamp(min=_EPSILON).sqrt()
    return found / found.mean()


def _cosines(rows: Tensor) -> Tensor:
    """``[N (N - 1) (N - 2)]``: at each image, between the ways to any two others."""
    ways = F.normalize(rows[None] - rows[:, None], dim=2)
    same = _diagonal(rows)
    return (ways @ ways.transpose(1, 2))[~(same[:, :, None] | same[:, None, :] | same[None])]


def _diagonal(rows: Tensor) -> Tensor:
    return torch.eye(len(rows), dtype=torch.bool, device=rows.device)


class RKD(OneMap):
    """Match how images of a batch lie to each other, by the means over places of one feature map each.

    A batch of fewer than three images costs nothing.
    """

    name = "rkd"

    def __init__(
        self,
        pair: Pair,
        *,
        weight: float = 1.0,
        student_feature: str = "",
        teacher_feature: str = "",
        distance_weight: Annotated[float, Field(ge=0)] = 25.0,
        angle_weight: Annotated[float, Field(ge=0)] = 50.0,
    ) -> None:
        super().__init__(
            pair, weight=weight, student_feature=student_feature, teacher_feature=teacher_feature
        )
        self.distance_weight, self.angle_weight = distance_weight, angle_weight

    def distance(self, maps: Sequence[Two]) -> Tensor:
        """Scalar of the one pair."""
        student, teacher = (map_.mean(dim=(2, 3)) for map_ in maps[0])
        total = student.sum() * 0.0
        if len(student) < 3:
            return total
        if self.distance_weight:
            total = total + self.distance_weight * distance_loss(student, teacher)
        if self.angle_weight:
            total = total + self.angle_weight * angle_loss(student, teacher)
        return total
