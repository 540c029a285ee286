"""One scene from plan to files. Heavy imports live here, so that the writer's caller stays light."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from distill.data.samples import GENERATED, REAL
from distill.data.simulate.camera import Camera, Noise, draw_noise, make_camera, photograph
from distill.data.simulate.faces import Face
from distill.data.simulate.finish import Finish, as_mask, draw_finish, encode_mask, level_sizes
from distill.data.simulate.generators import make_pair, model_loader, model_path, save_model
from distill.data.simulate.manifest import Record, image_path, mask_path
from distill.data.simulate.plan import CAMERAS, ScenePlan, random_stream
from distill.data.simulate.scenes import render_scene
from distill.data.simulate.settings import CONTROL, FAMILIES, SPLITS, SimulationSettings
from distill.data.simulate.textures import Plane

if TYPE_CHECKING:
    from distill.data.simulate.autoencoders import Autoencoder, Denoiser

_TRAINING_SCENES = 32
_TRAINING_SIZE = 64


def sensor_size(size: int) -> int:
    """Side of the sensor for images of ``size`` pixels: a quarter more, in whole blocks of eight."""
    return -(-size * 5 // 4 // 8) * 8


@cache
def get_camera(settings: SimulationSettings, split: str, number: int, size: int) -> Camera:
    """A split's n-th camera."""
    rng = random_stream(settings, "camera", SPLITS.index(split), number)
    return make_camera(rng, name=f"{split}-{number}", size=size)


@dataclass(frozen=True)
class Rendered:
    """One image as bytes, what is known of it, and its mask if it has one."""

    record: Record
    image: bytes
    mask: bytes | None


class SceneRenderer:
    """Renders the scenes of one set; :mod:`distill.data.simulate.store` writes them."""

    def __init__(self, settings: SimulationSettings, root: Path) -> None:
        self.settings, self.root = settings, root
        self._load: Callable[[str, int], Autoencoder | Denoiser] | None = None

    def render(self, plan: ScenePlan) -> list[Rendered]:
        """Both images of a scene as far as they are planned, encoded and described."""
        settings = self.settings
        rng = random_stream(settings, "scene", SPLITS.index(plan.split), plan.index)
        size = sensor_size(settings.size)
        scene = render_scene(rng, size=size, face=True if plan.family == "blend" else None)
        camera = get_camera(settings, plan.split, int(rng.integers(CAMERAS[plan.split])), size)
        noise, finish = draw_noise(rng), draw_finish(rng, size=settings.size)
        photos = photograph(scene.pixels, camera, noise, rng, shots=2)
        pair = make_pair(
            plan.family, self._model(plan), photos, face=scene.face, strength=settings.strength, rng=rng
        )
        files = level_sizes(*(finish.encode(finish.resize(picture)) for picture in (pair.real, pair.fake)))
        mask = None
        if pair.mask is not None and plan.write_fake:
            mask = encode_mask(finish.resize(as_mask(pair.mask)))
        shared = _shared_fields(plan, camera, noise, finish, scene.face)
        rendered = []
        wanted = (plan.write_real, plan.write_fake)
        for label in (label for label in (REAL, GENERATED) if wanted[label]):
            record = Record(
                path=image_path(settings, plan, label),
                label=label,
                generator=plan.family if label else "",
                instance=plan.instance if label else None,
                bytes=len(files[label]),
                sha256=hashlib.sha256(files[label]).hexdigest(),
                mask=mask_path(plan.name) if mask and label else None,
                **shared,
            )
            rendered.append(Rendered(record=record, image=files[label], mask=mask if label else None))
        return rendered

    def _model(self, plan: ScenePlan) -> "Autoencoder | Denoiser | None":
        if plan.family == CONTROL:
            return None
        if self._load is None:
            self._load = model_loader(self.root)
        return self._load(plan.family, plan.instance)


def _shared_fields(
    plan: ScenePlan, camera: Camera, noise: Noise, finish: Finish, face: Face | None
) -> dict[str, Any]:
    """What both images of a pair have in common."""
    return {
        "split": plan.split,
        "group": plan.name,
        "camera": camera.name,
        "quality": finish.quality,
        "subsampling": finish.subsampling,
        "shot_noise": noise.shot,
        "read_noise": noise.read,
        "box": finish.locate_box(face) if face else None,
        "landmarks": tuple(finish.locate(point) for point in face.landmarks) if face else None,
    }


def train_generator(settings: SimulationSettings, root: Path, family: str, instance: int) -> None:
    """Train one generator on photographs that no split contains, and save it."""
    import torch

    from distill.data.simulate.autoencoders import train

    photos = torch.from_numpy(_training_photos(settings))
    stream = random_stream(settings, "model", 1, FAMILIES.index(family), instance)
    save_model(
        train(family, instance, photos, seed=int(stream.integers(2**31))), model_path(root, family, instance)
    )


@cache
def _training_photos(settings: SimulationSettings) -> Plane:
    """Photos ``[N, 3, H, W]`` by the training cameras' makers, of scenes of their own."""
    shots = []
    for index in range(_TRAINING_SCENES):
        rng = random_stream(settings, "model", 0, index)
        camera = make_camera(rng, name="generator", size=_TRAINING_SIZE)
        scene = render_scene(rng, size=_TRAINING_SIZE)
        shots.append(photograph(scene.pixels, camera, draw_noise(rng), rng)[0])
    return np.stack(shots)
