"""Similarity-preserving distillation: Tung & Mori 2019 (arXiv 1907.09682)."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from distill.methods.maps import ManyMaps, Two


def sp_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """``‖G_T - G_S‖² / N²`` with G the ``[N, N]`` products of the flattened maps, rows of unit norm (at least 1e-12).

    Channels and sizes of the two ``[N, C, H, W]`` may differ; nothing is pooled.
    """
    ours, theirs = (F.normalize(rows @ rows.T, dim=1) for rows in (student.flatten(1), teacher.flatten(1)))
    return (theirs - ours).square().mean()


class SP(ManyMaps):
    """Images that the teacher answers alike to, the student answers alike to; summed over levels."""

    name = "sp"

    def distance(self, maps: Sequence[Two]) -> Tensor:
        """Sum over levels."""
        losses = [sp_loss(student, teacher) for student, teacher in maps]
        return torch.stack(losses).sum()
