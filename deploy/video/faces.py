"""The largest face of a frame, for detectors that were made for faces. Torch-free.

Found by scikit-image's cascade of local binary patterns (Liao et al. 2007), whose file comes with the package: upright
frontal faces, no more. Who has a better finder gives its boxes in a table. A face's square is 1.3 times its box, as in
FaceForensics++ (Rössler et al. 2019, arXiv 1901.08971).
"""

import math
from bisect import bisect_left
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from deploy.video.frames import Frame
from distill.data.layouts.table import place, read_rows
from distill.errors import EdgeproofError
from distill.optional import require
from distill.preprocess import Pixels

Box = tuple[float, float, float, float]
"""Left, top, right and bottom, in pixels of the upright frame."""

FindFace = Callable[[Frame], Box | None]

COLUMNS = ("time_s", "left", "top", "right", "bottom")
_KEPT_S = 0.5  # a box holds so long: one that trembles from frame to frame would look like flicker
_SEARCHED = 480  # pixels of a frame's longer side in which a face is looked for
_SMALLEST = 40  # of those: the cascade knows faces of 24 and more, and small ones are mostly mistaken
_MARGIN = 1.3


def face_finder() -> FindFace:
    """Finds the largest upright frontal face of each frame of one clip, and keeps its place for half a second.

    Raises:
        EdgeproofError: scikit-image is not installed.
    """
    cascade = _cascade()
    found: Box | None = None
    until = -math.inf

    def find(frame: Frame) -> Box | None:
        nonlocal found, until
        if not until - _KEPT_S <= frame.time_s < until:
            found = _largest(cascade, frame.pixels)
            until = -math.inf if found is None else frame.time_s + _KEPT_S
        return found

    return find


def faces_of_table(table: Path, clip: Path) -> FindFace:
    """Boxes that somebody else found: a table with :data:`COLUMNS`, and ``clip`` with file names where it is of several.

    Of several boxes at one time the largest counts. A frame has the one that is nearest in time, of those at most half a
    second away.

    Raises:
        EdgeproofError: no such table or column, a cell that is no number, or a box without pixels.
    """
    boxes: dict[float, Box] = {}
    for number, (*cells, name) in read_rows(table, required=COLUMNS, optional=("clip",)):
        if name in ("", clip.name):
            time_s, box = _box_of(cells, where=place(table, number))
            boxes[time_s] = max(boxes.get(time_s, box), box, key=_area)
    times = sorted(boxes)

    def find(frame: Frame) -> Box | None:
        after = bisect_left(times, frame.time_s)
        near = min(times[max(0, after - 1) : after + 1], key=lambda t: abs(t - frame.time_s), default=None)
        return boxes[near] if near is not None and abs(near - frame.time_s) <= _KEPT_S else None

    return find


def cut_face(pixels: Pixels, box: Box) -> Pixels:
    """The square around a face, uint8 ``[S, S, 3]``: shifted into the picture, and no larger than it.

    Raises:
        EdgeproofError: the box lies outside of the picture.
    """
    height, width = pixels.shape[:2]
    left, top, right, bottom = box
    x, y = (left + right) / 2, (top + bottom) / 2
    if not (0 <= x < width and 0 <= y < height):
        raise EdgeproofError(
            f"face: the middle of its box is at {x:.0f}, {y:.0f}, expected a place inside of {width}x{height} pixels"
        )
    side = min(round(_MARGIN * max(right - left, bottom - top)), width, height)
    first_x, first_y = (
        min(max(0, round(middle - side / 2)), most - side) for middle, most in ((x, width), (y, height))
    )
    return pixels[first_y : first_y + side, first_x : first_x + side]


@cache
def _cascade() -> Any:
    skimage = require("skimage")
    return skimage.feature.Cascade(skimage.data.lbp_frontal_face_cascade_filename())


def _largest(cascade: Any, pixels: Pixels) -> Box | None:
    shrunk = min(1.0, _SEARCHED / max(pixels.shape[:2]))
    height, width = (max(1, round(side * shrunk)) for side in pixels.shape[:2])
    grey: npt.NDArray[np.uint8] = np.asarray(Image.fromarray(pixels).convert("L").resize((width, height)))
    if min(grey.shape) < _SMALLEST:
        return None
    found = cascade.detect_multi_scale(
        img=grey, scale_factor=1.2, step_ratio=1, min_size=(_SMALLEST, _SMALLEST), max_size=(height, width)
    )
    best = max(found, key=lambda face: face["width"] * face["height"], default=None)
    if best is None:
        return None
    left, top = best["c"] / shrunk, best["r"] / shrunk
    return left, top, left + best["width"] / shrunk, top + best["height"] / shrunk


def _box_of(cells: list[str], *, where: str) -> tuple[float, Box]:
    try:
        time_s, left, top, right, bottom = map(float, cells)
    except ValueError:
        raise EdgeproofError(
            f"{where}: found {','.join(cells)}, expected numbers for {', '.join(COLUMNS)}"
        ) from None
    if not (
        math.isfinite(time_s)
        and left < right < math.inf
        and -math.inf < left
        and -math.inf < top < bottom < math.inf
    ):
        raise EdgeproofError(
            f"{where}: found {','.join(cells)}, expected left < right and top < bottom, all finite"
        )
    return time_s, (left, top, right, bottom)


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])
