"""The degraded copies of a test picture on which every model is judged: JPEG, blur, resize, noise, WebP, screenshots. Torch-free.

They are made of the decoded original, before the preprocessing: a degraded file arrives that way.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image

from distill.data.samples import GENERATED, Sample
from distill.data.transforms import effects

CLEAN = "clean"
FLIP_TEST = "jpeg95_fakes"
PLAUSIBLE = ("jpeg50", "resize_half", "blur1", "screenshot")
"""What most photographs go through on their way: the verdict tells the worst of them, and gates may limit it."""


@dataclass(frozen=True)
class Degradation:
    """One way in which a picture suffers.

    Attributes:
        family: what is varied; the same for all strengths of it, which are drawn as one line.
        strength: as short as an axis needs it. Sigmas are in pixels of the original, and in 255ths for noise.
        effect: the picture and a generator of its own → the degraded picture.
        generated_only: real pictures are left as they are.
    """

    family: str
    strength: str
    effect: Callable[[Image.Image, np.random.Generator], Image.Image]
    generated_only: bool = False


def _jpeg(quality: int, *, generated_only: bool = False) -> Degradation:
    family = "Only generated as JPEG" if generated_only else "JPEG quality"
    return Degradation(
        family, str(quality), lambda image, _: effects.jpeg(image, quality), generated_only=generated_only
    )


def _blur(sigma: int) -> Degradation:
    return Degradation("Blur sigma", str(sigma), lambda image, _: effects.blur(image, sigma))


def _resize(factor: float, strength: str) -> Degradation:
    return Degradation("Resize to", strength, lambda image, _: effects.resize(image, factor))


def _noise(levels: int) -> Degradation:
    return Degradation(
        "Noise sigma",
        str(levels),
        lambda image, rng: effects.noise(image, levels / 255, rng=rng),
    )


def _webp(quality: int) -> Degradation:
    return Degradation("WebP quality", str(quality), lambda image, _: effects.webp(image, quality))


DEGRADATIONS: dict[str, Degradation] = {
    CLEAN: Degradation("Clean", "clean", lambda image, _: image),
    "jpeg95": _jpeg(95),
    "jpeg75": _jpeg(75),
    "jpeg60": _jpeg(60),
    "jpeg50": _jpeg(50),
    "jpeg40": _jpeg(40),
    "jpeg30": _jpeg(30),
    "resize_half": _resize(0.5, "1/2"),
    "resize_quarter": _resize(0.25, "1/4"),
    "noise5": _noise(5),
    "noise10": _noise(10),
    "blur1": _blur(1),
    "blur2": _blur(2),
    "blur3": _blur(3),
    "webp75": _webp(75),
    "webp50": _webp(50),
    "screenshot": Degradation("Screenshot", "4/5", lambda image, _: effects.screenshot(image)),
    FLIP_TEST: _jpeg(95, generated_only=True),
}


def degrade(image: Image.Image, name: str, *, sample: Sample) -> Image.Image:
    """The degraded copy of a sample's decoded picture; noise is seeded by the sample's path, alike at all levels."""
    degradation = DEGRADATIONS[name]
    if degradation.generated_only and sample.label != GENERATED:
        return image
    return degradation.effect(image, _generator(sample.path))


def _generator(path: str) -> np.random.Generator:
    # file names may hold bytes that are no text
    digest = hashlib.sha256(path.encode(errors="surrogateescape")).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "big"))
