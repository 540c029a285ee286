"""Probabilistic knowledge transfer: Passalis & Tefas 2018 (arXiv 1803.10837). Who is near whom in a batch."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from distill.methods.maps import OneMap, Two

_EPSILON = 1e-7


def pkt_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """KL divergence of the neighbours' probabilities in two ``[N, D]`` (D may differ), averaged over the N images.

    ``p(j | i)`` is the cosine similarity brought to 0..1, divided by its sum over j ≠ i; 1e-7 keeps logarithms finite.
    A batch of one image costs nothing.
    """
    if len(student) < 2:
        return student.sum() * 0.0
    ours, theirs = (_neighbours(rows) for rows in (student, teacher))
    return (theirs * ((theirs + _EPSILON) / (ours + _EPSILON)).log()).sum(dim=1).mean()


def _neighbours(rows: Tensor) -> Tensor:
    """``p(j | i)``, ``[N, N]`` with zeros on the diagonal."""
    rows = F.normalize(rows, dim=1)
    kernel = (rows @ rows.T + 1) / 2
    kernel = kernel.masked_fill(torch.eye(len(rows), dtype=torch.bool, device=rows.device), 0.0)
    return kernel / kernel.sum(dim=1, keepdim=True).clamp(min=_EPSILON)


class PKT(OneMap):
    """Match which images of a batch are alike, by the means over places of one feature map each."""

    name = "pkt"

    def distance(self, maps: Sequence[Two]) -> Tensor:
        """Scalar of the one pair."""
        student, teacher = (map_.mean(dim=(2, 3)) for map_ in maps[0])
        return pkt_loss(student, teacher)
