"""A warning where images are made much smaller, or larger, before a model sees them. Torch-free.

A generator's traces lie in single pixels, and a resize averages them away: a detector that told 400 photographs from their
resynthesised copies at their own resolution could only guess once they were squeezed to its input. A detector that learned
from images of 128 pixels fell from an AUC of .87 to .68 where it was shown them enlarged to 176.
"""

from collections.abc import Sequence

import numpy as np
from PIL import Image

from distill.data.samples import Dataset
from distill.data.storage import open_binary
from distill.preprocess import PreprocessSpec, open_picture

_TIMES = 2  # a resize that loses no more than every second pixel leaves most traces
_SHARE = 0.05
_LOOKED_AT = 100

Size = tuple[int, int]


def some_sizes(dataset: Dataset, *, at_most: int = _LOOKED_AT) -> list[Size]:
    """Width and height of some images, evenly spread over the list, from their headers; unreadable ones are left out."""
    found = []
    for row in np.unique(
        np.linspace(0, len(dataset.samples) - 1, min(at_most, len(dataset.samples))).astype(int)
    ):
        try:
            with open_binary(dataset.root, dataset.samples[row]) as file, open_picture(file) as image:
                found.append(image.size)
        except (OSError, ValueError, Image.DecompressionBombError):  # the scan lists bad files
            continue
    return found


def shrink_warning(sizes: Sequence[Size], spec: PreprocessSpec, *, key: str) -> str | None:
    """What to tell of images that ``spec`` shrinks more than twofold; None where few or none are.

    Args:
        sizes: width and height of some images.
        spec: how they become a model's input.
        key: of the recipe's section that says so, for the remedy.
    """
    if spec.policy != "resize" or not sizes:
        return None
    times = np.array([max(size) for size in sizes]) / spec.size
    share = float((times > _TIMES).mean())
    if share <= _SHARE:
        return None
    return (
        f"{share:.0%} of the images are shrunk more than twofold before a model sees them (the middle one "
        f"{np.median(times):.1f} times, to {spec.size}x{spec.size}), which wipes the traces that generators leave in single "
        f"pixels; expected {key}.policy = 'center_crop' or 'tiles', as in the recipe own, or a larger {key}.size"
    )


def enlarge_warning(sizes: Sequence[Size], spec: PreprocessSpec, *, key: str) -> str | None:
    """What to tell of images that are smaller than ``spec`` wants; None where few or none are. Arguments as above."""
    if not sizes:
        return None
    side = max if spec.policy == "resize" else min  # a crop is filled by the shorter side
    times = spec.size / np.array([side(size) for size in sizes])
    share = float((times > 1).mean())
    if share <= _SHARE:
        return None
    return (
        f"{share:.0%} of the images are smaller than {spec.size}x{spec.size} and are enlarged (the middle one "
        f"{np.median(times):.1f} times), which costs time, and accuracy where a network learned from them as they are; "
        f"expected {key}.size = {int(np.median([side(size) for size in sizes]))} or less"
    )
