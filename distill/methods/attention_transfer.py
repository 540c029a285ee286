"""Attention transfer: Zagoruyko & Komodakis 2017 (arXiv 1612.03928). Where a network is active, not how."""

from collections.abc import Sequence
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from distill.methods.maps import ManyMaps, Two, pool_to_smaller
from distill.methods.pair import Pair


def attention(map_: Tensor, *, power: float) -> Tensor:
    """``Σ_c |A_c|^p`` of a ``[N, C, H, W]`` map, as ``[N, HW]`` of unit norm (at least 1e-12)."""
    return F.normalize(map_.abs().pow(power).sum(dim=1).flatten(1), dim=1)


def attention_loss(student: Tensor, teacher: Tensor, *, power: float) -> Tensor:
    """Squared L2 distance of the attention of two maps, averaged over images; the larger map is pooled down.

    The paper's norm is not squared and has no gradient where both agree; squared as in the authors' code, but summed
    over places, so that the weight does not depend on a map's size.
    """
    student, teacher = pool_to_smaller(student, teacher)
    difference = attention(student, power=power) - attention(teacher, power=power)
    return difference.square().sum(dim=1).mean()


class AttentionTransfer(ManyMaps):
    """Match where the maps are active, summed over levels; no projection, whatever the channels."""

    name = "attention_transfer"

    def __init__(
        self,
        pair: Pair,
        *,
        weight: float = 1.0,
        student_features: tuple[str, ...] = (),
        teacher_features: tuple[str, ...] = (),
        power: Annotated[float, Field(ge=1, le=8)] = 2.0,
    ) -> None:
        super().__init__(
            pair, weight=weight, student_features=student_features, teacher_features=teacher_features
        )
        self.power = power

    def distance(self, maps: Sequence[Two]) -> Tensor:
        """Sum over levels."""
        losses = [attention_loss(student, teacher, power=self.power) for student, teacher in maps]
        return torch.stack(losses).sum()
