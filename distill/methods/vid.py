"""Variational information distillation: Ahn et al. 2019 (arXiv 1904.05835)."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from distill.methods.maps import ManyMaps, Two, pool_to_smaller
from distill.methods.pair import Pair
from distill.probe import FeatureMap

_LEAST_VARIANCE = 1e-5
_FIRST_VARIANCE = 5.0


def gaussian_loss(mean: Tensor, teacher: Tensor, variance: Tensor) -> Tensor:
    """``½ · [(t - μ)² / σ² + ln σ²]`` of ``[N, C, H, W]`` and variances ``[C]``, averaged over everything.

    The negative logarithm of a Gaussian but for its constant, so that a perfect student's loss is below zero. The
    paper sums over channels and places; the mean keeps the weight free of the map's size.
    """
    variance = variance[None, :, None, None]
    return ((teacher - mean).square() / variance + variance.log()).mean() / 2


class VID(ManyMaps):
    """Keep in the student's maps what tells the teacher's: a regressor and a variance per channel, trained beside it.

    The regressor is 1×1 convolution, BN, ReLU, 1×1 convolution; σ² = softplus(α) + 1e-5 starts at 5. Summed over levels.
    """

    name = "vid"

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
        self.regressors = nn.ModuleList(_regressor(*shapes) for shapes in self.shapes)
        first = math.log(math.expm1(_FIRST_VARIANCE - _LEAST_VARIANCE))
        self.alphas = nn.ParameterList(torch.full((theirs.channels,), first) for _, theirs in self.shapes)

    def distance(self, maps: Sequence[Two]) -> Tensor:
        """Sum over levels."""
        losses = []
        for (student, teacher), regressor, alpha in zip(maps, self.regressors, self.alphas, strict=True):
            student, teacher = pool_to_smaller(student, teacher)
            losses.append(gaussian_loss(regressor(student), teacher, F.softplus(alpha) + _LEAST_VARIANCE))
        return torch.stack(losses).sum()


def _regressor(own: FeatureMap, theirs: FeatureMap) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(own.channels, theirs.channels, 1, bias=False),
        nn.BatchNorm2d(theirs.channels),
        nn.ReLU(),
        nn.Conv2d(theirs.channels, theirs.channels, 1),
    )
