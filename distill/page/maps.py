"""Arrays as small pictures of one pixel a value, which the page enlarges. Colour maps are readable for all eyes."""

import io
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

POWER, DIFFERENCE, RESIDUAL = "viridis", "RdBu_r", "gray"


def map_png(values: npt.NDArray[Any], *, low: float, high: float, colours: str) -> bytes:
    """``[H, W]`` between ``low`` and ``high`` as a PNG with matplotlib's colour map ``colours``."""
    scaled = (values.astype(np.float64) - low) / max(high - low, 1e-12)
    image = Image.fromarray(np.rint(scaled.clip(0, 1) * 255).astype(np.uint8), mode="L")
    image.putpalette(_palette(colours))
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def scale_png(colours: str) -> bytes:
    """The colour map from low to high as a strip."""
    return map_png(np.arange(256)[None], low=0, high=255, colours=colours)


def colour_of(value: float, *, low: float, high: float, colours: str) -> str:
    """One value's colour for a style sheet, ``#rrggbb``."""
    step = round(min(max((value - low) / (high - low), 0.0), 1.0) * 255)
    return "#" + bytes(_palette(colours)[3 * step : 3 * step + 3]).hex()


def _palette(colours: str) -> list[int]:
    from matplotlib import colormaps

    rgba = colormaps[colours](np.arange(256), bytes=True)
    return [int(value) for value in rgba[:, :3].ravel()]
