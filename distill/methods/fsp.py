"""Flow of solution procedure: Yim et al., "A Gift from Knowledge Distillation", CVPR 2017."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from distill.errors import EdgeproofError
from distill.methods.maps import ManyMaps, Two
from distill.methods.pair import Pair


def flow(first: Tensor, second: Tensor) -> Tensor:
    """FSP matrix ``[N, C1, C2]`` of two layers: ``Σ F1 F2 / (h w)``; the larger map is max-pooled, as in the paper."""
    height, width = (min(a, b) for a, b in zip(first.shape[2:], second.shape[2:], strict=True))
    first, second = (F.adaptive_max_pool2d(map_, (height, width)).flatten(2) for map_ in (first, second))
    return first @ second.transpose(1, 2) / (height * width)


def fsp_loss(student: Two, teacher: Two) -> Tensor:
    """Mean squared difference of the two networks' FSP matrices (the paper sums over their entries)."""
    return F.mse_loss(flow(*student), flow(*teacher))


class FSP(ManyMaps):
    """Match how each level follows from the one before it, averaged over neighbouring levels.

    The paper asks for equal channels; where they differ, a 1×1 convolution trained beside the student makes them so.

    Raises:
        EdgeproofError: fewer than two pairs of maps.
    """

    name = "fsp"

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
        if len(self.links) < 2:
            shown = ", ".join(f"{link.student} with {link.teacher}" for link in self.links)
            raise EdgeproofError(
                f"distillation.methods: fsp matches the way from one level to the next, found one ({shown}); "
                "expected two or more"
            )
        self.projections = nn.ModuleList(
            nn.Identity() if own.channels == theirs.channels else nn.Conv2d(own.channels, theirs.channels, 1)
            for own, theirs in self.shapes
        )

    def distance(self, maps: Sequence[Two]) -> Tensor:
        """Mean over neighbouring levels."""
        ours = [projection(student) for (student, _), projection in zip(maps, self.projections, strict=True)]
        theirs = [teacher for _, teacher in maps]
        steps = zip(ours[:-1], ours[1:], theirs[:-1], theirs[1:], strict=True)
        losses = [fsp_loss((a, b), (c, d)) for a, b, c, d in steps]
        return torch.stack(losses).mean()
