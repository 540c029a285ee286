"""Attention distillation: the student is active where the teacher's CBAM (Woo et al. 2018, arXiv 1807.06521) looks.

As attention transfer (arXiv 1612.03928), but against the attention that the teacher has learned, not its activity.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from distill.errors import EdgeproofError
from distill.methods.dist import correlation
from distill.methods.maps import MapsMethod, Two, pool_to_smaller, shapes_of
from distill.methods.pair import Pair


def attention_map_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """``1 - r`` over places, averaged over images: between the student's mean square over channels and the attention.

    A correlation, because a sigmoid's map may lie anywhere between 0 and 1: only where it is larger than elsewhere
    tells. The larger map is pooled down. One place tells nothing: 1 without a gradient.

    Args:
        student: feature map ``[N, C, H, W]``.
        teacher: spatial attention ``[N, 1, h, w]``.
    """
    own, theirs = pool_to_smaller(student.square().mean(dim=1, keepdim=True), teacher)
    return (1 - correlation(own.flatten(1), theirs.flatten(1))).mean()


class AttentionMap(MapsMethod):
    """Match the teacher's spatial attention, averaged over its levels (``p3``, ...), by default those of common stride.

    Raises:
        EdgeproofError: a teacher without attention, or attention of one place alone.
    """

    name = "attention_map"

    def __init__(
        self,
        pair: Pair,
        *,
        weight: float = 1.0,
        student_features: tuple[str, ...] = (),
        teacher_features: tuple[str, ...] = (),
    ) -> None:
        super().__init__(pair, weight=weight)
        teacher = self.teachers[0]
        found = pair.attention_links(student_features, teacher_features, teacher=teacher)
        sizes = [min(own.size, theirs.size) for own, theirs in shapes_of(pair, found, teacher=teacher)]
        self.links = tuple(link for link, size in zip(found, sizes, strict=True) if size > 1)
        named = student_features or teacher_features
        if not self.links or (named and len(self.links) < len(found)):
            shown = ", ".join(f"{link.student} with {link.teacher}" for link in found)
            raise EdgeproofError(
                f"distillation.methods: attention_map: found maps of one place ({shown}), expected places to look at"
            )

    def distance(self, maps: Sequence[Two]) -> Tensor:
        """Mean over levels."""
        return torch.stack([attention_map_loss(student, teacher) for student, teacher in maps]).mean()
