"""The map of one answer, from what gave it: for the service and the bot, which have pixels and logits at hand. Torch-free."""

import numpy as np

from deploy.explain.hide import Map, explain
from deploy.explain.picture import Panel, sheet
from deploy.runtime import Detector
from deploy.sessions import Logits
from distill.preprocess import Pixels

METHOD = "occlusion"


def explain_answer(detector: Detector, pixels: Pixels, logits: Logits) -> tuple[Map, bytes]:
    """What the answer hangs on, and a PNG of it beside the picture.

    Args:
        detector: asked some 200 times more.
        pixels: uint8 ``[N, S, S, 3]``; of several crops the one that speaks most for the answer is shown.
        logits: what it said of them, ``[N]`` or ``[N, K]``.

    Returns:
        The map ``[S, S]``, in logits, and the picture.
    """
    scores = logits if logits.ndim == 1 else logits[:, int(logits.mean(axis=0).argmax())]
    crop = pixels[int(np.argmax(scores))]
    heat = explain(detector.run, crop, method=METHOD)
    return heat, sheet([Panel(crop), Panel(crop, heat=heat)])
