"""Hints: Romero et al. 2015, FitNets (arXiv 1412.6550). A 1×1 projection meets the teacher's feature map."""

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from distill.methods.maps import OneMap, Two, pool_to_smaller
from distill.methods.pair import Pair


def hint_loss(student: Tensor, teacher: Tensor, *, normalize: bool = True) -> Tensor:
    """Squared distance of two ``[N, C, H, W]`` maps, summed over channels, averaged over places and images.

    The larger map is pooled down. Without ``normalize`` it is half the squared distance, as in the paper. With it each
    place is scaled to unit norm over channels (and nothing is halved), which the paper does not: the loss's size then
    does not depend on how large either network's activations happen to be.
    """
    student, teacher = pool_to_smaller(student, teacher)
    if not normalize:
        return (student - teacher).square().sum(dim=1).mean() / 2
    difference = F.normalize(student, dim=1) - F.normalize(teacher, dim=1)
    return difference.square().sum(dim=1).mean()


class Hint(OneMap):
    """Match one student feature map to one of the teacher's; by default at the deepest stride that both have.

    The projection belongs to the objective, so it is trained beside the student and never saved with it.
    """

    name = "hint"

    def __init__(
        self,
        pair: Pair,
        *,
        weight: float = 1.0,
        student_feature: str = "",
        teacher_feature: str = "",
        normalize: bool = True,
    ) -> None:
        super().__init__(
            pair, weight=weight, student_feature=student_feature, teacher_feature=teacher_feature
        )
        self.normalize = normalize
        own, other = self.shapes
        self.projection = nn.Conv2d(own.channels, other.channels, kernel_size=1)

    def distance(self, maps: Sequence[Two]) -> Tensor:
        """Scalar of the one pair."""
        [(student, teacher)] = maps
        return hint_loss(self.projection(student), teacher, normalize=self.normalize)
