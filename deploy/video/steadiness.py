"""How steady answers are over time: a generator that draws every frame anew flickers where a camera does not. Torch-free."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from distill.preprocess import Pixels
from distill.record import Frozen

Floats = npt.NDArray[np.float64]
_TRIM = 0.2  # of the frames at either end
_SPECTRUM = 4  # frames that a burst needs to have one
_RADIUS = 1.0  # pixels: finer than this is detail


class Steadiness(Frozen):
    """Of neighbours within a burst; None where no burst is long enough.

    ``deviation`` is the standard deviation of the logit, ``step`` the mean difference of neighbours' probability, ``flicker``
    the share of the logit's spectral power in the upper half of frequencies (one half for noise, little for drift), and
    ``detail`` how much of the finest detail is another one in the next frame: 0 for none, about 1.4 for all of it.
    """

    deviation: float | None
    step: float | None
    flicker: float | None
    detail: float | None


def robust_mean(values: npt.ArrayLike) -> Floats:
    """Mean over the first axis without the highest and lowest fifth, element by element: ``[N, ...]`` → ``[...]``.

    A few frames, a cut or a blurred moment, must not decide over a clip.
    """
    ordered = np.sort(np.asarray(values, np.float64), axis=0)
    cut = int(_TRIM * len(ordered))
    found: Floats = ordered[cut : len(ordered) - cut].mean(axis=0)
    return found


def steadiness(
    logits: npt.ArrayLike, probabilities: npt.ArrayLike, bursts: npt.ArrayLike, details: npt.ArrayLike
) -> Steadiness:
    """From logits, probabilities and burst numbers ``[N]`` of frames in order, and details ``[N]`` (NaN at a burst's first)."""
    values, chances = np.asarray(logits, np.float64), np.asarray(probabilities, np.float64)
    parts = list(_parts(np.asarray(bursts)))
    variances = [values[part].var(ddof=1) for part in parts]
    steps = [np.abs(np.diff(chances[part])) for part in parts]
    spectra = [_upper_power(values[part]) for part in parts if len(values[part]) >= _SPECTRUM]
    changes = np.asarray(details, np.float64)
    changes = changes[np.isfinite(changes)]
    power = np.sum(spectra, axis=0) if spectra else np.zeros(2)
    return Steadiness(
        deviation=float(np.sqrt(np.mean(variances))) if variances else None,
        step=float(np.concatenate(steps).mean()) if steps else None,
        flicker=float(power[0] / power[1]) if power[1] > 0 else None,
        detail=float(changes.mean()) if changes.size else None,
    )


def _parts(bursts: npt.NDArray[np.int64]) -> Iterator[slice]:
    """The bursts of two frames or more."""
    edges = [0, *(np.flatnonzero(np.diff(bursts)) + 1), len(bursts)]
    for start, end in zip(edges[:-1], edges[1:], strict=True):
        if end - start > 1:
            yield slice(int(start), int(end))


def _upper_power(values: Floats) -> Floats:
    """Power above half of the highest frequency, and power in all, of a burst without its mean and trend."""
    times = np.arange(len(values), dtype=np.float64)
    flat = values - np.polyval(np.polyfit(times, values, 1), times)
    power = np.abs(np.fft.rfft(flat)[1:]) ** 2
    frequencies = np.fft.rfftfreq(len(values))[1:]
    return np.array([power[frequencies > 0.25].sum(), power.sum()])


def fine_detail(pixels: Pixels) -> npt.NDArray[np.float32]:
    """What a slight blur takes from uint8 ``[S, S, 3]``: float32 ``[S, S]``."""
    grey = Image.fromarray(pixels).convert("L")
    soft = grey.filter(ImageFilter.GaussianBlur(_RADIUS))
    found: npt.NDArray[np.float32] = np.asarray(grey, np.float32) - np.asarray(soft, np.float32)
    return found


def detail_change(before: npt.NDArray[np.float32], after: npt.NDArray[np.float32]) -> float:
    """Root mean square of the difference of two frames' fine detail over that of the detail itself; 0 where there is none."""
    own = float(np.sqrt((np.square(before).mean() + np.square(after).mean()) / 2))
    return float(np.sqrt(np.square(after - before).mean())) / own if own else 0.0
