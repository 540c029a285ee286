"""Images that trip detectors up: without content, at the ends of the range, of odd shapes and modes. Torch-free."""

from collections.abc import Iterator
from itertools import product

import numpy as np
from PIL import Image

from distill.preprocess import Pixels, PreprocessSpec, to_rgb

_SIDE = 96


def awkward_images() -> dict[str, Image.Image]:
    """Name → image, the same ones each time."""
    row = np.linspace(0, 255, _SIDE)
    gradient = np.broadcast_to(row, (_SIDE, _SIDE))
    noise = np.random.default_rng(0).integers(0, 256, (_SIDE, _SIDE, 3), dtype=np.uint8)
    checkers = (np.indices((_SIDE, _SIDE)).sum(axis=0) % 2 * 255).astype(np.uint8)
    rgba = np.dstack([noise, gradient.astype(np.uint8)])
    return {
        "black": Image.new("RGB", (_SIDE, _SIDE)),
        "white": Image.new("RGB", (_SIDE, _SIDE), "white"),
        "checkerboard": Image.fromarray(checkers).convert("RGB"),
        "noise": Image.fromarray(noise),
        "gradient": Image.fromarray(gradient.astype(np.uint8)).convert("RGB"),
        **dict(_saturated()),
        "wide": Image.fromarray(noise[:3]).resize((1200, 3)),
        "tall": Image.fromarray(noise[:, :3]).resize((3, 1200)),
        "one pixel": Image.new("RGB", (1, 1), "teal"),
        "tiny": Image.fromarray(noise[:3, :5]),
        "grey": Image.fromarray(noise[..., 0]),
        "transparent": Image.fromarray(rgba),
        "16 bits": Image.fromarray((gradient * 257).astype(np.uint16)),
    }


def awkward_pixels(spec: PreprocessSpec) -> dict[str, Pixels]:
    """Name → the model's input, uint8 ``[1, S, S, 3]``; of ``tiles`` the first."""
    return {name: spec.apply(to_rgb(image))[:1] for name, image in awkward_images().items()}


def random_pixels(size: int, *, count: int = 16) -> Pixels:
    """Noise over the whole range, uint8 ``[N, size, size, 3]``."""
    return np.random.default_rng(1).integers(0, 256, (count, size, size, 3), dtype=np.uint8)


def _saturated() -> Iterator[tuple[str, Image.Image]]:
    for color in product((0, 255), repeat=3):
        if 0 < sum(color) < 3 * 255:
            yield f"colour {color[0]} {color[1]} {color[2]}", Image.new("RGB", (_SIDE, _SIDE), color)
