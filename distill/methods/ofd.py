"""Overhaul of feature distillation: Heo et al. 2019 (arXiv 1904.01866)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from distill.methods.maps import ManyMaps, Two, pool_to_smaller
from distill.methods.pair import Pair


def partial_l2(student: Tensor, teacher: Tensor, margin: Tensor) -> Tensor:
    """Squared distance to ``max(t, m)``, none where the student's value is below a target that is not positive.

    Averaged over ``[N, C, H, W]`` (the paper sums, and then divides by a constant).

    Args:
        student: ``[N, C, H, W]``, at the teacher's number of channels.
        teacher: the same, before a ReLU where the network gives that.
        margin: ``[C]``, at most 0: each channel's mean response where it is negative.
    """
    target = torch.maximum(teacher, margin[None, :, None, None])
    counts = (student > target) | (target > 0)
    return ((student - target).square() * counts).mean()


class OFD(ManyMaps):
    """Match the teacher's maps where it matters; a 1×1 convolution with BN brings the student's to its channels.

    The margin is the running mean of the negative responses seen so far; where features come after a ReLU there are
    none, and it is 0. Summed over levels.
    """

    name = "ofd"

    def __init__(
        self,
        pair: Pair,
        *,
        weight: float = 1.0,
        student_features: tuple[str, ...] = (),
        teacher_features: tuple[str, ...] = (),
    ) -> None:
        super().__init__(
            pair, weight=weight, student_features=student_features, teacher_features=teacher_features
        )
        self.connectors = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(own.channels, theirs.channels, 1, bias=False), nn.BatchNorm2d(theirs.channels)
            )
            for own, theirs in self.shapes
        )
        self.margins = nn.ModuleList(Margin(theirs.channels) for _, theirs in self.shapes)

    def distance(self, maps: Sequence[Two]) -> Tensor:
        """Sum over levels."""
        losses = []
        for (student, teacher), connector, margin in zip(maps, self.connectors, self.margins, strict=True):
            student, teacher = pool_to_smaller(student, teacher)
            losses.append(partial_l2(connector(student), teacher, margin(teacher)))
        return torch.stack(losses).sum()


class Margin(nn.Module):
    """The mean of a teacher's negative responses, channel by channel, over all batches of the training so far."""

    total: Tensor
    count: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("total", torch.zeros(channels))
        self.register_buffer("count", torch.zeros(channels))

    def forward(self, teacher: Tensor) -> Tensor:
        """``[N, C, H, W]`` → ``[C]``, at most 0."""
        if self.training:
            negative = teacher.detach().clamp(max=0)
            self.total += negative.sum(dim=(0, 2, 3))
            self.count += (negative < 0).sum(dim=(0, 2, 3))
        return self.total / self.count.clamp(min=1)
