"""Training pictures as the wild would have left them, so that the detector learns to see through it. Torch-free."""

from collections.abc import Callable

import numpy as np
from PIL import Image

from distill.data.transforms import effects
from distill.data.transforms.settings import AugmentationSettings
from distill.preprocess import Pixels

_Effect = Callable[[Image.Image, float, np.random.Generator], Image.Image]


def augment(pixels: Pixels, *, settings: AugmentationSettings, rng: np.random.Generator) -> Pixels:
    """One training view, with each augmentation applied at its probability and a strength drawn from its range.

    Nothing moves, so boxes and masks stay valid.

    Args:
        pixels: ``uint8 [S, S, 3]``, not changed.
        settings: which, how often and how strong; applied in the settings' order.
        rng: the only source of chance, so the same generator gives the same bytes.

    Returns:
        ``uint8 [S, S, 3]``.
    """
    image = Image.fromarray(pixels)
    for name, item in settings.active.items():
        if rng.random() < item.probability:
            image = _EFFECTS[name](image, rng.uniform(*item.range), rng)
    return np.asarray(image)


def _colour(image: Image.Image, strength: float, rng: np.random.Generator) -> Image.Image:
    brightness, contrast, saturation = rng.uniform(1 - strength, 1 + strength, 3)
    return effects.colour(image, brightness=brightness, contrast=contrast, saturation=saturation)


_EFFECTS: dict[str, _Effect] = {
    "resize": lambda image, factor, _: effects.resize(image, factor),
    "blur": lambda image, sigma, _: effects.blur(image, sigma),
    "colour": _colour,
    "noise": lambda image, std, rng: effects.noise(image, std, rng=rng),
    "cutout": lambda image, share, rng: effects.cutout(image, share, rng=rng),
    "jpeg": lambda image, quality, _: effects.jpeg(image, round(quality)),
    "webp": lambda image, quality, _: effects.webp(image, round(quality), effort=0),
}
