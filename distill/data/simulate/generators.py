"""The generator class: a second photograph of the scene, rebuilt by a generator of some family.

The generator sees another shot of the same scene by the same camera, so the pair differs in nothing but the
noise draw and what the generator itself leaves behind.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import uniform_filter

from distill.data.simulate.blend import blend_face
from distill.data.simulate.faces import Face
from distill.data.simulate.settings import CONTROL
from distill.data.simulate.textures import Plane
from distill.files import write_tensors

if TYPE_CHECKING:
    from distill.data.simulate.autoencoders import Autoencoder, Denoiser

DIFFUSION_LEVELS = (0.12, 0.06, 0.02)
"""Standard deviations of the noise that is added and removed again, in turn."""

KEPT_SHARE = (0.55, 1.0)
"""Range of the generator's share in its picture; the rest is the photograph's own detail."""


@dataclass(frozen=True)
class Pair:
    """A real and a generated picture ``[3, H, W]`` of one scene, and the weight ``[H, W]`` of what was altered.

    ``mask`` is ``None`` where the whole picture was generated (or, for the control, nothing was).
    """

    real: Plane
    fake: Plane
    mask: Plane | None = None


def make_pair(
    family: str, model: "Autoencoder | Denoiser | None", photos: Plane, *, face: Face | None, strength: float,
    rng: np.random.Generator,
) -> Pair:  # fmt: skip
    """Turn two shots ``[2, 3, H, W]`` of a scene into a pair; ``blend`` needs a face."""
    if family == CONTROL:
        return Pair(photos[0], photos[1])
    if model is None:
        raise ValueError(f"the family {family!r} needs its network")
    generated = reconstruct(model, photos[1], strength=strength, rng=rng)
    if family != "blend":
        return Pair(photos[0], generated)
    if face is None:
        raise ValueError("a blend needs a face")
    return Pair(*blend_face(photos, generated, face, rng))


def reconstruct(
    model: "Autoencoder | Denoiser", photo: Plane, *, strength: float, rng: np.random.Generator
) -> Plane:
    """Rebuild a photo ``[3, H, W]`` with a network, colours and large forms kept as they were."""
    import torch

    from distill.data.simulate.autoencoders import Denoiser

    with torch.inference_mode():
        if isinstance(model, Denoiser):
            picture = photo
            for level in DIFFUSION_LEVELS:
                noise = rng.standard_normal(photo.shape, np.float32)
                picture = model(torch.from_numpy(picture + np.float32(level) * noise)[None], level)[0].numpy()
        else:
            picture = model(torch.from_numpy(photo)[None])[0].numpy()
    change = picture - photo
    change -= uniform_filter(uniform_filter(change, (1, 7, 7)), (1, 7, 7))
    return (photo + np.float32(strength * rng.uniform(*KEPT_SHARE)) * change).clip(0, 1)


def model_path(root: Path, family: str, instance: int) -> Path:
    """Where an instance's weights lie."""
    return root / "generators" / f"{family}-{instance}.safetensors"


def save_model(model: "Autoencoder | Denoiser", path: Path) -> None:
    """Write weights atomically."""
    write_tensors(path, model.state_dict())


def model_loader(root: Path) -> Callable[[str, int], "Autoencoder | Denoiser"]:
    """A function that loads an instance once and keeps it."""
    from safetensors.torch import load_file

    from distill.data.simulate.autoencoders import build

    loaded: dict[tuple[str, int], Autoencoder | Denoiser] = {}

    def load(family: str, instance: int) -> "Autoencoder | Denoiser":
        key = (family, instance)
        if key not in loaded:
            model = build(family, instance)
            model.load_state_dict(load_file(model_path(root, family, instance)))
            loaded[key] = model.eval().requires_grad_(False)
        return loaded[key]

    return load
