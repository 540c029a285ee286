"""Knowledge review: Chen et al. 2021 (arXiv 2104.09044). Deep levels of the student help its shallow ones to follow."""

from collections.abc import Sequence
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from distill.methods.maps import ManyMaps, Two, pool_to_smaller
from distill.methods.pair import Pair
from distill.probe import FeatureMap

_PYRAMID = (4, 2, 1)


def hierarchical_context_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """MSE of two ``[N, C, H, W]`` at full size and pooled to 4, 2 and 1 cells a side, as far as these are smaller.

    Each pooled size weighs half as much as the one before; divided by the sum of the weights.
    """
    student, teacher = pool_to_smaller(student, teacher)
    loss, weight, weights = F.mse_loss(student, teacher), 1.0, 1.0
    for side in _PYRAMID:
        if side >= student.shape[2]:
            continue
        weight /= 2
        coarse = F.adaptive_avg_pool2d(student, side), F.adaptive_avg_pool2d(teacher, side)
        loss = loss + weight * F.mse_loss(coarse[0], coarse[1])
        weights += weight
    return loss / weights


class ReviewKD(ManyMaps):
    """From deep to shallow, each level is fused with what was fused before by attention, and meets the teacher's.

    ``channels`` are those of the fusion.
    """

    name = "reviewkd"

    def __init__(
        self,
        pair: Pair,
        *,
        weight: float = 1.0,
        student_features: tuple[str, ...] = (),
        teacher_features: tuple[str, ...] = (),
        channels: Annotated[int, Field(ge=8, le=1024)] = 128,
    ) -> None:
        super().__init__(
            pair, weight=weight, student_features=student_features, teacher_features=teacher_features
        )
        deepest = len(self.shapes) - 1
        self.fusions = nn.ModuleList(
            Fusion(own, theirs, channels=channels, fuses=level < deepest)
            for level, (own, theirs) in enumerate(self.shapes)
        )

    def distance(self, maps: Sequence[Two]) -> Tensor:
        """Sum over levels, the deepest first."""
        deeper: Tensor | None = None
        losses: list[Tensor] = []
        for (student, teacher), fusion in zip(reversed(maps), reversed(self.fusions), strict=True):
            fused, deeper = fusion(student, deeper)
            losses.append(hierarchical_context_loss(fused, teacher))
        return torch.stack(losses).sum()


class Fusion(nn.Module):
    """Attention-based fusion of one level with the deeper ones."""

    def __init__(self, own: FeatureMap, theirs: FeatureMap, *, channels: int, fuses: bool) -> None:
        super().__init__()
        self.reduce = nn.Sequential(
            nn.Conv2d(own.channels, channels, 1, bias=False), nn.BatchNorm2d(channels)
        )
        self.expand = nn.Sequential(
            nn.Conv2d(channels, theirs.channels, 3, padding=1, bias=False), nn.BatchNorm2d(theirs.channels)
        )
        self.attention = nn.Sequential(nn.Conv2d(2 * channels, 2, 1), nn.Sigmoid()) if fuses else None

    def forward(self, student: Tensor, deeper: Tensor | None) -> tuple[Tensor, Tensor]:
        """The map at the teacher's channels, and the fused one that goes on to the next shallower level."""
        here: Tensor = self.reduce(student)
        if self.attention is not None and deeper is not None:
            deeper = F.interpolate(deeper, here.shape[2:], mode="nearest")
            shares = self.attention(torch.cat([here, deeper], dim=1))
            here = here * shares[:, :1] + deeper * shares[:, 1:]
        return self.expand(here), here
