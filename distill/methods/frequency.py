"""Frequency distillation: what generators leave behind stands in the spectrum, of features as well.

Nearest in the literature: ADD (Woo et al. 2022, arXiv 2112.03553), which distils frequencies of features for deepfakes
in low quality by attention and a sliced Wasserstein distance, and the focal frequency loss (Jiang et al. 2021, arXiv
2012.12821), whose distance is that of the spectra. Here: the plain distance of log amplitudes.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from distill.methods.maps import OneMap, Two, pool_to_smaller
from distill.methods.pair import Pair


def log_amplitude(map_: Tensor) -> Tensor:
    """``ln(1 + |FFT2|)`` of ``[N, C, H, W]`` with an orthonormal FFT over places, as ``[N, C, H, W // 2 + 1]``.

    A real map's spectrum is symmetric: the other half says nothing new.
    """
    found: Tensor = torch.fft.rfft2(map_, norm="ortho").abs().log1p()
    return found


def frequency_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean squared difference of two maps' log amplitudes; the larger map is pooled down. Phases take no part."""
    student, teacher = pool_to_smaller(student, teacher)
    return F.mse_loss(log_amplitude(student), log_amplitude(teacher))


class Frequency(OneMap):
    """Match the spectrum of a feature map, wherever in the image it comes from; a 1×1 projection, as for a hint."""

    name = "frequency"

    def __init__(
        self, pair: Pair, *, weight: float = 1.0, student_feature: str = "", teacher_feature: str = ""
    ) -> None:
        super().__init__(
            pair, weight=weight, student_feature=student_feature, teacher_feature=teacher_feature
        )
        own, theirs = self.shapes
        self.projection = nn.Conv2d(own.channels, theirs.channels, kernel_size=1)

    def distance(self, maps: Sequence[Two]) -> Tensor:
        """Scalar of the one pair."""
        [(student, teacher)] = maps
        return frequency_loss(self.projection(student), teacher)
