"""scikit-learn's digits, 8 x 8 pixels, as class folders of 32 x 32 PNGs."""

from pathlib import Path

import numpy as np
from PIL import Image

NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def write_digits(root: Path, *, of_each: int) -> Path:
    """``root/<name>/<number>.png``: the first ``of_each`` images of every digit, in grey."""
    from sklearn.datasets import load_digits

    found = load_digits()
    for label, name in enumerate(NAMES):
        folder = root / name
        folder.mkdir(parents=True)
        for number in np.flatnonzero(found.target == label)[:of_each]:
            pixels = (found.images[number] * 255 / 16).astype(np.uint8)
            Image.fromarray(pixels).convert("RGB").resize((32, 32), Image.Resampling.BICUBIC).save(
                folder / f"{number:04}.png"
            )
    return root
