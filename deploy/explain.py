"""What in an image an artifact's answer hangs on: hide a part, ask again. Torch-free; any model will do.

Occlusion (Zeiler & Fergus 2014, arXiv 1311.2901) hides one square after the other; RISE (Petsiuk et al. 2018,
arXiv 1806.07421) hides random halves and averages. A hidden pixel becomes what surrounds it, blurred: black would be an edge
that no photograph has. A map is scored against a mask of what was altered by the pointing game (Zhang et al. 2016,
arXiv 1608.00507), whether its peak lies inside, and by the share of its energy inside.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from distill.errors import EdgeproofError
from distill.preprocess import Pixels

Map = npt.NDArray[np.float32]
Ask = Callable[[Pixels], npt.NDArray[Any]]
"""uint8 ``[1, S, S, 3]`` → logits ``[1]`` or ``[1, K]``, as ``Detector.run``."""

METHODS = ("occlusion", "rise")
_CELLS = 8  # hidden squares along a side
_MASKS = 400
_BLUR = 16  # of an image's side: the radius of what a hidden pixel becomes


def explain(ask: Ask, pixels: Pixels, *, method: str = "occlusion", seed: int = 0) -> Map:
    """How much the answer for ``pixels`` (uint8 ``[S, S, 3]``) rests on each place: ``[S, S]``, in logits.

    Positive where hiding it takes from the logit of *generated* (of K classes, of the likeliest one's).

    Raises:
        EdgeproofError: no such method.
    """
    if method not in METHODS:
        raise EdgeproofError(f"explain: method is {method!r}, choose one of: {', '.join(METHODS)}")
    whole = ask(pixels[None])[0]
    kind = int(np.argmax(whole)) if np.ndim(whole) else None

    def score(changed: Pixels) -> float:
        found = ask(changed[None])[0]
        return float(found if kind is None else found[kind])

    hidden = _hidden(pixels)
    if method == "occlusion":
        return _occlusion(score, pixels, hidden)
    return _rise(score, pixels, hidden, seed=seed)


def _hidden(pixels: Pixels) -> Pixels:
    """What is shown instead: the picture itself, so blurred that it tells nothing."""
    return np.asarray(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(pixels.shape[0] / _BLUR)))


def _occlusion(score: Callable[[Pixels], float], pixels: Pixels, hidden: Pixels) -> Map:
    """The mean fall of the score over all squares, half a square apart, that cover a place."""
    side, whole = pixels.shape[0], score(pixels)
    total, times = np.zeros((side, side), np.float32), np.zeros((side, side), np.float32)
    for top, left, size in squares(side):
        place = np.s_[top : top + size, left : left + size]
        changed = pixels.copy()
        changed[place] = hidden[place]
        total[place] += whole - score(changed)
        times[place] += 1
    return total / times


def squares(side: int) -> Iterator[tuple[int, int, int]]:
    """Top, left and size of squares that cover a picture, each half over the one before."""
    size = max(2, side // _CELLS)
    starts = sorted({*range(0, side - size, max(1, size // 2)), side - size})
    for top in starts:
        yield from ((top, left, size) for left in starts)


def _rise(score: Callable[[Pixels], float], pixels: Pixels, hidden: Pixels, *, seed: int) -> Map:
    """The score with a place shown minus that with it hidden, over random masks."""
    side, rng = pixels.shape[0], np.random.default_rng(seed)
    shown, scores = np.empty((_MASKS, side, side), np.float32), np.empty(_MASKS, np.float32)
    for number in range(_MASKS):
        shown[number] = _random_mask(side, rng)
        weight = shown[number][..., None]
        mixed = np.rint(weight * pixels + (1 - weight) * hidden)
        scores[number] = score(mixed.astype(np.uint8))
    with_it = np.tensordot(scores, shown, axes=1) / shown.sum(axis=0)
    without = np.tensordot(scores, 1 - shown, axes=1) / (1 - shown).sum(axis=0)
    found: Map = (with_it - without).astype(np.float32)
    return found


def _random_mask(side: int, rng: np.random.Generator) -> Map:
    """A coarse random grid, enlarged smoothly and shifted at random; half of it shown."""
    cell = -(-side // _CELLS)
    coarse = Image.fromarray((rng.random((_CELLS + 1, _CELLS + 1)) < 0.5).astype(np.float32))
    wide = np.asarray(coarse.resize(((_CELLS + 1) * cell,) * 2, Image.Resampling.BILINEAR))
    top, left = rng.integers(0, cell, 2)
    return wide[top : top + side, left : left + side]


def pointing_game(found: Map, mask: npt.NDArray[Any]) -> bool:
    """Whether the map's peak lies inside the mask (``[S, S]``, true or above a half where it was altered)."""
    return bool(_inside(mask).flat[int(np.argmax(found))])


def energy_inside(found: Map, mask: npt.NDArray[Any]) -> float:
    """The share of the map's positive part that lies inside the mask; 0 where nothing is positive."""
    energy = np.clip(found, 0, None)
    total = float(energy.sum())
    return float(energy[_inside(mask)].sum()) / total if total else 0.0


def _inside(mask: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    limit = 127 if mask.dtype == np.uint8 else 0.5
    found: npt.NDArray[np.bool_] = mask > limit
    return found
