"""Which views of an image a training shows: as it is or mirrored, and with which augmentation. Torch-free.

A *view* is one crop, flip and augmentation of an image. Where teachers are cached, what they said belongs to one
view, and the student sees that very view ("consistent teaching", Beyer et al. 2022, arXiv 2106.05237): an image then
has a fixed number of views, each a pure function of (image, number, seed). Otherwise every epoch draws new ones.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.int64]
_DRAWS = 2**31
_GOLDEN = 0x9E3779B97F4A7C15


@dataclass(frozen=True)
class Views:
    """The views of every image.

    Attributes:
        count: how many there are to draw from.
        flips: every second one is mirrored.
        seed: of the augmentations.
        fixed: each view has one augmentation; otherwise the sampler draws one each time.
    """

    count: int = 1
    flips: bool = False
    seed: int = 0
    fixed: bool = False

    def mirrored(self, numbers: Rows) -> npt.NDArray[np.bool_]:
        """Which of the views ``[N]`` are mirrored."""
        mirrored: npt.NDArray[np.bool_] = (numbers % 2 == 1) & self.flips
        return mirrored

    def draws(self, indices: Rows, numbers: Rows) -> Rows:
        """The seed ``[N]`` of each view's augmentation, for fixed views: splitmix64 of (seed, image, view)."""
        state = (indices * self.count + numbers).astype(np.uint64)
        state += np.uint64(self.seed * _GOLDEN % 2**64)  # in Python: NumPy warns where a scalar overflows
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
            state = (state ^ (state >> np.uint64(shift))) * np.uint64(factor)
        return ((state ^ (state >> np.uint64(31))) % np.uint64(_DRAWS)).astype(np.int64)


def views_of(*, flips: bool, augmented: bool, cached: bool, count: int, seed: int) -> Views:
    """The views of a run.

    Args:
        flips: whether images are mirrored at random.
        augmented: whether any augmentation is on.
        cached: whether what a teacher said is kept for later.
        count: views of an image where both are so.
        seed: of the augmentations.
    """
    if augmented and cached:
        return Views(count=count, flips=flips, seed=seed, fixed=True)
    return Views(count=2 if flips else 1, flips=flips)
