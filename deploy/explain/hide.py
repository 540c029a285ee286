"""What in an image a model's answer hangs on: hide a part, ask again. Torch-free; any model will do.

Occlusion (Zeiler & Fergus 2014, arXiv 1311.2901) hides one square after the other; RISE (Petsiuk et al. 2018,
arXiv 1806.07421) hides random halves and averages. A hidden pixel becomes what surrounds it, blurred: black would be an edge
that no photograph has.
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
"""uint8 ``[N, S, S, 3]`` → logits ``[N]`` or ``[N, K]``, as ``Detector.run``."""

Score = Callable[[Pixels], npt.NDArray[Any]]

METHODS = ("occlusion", "rise")
_CELLS = 8  # hidden squares along a side
_MASKS = 400
_BATCH = 32  # pictures that are asked about at once
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

    def score(changed: Pixels) -> npt.NDArray[Any]:
        found = ask(changed)
        kept: npt.NDArray[Any] = found if kind is None else found[:, kind]
        return kept

    if method == "occlusion":
        return _occlusion(score, pixels, _hidden(pixels))
    return _rise(score, pixels, _hidden(pixels), seed=seed)


def _hidden(pixels: Pixels) -> Pixels:
    """What is shown instead: the picture itself, so blurred that it tells nothing."""
    return np.asarray(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(pixels.shape[0] / _BLUR)))


def _occlusion(score: Score, pixels: Pixels, hidden: Pixels) -> Map:
    """The mean fall of the score over all squares, half a square apart, that cover a place."""
    side, whole = pixels.shape[0], float(score(pixels[None])[0])
    total, times = np.zeros((side, side), np.float32), np.zeros((side, side), np.float32)
    for part in _parts(list(squares(side))):
        places = [np.s_[top : top + size, left : left + size] for top, left, size in part]
        changed = np.repeat(pixels[None], len(part), axis=0)
        for picture, place in zip(changed, places, strict=True):
            picture[place] = hidden[place]
        for found, place in zip(score(changed), places, strict=True):
            total[place] += whole - float(found)
            times[place] += 1
    return total / times


def _parts(items: list[Any]) -> Iterator[list[Any]]:
    """A few at a time, which bounds memory."""
    yield from (items[start : start + _BATCH] for start in range(0, len(items), _BATCH))


def squares(side: int) -> Iterator[tuple[int, int, int]]:
    """Top, left and size of squares that cover a picture, each half over the one before."""
    size = max(2, side // _CELLS)
    starts = sorted({*range(0, side - size, max(1, size // 2)), side - size})
    for top in starts:
        yield from ((top, left, size) for left in starts)


def _rise(score: Score, pixels: Pixels, hidden: Pixels, *, seed: int) -> Map:
    """The score with a place shown minus that with it hidden, over random masks."""
    side, rng = pixels.shape[0], np.random.default_rng(seed)
    shown = np.stack([_random_mask(side, rng) for _ in range(_MASKS)])
    scores = np.concatenate([score(_mixed(pixels, hidden, part)) for part in _parts(list(shown))])
    with_it = np.tensordot(scores, shown, axes=1) / shown.sum(axis=0)
    without = np.tensordot(scores, 1 - shown, axes=1) / (1 - shown).sum(axis=0)
    found: Map = (with_it - without).astype(np.float32)
    return found


def _mixed(pixels: Pixels, hidden: Pixels, masks: list[Map]) -> Pixels:
    """The picture where each of the masks shows it, and what is hidden elsewhere: ``[N, S, S, 3]``."""
    weights = np.stack(masks)[..., None]
    found: Pixels = np.rint(weights * pixels + (1 - weights) * hidden).astype(np.uint8)
    return found


def _random_mask(side: int, rng: np.random.Generator) -> Map:
    """A coarse random grid, enlarged smoothly and shifted at random; half of it shown."""
    cell = -(-side // _CELLS)
    coarse = Image.fromarray((rng.random((_CELLS + 1, _CELLS + 1)) < 0.5).astype(np.float32))
    wide = np.asarray(coarse.resize(((_CELLS + 1) * cell,) * 2, Image.Resampling.BILINEAR))
    top, left = rng.integers(0, cell, 2)
    return wide[top : top + side, left : left + side]
