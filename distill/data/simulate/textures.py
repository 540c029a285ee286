"""Textures that scenes are made of. Pictures are planar float32 ``[3, H, W]`` in 0..1, display-referred."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

Plane = npt.NDArray[np.float32]
_PALETTE_STEPS = 256


def enlarge(grid: Plane, size: int) -> Plane:
    """Bicubic enlargement of a small ``[h, w]`` grid to ``[size, size]``."""
    return np.asarray(Image.fromarray(grid).resize((size, size), Image.Resampling.BICUBIC))


def fractal_noise(rng: np.random.Generator, size: int, *, cells: int, octaves: int, gain: float) -> Plane:
    """Sum of ever finer random grids, scaled to 0..1; ``gain`` < 1 is the amplitude's ratio per octave."""
    total = np.zeros((size, size), np.float32)
    for octave in range(octaves):
        side = min(cells << octave, size)
        total += np.float32(gain**octave) * enlarge(rng.random((side, side), np.float32), size)
    low, high = total.min(), total.max()
    scaled: Plane = (total - low) / np.float32(max(high - low, 1e-6))
    return scaled


def palette(rng: np.random.Generator, colours: int = 4) -> Plane:
    """A smooth map from 256 steps to colours, ``[3, 256]``."""
    # mostly differences in brightness, as in the world: chroma varies half as much
    grey = rng.uniform(0.2, 0.75) + rng.normal(0, 0.22, (colours, 1))
    stops = np.clip(grey + rng.normal(0, 0.1, 3) + rng.normal(0, 0.08, (colours, 3)), 0.02, 0.98)
    steps = np.linspace(0, colours - 1, _PALETTE_STEPS)
    return np.stack([np.interp(steps, np.arange(colours), channel) for channel in stops.T]).astype(np.float32)


def colourize(field: Plane, colours: Plane) -> Plane:
    """Map a ``[H, W]`` field in 0..1 through a palette to ``[3, H, W]``."""
    index = (field * (_PALETTE_STEPS - 1)).astype(np.intp)
    return np.take(colours, index, axis=1)


def gradient(rng: np.random.Generator, size: int) -> Plane:
    """Linear gradient in a random direction, 0..1."""
    angle = rng.uniform(0, 2 * np.pi)
    line = np.linspace(-0.5, 0.5, size, dtype=np.float32)
    slope = np.float32(np.cos(angle)) * line + np.float32(np.sin(angle)) * line[:, None]
    return (slope / np.float32(2**0.5) + np.float32(0.5)).clip(0, 1)


def voronoi(rng: np.random.Generator, size: int, *, cells: int) -> tuple[npt.NDArray[np.intp], Plane]:
    """Index of the nearest of ``cells`` points, and the distance to it relative to the picture's side."""
    points = rng.random((cells, 2)).astype(np.float32)
    line = (np.arange(size, dtype=np.float32) + 0.5) / size
    nearest = np.zeros((size, size), np.intp)
    best = np.full((size, size), np.inf, np.float32)
    for number, (x, y) in enumerate(points):
        distance = (line - x) ** 2 + (line[:, None] - y) ** 2
        closer = distance < best
        nearest[closer] = number
        np.minimum(best, distance, out=best)
    return nearest, np.sqrt(best)


@dataclass(frozen=True)
class Patch:
    """A window of a picture with relative coordinates, to paint in without touching the rest."""

    pixels: Plane
    x: Plane
    y: Plane

    @staticmethod
    def around(picture: Plane, centre: tuple[float, float], reach: tuple[float, float]) -> "Patch":
        """The window that covers ``centre`` ± ``reach``, relative to the picture's side."""
        size = picture.shape[1]
        (cx, cy), (rx, ry) = centre, reach
        x1, x2 = _span(cx - rx, cx + rx, size)
        y1, y2 = _span(cy - ry, cy + ry, size)
        xs = (np.arange(x1, x2, dtype=np.float32) + 0.5) / size
        ys = (np.arange(y1, y2, dtype=np.float32) + 0.5) / size
        return Patch(picture[:, y1:y2, x1:x2], xs[None, :], ys[:, None])

    def paint(self, alpha: Plane, colour: npt.ArrayLike) -> None:
        """Blend ``colour`` (``[3]`` or ``[3, h, w]``) in where ``alpha`` (``[h, w]``) says, in place."""
        value = np.asarray(colour, np.float32)
        value = value[:, None, None] if value.ndim == 1 else value
        self.pixels[...] += alpha * (value - self.pixels)


def _span(low: float, high: float, size: int) -> tuple[int, int]:
    """First and one past the last pixel of a stretch, with a margin of two, inside the picture."""
    return max(0, min(size, int(low * size) - 2)), max(0, min(size, int(high * size) + 3))


def paint_ellipse(
    picture: Plane,
    centre: tuple[float, float],
    radii: tuple[float, float],
    colour: npt.ArrayLike,
    *,
    opacity: float = 1.0,
    angle: float = 0.0,
    edge: float = 1.0,
) -> None:
    """Paint an ellipse, in units of the picture's side, with an edge ``edge`` pixels wide."""
    reach = max(radii) if angle else 0.0
    patch = Patch.around(picture, centre, (max(radii[0], reach), max(radii[1], reach)))
    u, v = patch.x - np.float32(centre[0]), patch.y - np.float32(centre[1])
    if angle:
        c, s = np.float32(np.cos(angle)), np.float32(np.sin(angle))
        u, v = c * u + s * v, c * v - s * u
    alpha = ellipse_alpha(
        u / np.float32(radii[0]), v / np.float32(radii[1]), min(radii) * picture.shape[1], edge
    )
    patch.paint(alpha * np.float32(opacity), colour)


def ellipse_alpha(u: Plane, v: Plane, radius: float, edge: float) -> Plane:
    """Coverage of the unit disc, where ``radius`` pixels are one unit and the edge is ``edge`` pixels wide."""
    distance = (np.float32(1) - np.sqrt(u * u + v * v)) * np.float32(radius / edge)
    return (distance + np.float32(0.5)).clip(0, 1)
