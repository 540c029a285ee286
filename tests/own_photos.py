"""Photographs that the project did not make, cut into patches, each with a resynthesised twin of the same stem.

The photos come with scikit-image, scikit-learn and Matplotlib. A twin is what an autoencoder leaves of a patch at its
worst and plainest: halved, and blown up again by a transposed convolution whose kernel overlaps unevenly.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import skimage
import sklearn.datasets
from PIL import Image

Pixels = npt.NDArray[np.uint8]
_SKIMAGE = Path(skimage.__file__).parent / "data"
_SKLEARN = Path(sklearn.datasets.__file__).parent / "images"
PHOTOS = (
    *(_SKIMAGE / f"{name}.png" for name in ("astronaut", "brick", "camera", "chelsea", "coffee", "grass", "gravel", "ihc")),
    *(_SKIMAGE / f"{name}.png" for name in ("motorcycle_left", "coins", "moon")),
    *(_SKIMAGE / f"{name}.jpg" for name in ("hubble_deep_field", "retina", "rocket")),
    *(_SKLEARN / f"{name}.jpg" for name in ("china", "flower")),
)  # fmt: skip
_KERNEL = np.array([0.35, 0.9, 0.85, 0.3], dtype=np.float32)  # stride 2: even and odd pixels get unequal sums


def cut(folder: Path, *, size: int = 128, each: int = 30, suffix: str = ".png") -> Path:
    """Write ``real/`` and ``fake/``: patches of ``size`` pixels, at most ``each`` of a photo, whose name theirs begin with."""
    for photo in PHOTOS:
        for number, patch in zip(range(each), patches(photo, size=size), strict=False):
            for kind, pixels in (("real", patch), ("fake", resynthesise(patch))):
                path = folder / kind / f"{photo.stem}-{number:02}{suffix}"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels).save(path)
    return folder


def patches(photo: Path, *, size: int) -> Iterator[Pixels]:
    """Squares side by side at the photo's own resolution, ``uint8 [size, size, 3]``; flat ones are passed over."""
    pixels = np.asarray(Image.open(photo).convert("RGB"))
    for top in range(0, pixels.shape[0] - size + 1, size):
        for left in range(0, pixels.shape[1] - size + 1, size):
            patch = pixels[top : top + size, left : left + size]
            if patch.std() > 8:
                yield patch


def resynthesise(patch: Pixels) -> Pixels:
    """The twin, of the same size."""
    half = np.asarray(
        Image.fromarray(patch).resize((patch.shape[1] // 2, patch.shape[0] // 2), Image.Resampling.BOX)
    )
    wide = _upsample(_upsample(half.astype(np.float32), axis=0), axis=1)
    return np.clip(np.round(wide), 0, 255).astype(np.uint8)


def _upsample(values: npt.NDArray[np.float32], *, axis: int) -> npt.NDArray[np.float32]:
    spread = np.zeros_like(np.repeat(values, 2, axis=axis))
    index = [slice(None)] * values.ndim
    index[axis] = slice(None, None, 2)
    spread[tuple(index)] = values
    padded = np.concatenate(
        [np.flip(spread.take(range(1, 3), axis), axis), spread, spread.take(range(-2, -1), axis)], axis
    )
    found = sum(
        weight * padded.take(range(offset, offset + spread.shape[axis]), axis)
        for offset, weight in enumerate(_KERNEL)
    )
    return np.asarray(found / (_KERNEL.sum() / 2), dtype=np.float32)
