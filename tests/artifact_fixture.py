"""Images on disk for tests that work on a finished artifact, labelled by the tiny detector itself."""

from pathlib import Path

import numpy as np
from deploy_fixture import Deployed, images
from PIL import Image

from deploy.runtime import Detector
from deploy.timing import Timing


def write_photos(root: Path, deployed: Deployed, *, count: int = 16, seed: int = 5) -> Path:
    """``real/`` and ``fake/``, half of ``count`` each: those that FP32 finds least and most likely generated."""
    pixels = np.concatenate(images(count, seed=seed))
    order = Detector.load(deployed.folder / "fp32", threads=1).run(pixels).argsort()
    for place, index in enumerate(order):
        folder = root / ("real" if place < count // 2 else "fake")
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels[index]).save(folder / f"{index:03}.png")
    return root


def timing(ratio: float) -> Timing:
    return Timing(min_ms=ratio, p50_ms=ratio, ratio=ratio, ratio_range=(ratio, ratio), rounds=3)


def timer(**ratios: float):
    """A race whose times are given by name; 1 for those that are not."""
    return lambda contestants: {name: timing(ratios.get(name, 1.0)) for name in contestants}
