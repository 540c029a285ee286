"""Scenes: what stands before both the camera and the generator."""

from dataclasses import dataclass

import numpy as np

from distill.data.simulate.faces import Face, paint_face
from distill.data.simulate.textures import (
    Patch,
    Plane,
    colourize,
    fractal_noise,
    gradient,
    paint_ellipse,
    palette,
    voronoi,
)

OVERSAMPLING = 2
FACE_SHARE = 0.7


@dataclass(frozen=True)
class Scene:
    """A rendered scene.

    Attributes:
        pixels: planar float32 ``[3, H, W]`` in 0..1, display-referred sRGB.
        face: the toy face, ``None`` where there is none.
    """

    pixels: Plane
    face: Face | None


def render_scene(rng: np.random.Generator, *, size: int, face: bool | None = None) -> Scene:
    """Render a scene at :data:`OVERSAMPLING` times ``size`` and average it down to ``size`` pixels a side.

    Args:
        rng: the scene's own random stream.
        size: pixels a side that the camera's sensor has.
        face: whether to show a face; ``None`` leaves it to chance (:data:`FACE_SHARE`).
    """
    with_face = rng.random() < FACE_SHARE if face is None else face
    pixels = _background(rng, size * OVERSAMPLING)
    for _ in range(rng.integers(0, 4) if with_face else rng.integers(2, 9)):
        _paint_shape(pixels, rng)
    _light(pixels, rng)
    found = paint_face(pixels, rng) if with_face else None
    return Scene(_average(pixels), found)


def _background(rng: np.random.Generator, size: int) -> Plane:
    kind = rng.choice(["noise", "voronoi", "gradient", "stripes"], p=[0.4, 0.25, 0.15, 0.2])
    if kind == "noise":
        field = fractal_noise(
            rng, size, cells=int(rng.integers(2, 8)), octaves=5, gain=rng.uniform(0.4, 0.75)
        )
        return colourize(field, palette(rng, int(rng.integers(2, 6))))
    if kind == "voronoi":
        return _tiles(rng, size)
    if kind == "gradient":
        return colourize(gradient(rng, size), palette(rng, 3))
    waves = gradient(rng, size) * np.float32(rng.uniform(3, 24))
    waves += fractal_noise(rng, size, cells=3, octaves=4, gain=0.5) * np.float32(rng.uniform(0, 3))
    return colourize(np.abs(waves % np.float32(2) - np.float32(1)), palette(rng, 3))


def _tiles(rng: np.random.Generator, size: int) -> Plane:
    cells = int(rng.integers(8, 36))
    nearest, distance = voronoi(rng, size, cells=cells)
    colours = palette(rng, 5)[:, rng.integers(0, 256, cells)]
    picture = np.take(colours, nearest, axis=1)
    picture *= np.float32(1.05) - np.float32(rng.uniform(0, 2.0)) * distance
    picture *= np.float32(0.85) + np.float32(0.3) * fractal_noise(rng, size, cells=10, octaves=4, gain=0.8)
    return picture.clip(0, 1)


def _paint_shape(picture: Plane, rng: np.random.Generator) -> None:
    centre = (rng.uniform(0, 1), rng.uniform(0, 1))
    radii = tuple(rng.uniform(0.04, 0.28, 2))
    colour = rng.uniform(0.03, 0.97, 3).astype(np.float32)
    if rng.random() < 0.4:
        paint_ellipse(picture, centre, radii, colour, angle=rng.uniform(0, np.pi))
        return
    patch = Patch.around(picture, centre, radii)
    if min(patch.pixels.shape[1:]) < 2:
        return
    u = (patch.x - np.float32(centre[0])) / np.float32(radii[0])
    v = (patch.y - np.float32(centre[1])) / np.float32(radii[1])
    light = rng.normal(0, 0.5, 2).astype(np.float32)
    if rng.random() < 0.5:  # a shaded ball
        depth = np.sqrt((1 - u * u - v * v).clip(0, None))
        shade = (depth * np.float32(0.8) + u * light[0] + v * light[1] + np.float32(0.2)).clip(0.05, 1.4)
        edge = np.float32(min(radii) * picture.shape[1])
        alpha = ((1 - np.sqrt(u * u + v * v)) * edge).clip(0, 1)
    else:  # a textured box
        side = max(patch.pixels.shape[1:])
        grain = fractal_noise(rng, side, cells=8, octaves=4, gain=0.9)[: v.shape[0], : u.shape[1]]
        shade = np.float32(0.6) + np.float32(0.6) * grain + (u * light[0] + v * light[1]) * np.float32(0.3)
        alpha = np.ones_like(shade)
    patch.paint(alpha, (colour[:, None, None] * shade).clip(0, 1))


def _light(picture: Plane, rng: np.random.Generator) -> None:
    size = picture.shape[1]
    shade = gradient(rng, size) * np.float32(rng.uniform(0, 0.5))
    picture *= np.float32(1.1) - shade
    np.clip(picture, 0, 1, out=picture)


def _average(picture: Plane) -> Plane:
    rows = picture[:, 0::2] + picture[:, 1::2]
    return ((rows[:, :, 0::2] + rows[:, :, 1::2]) * np.float32(0.25)).clip(0, 1)
