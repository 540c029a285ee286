"""How good a map is: does it point at what was altered, and does it agree with another? Torch-free.

A map is scored against a mask by the pointing game (Zhang et al. 2016, arXiv 1608.00507), whether its peak lies inside,
and by the share of its energy inside.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from deploy.explain.hide import Map


def pointing_game(found: Map, mask: npt.NDArray[Any]) -> bool:
    """Whether the map's peak lies inside the mask (``[S, S]``, true or above a half where it was altered)."""
    return bool(inside(mask).flat[int(np.argmax(found))])


def energy_inside(found: Map, mask: npt.NDArray[Any]) -> float:
    """The share of the map's positive part that lies inside the mask; 0 where nothing is positive."""
    energy = np.clip(found, 0, None)
    total = float(energy.sum())
    return float(energy[inside(mask)].sum()) / total if total else 0.0


def agreement(first: Map, second: Map) -> float:
    """Pearson correlation of two maps of one size over their pixels; 0 where one of them is flat."""
    one, other = (
        np.asarray(found, np.float64) - np.mean(found, dtype=np.float64) for found in (first, second)
    )
    scale = float(np.sqrt((one * one).sum() * (other * other).sum()))
    return float((one * other).sum()) / scale if scale else 0.0


def inside(mask: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """A mask as truth values: uint8 above 127, anything else above a half."""
    limit = 127 if mask.dtype == np.uint8 else 0.5
    found: npt.NDArray[np.bool_] = mask > limit
    return found
