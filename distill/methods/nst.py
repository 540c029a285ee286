"""Neuron selectivity transfer: Huang & Wang 2017 (arXiv 1707.01219). Channels as samples of one distribution."""

from collections.abc import Sequence

from torch import Tensor
from torch.nn import functional as F

from distill.methods.maps import OneMap, Two, pool_to_smaller


def nst_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Squared maximum mean discrepancy of two maps' channels, averaged over images; the larger map is pooled down.

    Every channel of a ``[N, C, H, W]`` map is a vector over its places, scaled to unit norm (at least 1e-12). The
    kernel is the paper's polynomial one, ``k(x, y) = (x·y)²``. The paper's factor 1/2 belongs to the weight.
    """
    one, other = (F.normalize(map_.flatten(2), dim=2) for map_ in pool_to_smaller(student, teacher))
    same, theirs, between = (_kernel(*pair) for pair in ((one, one), (other, other), (one, other)))
    return (same + theirs - 2 * between).mean()


def _kernel(one: Tensor, other: Tensor) -> Tensor:
    """Mean of the kernel ``[N]`` over all pairs of channels."""
    return (one @ other.transpose(1, 2)).square().mean(dim=(1, 2))


class NST(OneMap):
    """Match the places that channels answer to, as a distribution: no projection, whatever the channels."""

    name = "nst"

    def distance(self, maps: Sequence[Two]) -> Tensor:
        """Scalar of the one pair."""
        return nst_loss(*maps[0])
