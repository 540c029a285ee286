"""Pictures and data sets that the tests of the data page share."""

import numpy as np

from distill.data.samples import Dataset, Sample
from distill.data.scan import Scan

SIZE = 64


def noise(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def scenes(count, *, seed=0, size=SIZE):
    """Smooth random pictures, brightness 0..255."""
    from scipy.ndimage import gaussian_filter

    rough = noise(count, size, size, seed=seed)
    smooth = np.stack([gaussian_filter(one, 4, mode="wrap") for one in rough])
    return (128 + 40 * smooth / smooth.std()).clip(20, 235).astype(np.float32)


def sized(tmp_path, *sides):
    """A data set of which only sizes are known."""
    labels = [label for label, count, _ in sides for _ in range(count)]
    widths = np.array([side for _, count, side in sides for _ in range(count)], np.int32)
    samples = tuple(Sample(path=str(number), label=label) for number, label in enumerate(labels))
    blank = np.zeros(len(samples), np.int64)
    return Dataset(root=tmp_path, layout="", samples=samples), Scan(
        format=blank, quality=blank, width=widths, height=widths + 9, bytes=blank, content=blank, phash=blank, dhash=blank,
        thumbnail=blank,
    )  # fmt: skip
