"""A torch ``Dataset`` of (image, label) pairs as a data set of ours: split by item, read when asked."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from distill.data.pixels import PixelSource, one_crop
from distill.data.samples import Dataset, Sample
from distill.data.splits import with_splits
from distill.errors import EdgeproofError
from distill.preprocess import Pixels, PreprocessSpec, to_rgb


@dataclass(frozen=True)
class ItemPixels(PixelSource):
    """Pixels of a data set's items; ``samples`` say which, by their number."""

    items: Any = field(default=None)

    def __getitem__(self, index: int) -> Pixels:
        number = int(self.samples[index].path)
        pixels: Pixels = one_crop(self.spec).apply(_image(self.items[number][0], number))[0]
        return pixels


def open_items(items: Any, *, spec: PreprocessSpec, samples: tuple[Sample, ...]) -> ItemPixels:
    """The pixels of some of the items."""
    return ItemPixels(root=Path(), samples=samples, spec=spec, cache=None, items=items)


def split_items(items: Any, *, valid_share: float, seed: int, labels: Sequence[str] = ()) -> Dataset:
    """Every item as a sample of its own; each is read once for its label. ``labels`` names K classes.

    Raises:
        EdgeproofError: no items, or an item that is no pair of image and label.
    """
    samples = []
    for number in range(len(items)):
        try:
            _, label = items[number]
            samples.append(Sample(path=str(number), label=int(label)))
        except (TypeError, ValueError) as error:
            raise EdgeproofError(f"data[{number}]: expected an image and a label ({error})") from None
    if not samples:
        raise EdgeproofError("data: found no items, expected pairs of image and label")
    listed = Dataset(root=Path(), layout="items", samples=tuple(samples))
    wanted = ("train", "valid")
    return with_splits(
        listed, valid_share=valid_share, test_share=0.0, seed=seed, wanted=wanted, labels=labels
    )


def _image(value: Any, number: int) -> Image.Image:
    """A Pillow image, a uint8 array ``[H, W, 3]``, or a tensor ``[3, H, W]`` (uint8, or float in 0..1)."""
    if isinstance(value, Image.Image):
        return to_rgb(value)
    if isinstance(value, np.ndarray) and value.dtype == np.uint8 and value.ndim == 3 and value.shape[2] == 3:
        return Image.fromarray(np.ascontiguousarray(value))
    from torch import Tensor
    from torchvision.transforms.functional import to_pil_image

    if isinstance(value, Tensor) and value.ndim == 3 and value.shape[0] in (1, 3):
        return to_rgb(to_pil_image(value))
    shape = f" {list(value.shape)}" if hasattr(value, "shape") else ""
    raise EdgeproofError(
        f"data[{number}]: found {type(value).__name__}{shape}, expected a Pillow image, a uint8 array [H, W, 3] "
        "or a tensor [3, H, W]"
    )
