"""Face blends: self-blended images (Shiohara & Yamasaki 2022, arXiv 2204.08376) with their constants.

Source and target are the same photograph. A piece of the face, shifted in colour and place, is blended over
itself through a deformed, blurred mask. Where the paper downscales or sharpens the source, here a small decoder
rebuilt it, as a face swap does.
"""

import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates, shift, uniform_filter, zoom

from distill.data.simulate.faces import Face
from distill.data.simulate.textures import Plane

ELASTIC_ALPHA, ELASTIC_SIGMA = 50.0, 7.0
BLUR_KERNELS = tuple(range(5, 26, 2))
RATIOS = (0.25, 0.5, 0.75, 1.0, 1.0, 1.0)
REFERENCE = 256
"""Side in pixels, to which the constants above refer, of a crop 1.3 times as high as the face."""


def blend_face(
    photos: Plane, rebuilt: Plane, face: Face, rng: np.random.Generator
) -> tuple[Plane, Plane, Plane]:
    """Blend a shifted copy of the face over the second of two photos.

    As in the paper, half of the time it is the target that is shifted in colour, and the real image with it, so
    that the two differ under the mask only.

    Args:
        photos: two shots of one scene, planar ``[2, 3, H, W]`` in 0..1.
        rebuilt: the second shot as a generator gives it back, ``[3, H, W]``.
        face: the face in them.
        rng: random stream of this blend.

    Returns:
        The real image and the blend, both ``[3, H, W]``, and the weight ``[H, W]`` of the copy in 0..1.
    """
    real, target = photos
    if rng.random() < 0.5:
        real, target = _shift_colour(photos, rng)
    else:
        rebuilt = _shift_colour(rebuilt, rng)
    source = _displace(rebuilt, rng)
    mask = draw_mask(face, photos.shape[-1], rng) * np.float32(rng.choice(RATIOS))
    return real, (target + mask * (source - target)).clip(0, 1), mask


def _shift_colour(photos: Plane, rng: np.random.Generator) -> Plane:
    """RGB by up to 20 of 255; saturation by 30 %, value by 15 %; brightness and contrast by 10 %."""
    shifted = photos + (rng.uniform(-20, 20, 3) / 255).astype(np.float32)[:, None, None]
    grey = shifted.mean(axis=-3, keepdims=True)
    shifted = grey + (shifted - grey) * np.float32(1 + rng.uniform(-0.3, 0.3))
    contrast = (1 + rng.uniform(-0.15, 0.15)) * (1 + rng.uniform(-0.1, 0.1))
    result: Plane = (shifted * np.float32(contrast) + np.float32(rng.uniform(-0.1, 0.1))).clip(0, 1)
    return result


def draw_mask(face: Face, size: int, rng: np.random.Generator) -> Plane:
    """A part of the face: elastically deformed (α 50, σ 7), eroded by one blur, softened by a second."""
    grid = min(128, 1 << (size - 1).bit_length() - 1)
    scale = grid * 1.3 * (face.box[3] - face.box[1]) / REFERENCE
    mask = _deform(_region(face, grid, rng), scale, rng)
    first, second = (int(rng.choice(BLUR_KERNELS)) * scale for _ in range(2))
    eroded = uniform_filter(mask, max(3, round(first)))
    inner = (eroded >= 0.999 * eroded.max()).astype(np.float32)
    reach = max(1, round(second / 2))
    soft = gaussian_filter(inner, min(rng.uniform(5, 46) * scale, 2 * reach), radius=reach)
    enlarged = zoom(soft / max(float(soft.max()), 1e-6), size / grid, order=1, grid_mode=True, mode="nearest")
    return np.asarray(enlarged.clip(0, 1), np.float32)


def _region(face: Face, grid: int, rng: np.random.Generator) -> Plane:
    """Whole face, all but its rim, or all but the forehead, as SBI picks among hulls of landmarks."""
    x1, y1, x2, y2 = face.box
    cx, cy, rx, ry = (x1 + x2) / 2, (y1 + y2) / 2, (x2 - x1) / 2, (y2 - y1) / 2
    kind = rng.integers(3)
    if kind == 1:
        rx, ry = 0.9 * rx, 0.85 * ry
    elif kind == 2:
        cy, ry = cy + 0.2 * ry, 0.8 * ry
    line = (np.arange(grid, dtype=np.float32) + 0.5) / grid
    u, v = (line - np.float32(cx)) / np.float32(rx), (line[:, None] - np.float32(cy)) / np.float32(ry)
    return (u * u + v * v < 1).astype(np.float32)


def _deform(mask: Plane, scale: float, rng: np.random.Generator) -> Plane:
    noise = rng.uniform(-1, 1, (2, *mask.shape)).astype(np.float32)
    field = gaussian_filter(noise, (0, ELASTIC_SIGMA * scale, ELASTIC_SIGMA * scale)) * np.float32(
        ELASTIC_ALPHA * scale
    )
    where = np.mgrid[: mask.shape[0], : mask.shape[1]].astype(np.float32) + field
    return np.asarray(map_coordinates(mask, where, order=1), np.float32)


def _displace(picture: Plane, rng: np.random.Generator) -> Plane:
    """Up to 3 % sideways and 1.5 % up or down, with the constants of SBI's affine part."""
    size = picture.shape[1]
    across, down = rng.uniform(-0.03, 0.03) * size, rng.uniform(-0.015, 0.015) * size
    return np.asarray(shift(picture, (0, down, across), order=1, mode="nearest"), np.float32)
