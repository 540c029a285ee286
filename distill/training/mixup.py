"""mixup (Zhang et al. 2018, arXiv 1710.09412), consistent with teachers that are asked at every step.

Pixels are mixed before any network sees them, so that a teacher speaks of the very image that the student sees (the
function matching of Beyer et al. 2022, arXiv 2106.05237).
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from distill.methods.objective import Batch


class Mix(NamedTuple):
    """``share`` of every image, at least a half, and for the rest its ``partner`` ``[N]``."""

    share: float
    partner: Tensor


def draw_mix(labels: Tensor, *, alpha: float, random: np.random.Generator) -> Mix:
    """One share for the batch, and partners among images of the same kind: a label never meets an unknown one.

    The share is folded to a half or more, which changes nothing (pairs are symmetric) but that an image's box and number
    are those of what it mostly shows.
    """
    share = float(random.beta(alpha, alpha))
    known = (labels >= 0).double()
    first, second = (
        torch.argsort(2 * known + torch.from_numpy(random.random(len(labels))).to(labels.device))
        for _ in range(2)
    )
    partner = torch.empty_like(first)
    partner[first] = second  # both list the unlabelled first, so that each meets its kind
    return Mix(share=max(share, 1 - share), partner=partner)


def mix_batch(batch: Batch, mix: Mix) -> Batch:
    """The batch with mixed float images ``[N, H, W, 3]``, labels and teachers' views; -1 stays -1."""
    return batch._replace(
        images=_mixed(batch.images, mix),
        labels=_mixed(batch.labels, mix),
        views={name: _mixed(images, mix) for name, images in batch.views.items()},
    )


def _mixed(values: Tensor, mix: Mix) -> Tensor:
    values = values.float()
    return mix.share * values + (1 - mix.share) * values[mix.partner]
