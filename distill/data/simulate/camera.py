"""The camera class: a scene is unprocessed to raw, exposed with sensor noise, and developed again.

Brooks et al. 2019, "Unprocessing Images for Learned Raw Denoising" (arXiv 1811.11127): the constants of
colour matrices, gains, tone curve and noise are theirs. PRNU, the second demosaic, the denoiser and the
sharpener are added per camera. Pictures are planar float32 ``[..., 3, H, W]`` in 0..1.
"""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import uniform_filter

from distill.data.simulate.textures import Plane

SHOT_RANGE = (1e-4, 0.012)
READ_SLOPE, READ_OFFSET, READ_SPREAD = 2.18, 1.20, 0.26
_XYZ_TO_CAMERAS = (
    ((1.0234, -0.2969, -0.2266), (-0.5625, 1.6328, -0.0469), (-0.0703, 0.2188, 0.6406)),
    ((0.4913, -0.0541, -0.0202), (-0.613, 1.3513, 0.2906), (-0.1564, 0.2151, 0.7183)),
    ((0.838, -0.263, -0.0639), (-0.2887, 1.0725, 0.2496), (-0.0627, 0.1427, 0.5438)),
    ((0.6596, -0.2079, -0.0562), (-0.4782, 1.3016, 0.1933), (-0.097, 0.1581, 0.5181)),
)
_RGB_TO_XYZ = (
    (0.4124564, 0.3575761, 0.1804375),
    (0.2126729, 0.7151522, 0.0721750),
    (0.0193339, 0.1191920, 0.9503041),
)
_RAW_LEVELS = 1 << 14  # a 14-bit raw file, and the length of the tone tables


@dataclass(frozen=True)
class Camera:
    """One camera: colour response, gains, sensor pattern and its maker's taste in development.

    Attributes:
        to_camera: sRGB primaries to the camera's, rows sum to 1.
        gains: white-balance gains of R, G and B, as applied in development.
        prnu: multiplicative sensitivity of every pixel, ``[H, W]``, around 1.
        demosaic: ``bilinear``, or ``difference`` (colour differences to an edge-corrected green).
        denoise: assumed noise variance relative to the true one.
        sharpen: amount of unsharp masking.
    """

    name: str
    to_camera: Plane
    gains: Plane
    prnu: Plane
    demosaic: str
    denoise: float
    sharpen: float


@dataclass(frozen=True)
class Noise:
    """Variance of a raw value x in 0..1 is ``shot * x + read``."""

    shot: float
    read: float


def make_camera(rng: np.random.Generator, *, name: str, size: int) -> Camera:
    """Draw a camera with a ``size`` × ``size`` sensor."""
    weights = rng.random(len(_XYZ_TO_CAMERAS))
    xyz = np.tensordot(weights / weights.sum(), np.array(_XYZ_TO_CAMERAS), axes=1)
    matrix = xyz @ np.array(_RGB_TO_XYZ)
    overall = 1.0 / rng.normal(0.8, 0.1)
    gains = np.array([rng.uniform(1.9, 2.4), 1.0, rng.uniform(1.5, 1.9)]) * overall
    pattern = rng.standard_normal((size, size), np.float32) * np.float32(rng.uniform(0.005, 0.02))
    return Camera(
        name=name,
        to_camera=(matrix / matrix.sum(axis=1, keepdims=True)).astype(np.float32),
        gains=gains.astype(np.float32),
        prnu=np.float32(1) + pattern,
        demosaic=str(rng.choice(["bilinear", "difference"])),
        denoise=float(rng.uniform(0.5, 1.2)),
        sharpen=float(rng.uniform(0.0, 0.4)),
    )


def draw_noise(rng: np.random.Generator) -> Noise:
    """Shot noise log-uniform; read noise log-normal around a line through the shot noise, both natural logs."""
    log_shot = rng.uniform(np.log(SHOT_RANGE[0]), np.log(SHOT_RANGE[1]))
    log_read = READ_SLOPE * log_shot + READ_OFFSET + rng.normal(0, READ_SPREAD)
    return Noise(float(np.exp(log_shot)), float(np.exp(log_read)))


def photograph(
    scene: Plane, camera: Camera, noise: Noise, rng: np.random.Generator, *, shots: int = 1
) -> Plane:
    """Photograph a scene ``[3, H, W]`` (H and W even) ``shots`` times, ``[shots, 3, H, W]``.

    The shots differ by their independent draw of shot and read noise only.
    """
    raw = expose(unprocess(scene, camera), camera, noise, rng, shots=shots)
    return develop(raw, camera, noise)


def unprocess(scene: Plane, camera: Camera) -> Plane:
    """Display-referred sRGB to a clean RGGB mosaic ``[H, W]`` in linear camera space, 0..1."""
    linear = np.take(_INVERSE_TONE, (scene * np.float32(_RAW_LEVELS - 1)).astype(np.intp))
    planes = np.tensordot(camera.to_camera, linear, axes=1).clip(0, 1)
    inverse = _inverse_gain(planes, camera.gains)
    mosaic = np.empty(scene.shape[1:], np.float32)
    for plane, rows, columns in _RGGB:
        mosaic[rows::2, columns::2] = inverse[plane, rows::2, columns::2]
    return mosaic


def expose(mosaic: Plane, camera: Camera, noise: Noise, rng: np.random.Generator, *, shots: int) -> Plane:
    """Add PRNU, shot and read noise to a clean mosaic ``[H, W]``; ``[shots, H, W]``, unclipped."""
    signal = mosaic * camera.prnu
    deviation = np.sqrt(signal.clip(0, None) * np.float32(noise.shot) + np.float32(noise.read))
    result: Plane = signal + deviation * rng.standard_normal((shots, *mosaic.shape), np.float32)
    return result


def develop(raw: Plane, camera: Camera, noise: Noise) -> Plane:
    """Raw mosaics ``[N, H, W]`` to sRGB ``[N, 3, H, W]``: gains, demosaic, denoise, colours, tone, sharpen."""
    balanced = raw.clip(0, 1)
    for plane, rows, columns in _RGGB:
        balanced[:, rows::2, columns::2] *= camera.gains[plane]
    np.minimum(balanced, 1, out=balanced)
    picture = (
        demosaic_difference(balanced) if camera.demosaic == "difference" else demosaic_bilinear(balanced)
    )
    variance = (noise.shot * 0.25 + noise.read) * float(np.mean(camera.gains**2)) * camera.denoise
    picture = denoise(picture, variance)
    to_srgb = np.linalg.inv(camera.to_camera.astype(np.float64)).astype(np.float32)
    linear = np.matmul(to_srgb, picture.reshape(len(raw), 3, -1)).reshape(picture.shape).clip(0, 1)
    toned = np.take(_TONE, (linear * np.float32(_RAW_LEVELS - 1)).astype(np.intp))
    return sharpen(toned, camera.sharpen).clip(0, 1)


def demosaic_bilinear(mosaic: Plane) -> Plane:
    """RGGB mosaics ``[N, H, W]`` to ``[N, 3, H, W]``; a missing value is the mean of its nearest neighbours."""
    known = _scatter(mosaic)
    known[:, 1] = _cross_mean(known[:, 1])
    known[:, 0::2] = _fill(known[:, 0::2])
    return known


def demosaic_difference(mosaic: Plane) -> Plane:
    """Green corrected by the curvature of the known colour (Malvar et al. 2004), then smooth R-G and B-G."""
    known = _scatter(mosaic)
    green = _cross_mean(known[:, 1])
    padded = np.pad(mosaic, ((0, 0), (2, 2), (2, 2)), "reflect")
    ring = padded[:, :-4, 2:-2] + padded[:, 4:, 2:-2] + padded[:, 2:-2, :-4] + padded[:, 2:-2, 4:]
    correction = np.float32(0.5) * mosaic - np.float32(0.125) * ring
    for plane, rows, columns in (_RGGB[0], _RGGB[3]):
        green[:, rows::2, columns::2] += correction[:, rows::2, columns::2]
        known[:, plane, rows::2, columns::2] -= green[:, rows::2, columns::2]
    known[:, 0::2] = _fill(known[:, 0::2]) + green[:, None]
    known[:, 1] = green
    return known.clip(0, 1)


def denoise(picture: Plane, variance: float) -> Plane:
    """Local Wiener filter over 5 × 5 pixels: flat places are averaged, edges are kept."""
    size = (1,) * (picture.ndim - 2) + (5, 5)
    mean = uniform_filter(picture, size)
    spread = uniform_filter(picture * picture, size) - mean * mean
    weight = ((spread - np.float32(variance)) / np.maximum(spread, np.float32(1e-8))).clip(0.15, 1)
    result: Plane = mean + weight * (picture - mean)
    return result


def sharpen(picture: Plane, amount: float) -> Plane:
    """Unsharp mask with a 3 × 3 mean."""
    if amount == 0:
        return picture
    mean = uniform_filter(picture, (1,) * (picture.ndim - 2) + (3, 3))
    result: Plane = picture + np.float32(amount) * (picture - mean)
    return result


def _scatter(mosaic: Plane) -> Plane:
    """Put every mosaic value into its colour's plane, zero elsewhere."""
    known = np.zeros((len(mosaic), 3, *mosaic.shape[1:]), np.float32)
    for plane, rows, columns in _RGGB:
        known[:, plane, rows::2, columns::2] = mosaic[:, rows::2, columns::2]
    return known


def _fill(planes: Plane) -> Plane:
    """Bilinear interpolation of planes that are known at every second row and column, zero elsewhere."""
    margin = ((0, 0),) * (planes.ndim - 2) + ((1, 1), (1, 1))
    padded = np.pad(planes, margin, "reflect")
    wide = padded[..., 1:-1] + np.float32(0.5) * (padded[..., :-2] + padded[..., 2:])
    return wide[..., 1:-1, :] + np.float32(0.5) * (wide[..., :-2, :] + wide[..., 2:, :])


def _cross_mean(green: Plane) -> Plane:
    """Fill a chequered plane ``[N, H, W]`` with the mean of the four neighbours."""
    padded = np.pad(green, ((0, 0), (1, 1), (1, 1)), "reflect")
    cross = padded[:, :-2, 1:-1] + padded[:, 2:, 1:-1] + padded[:, 1:-1, :-2] + padded[:, 1:-1, 2:]
    return green + np.float32(0.25) * cross  # where green is known its neighbours are zero


def _inverse_gain(planes: Plane, gains: Plane) -> Plane:
    """Divide by the gains but leave highlights alone (Brooks et al., section 3.3)."""
    grey = planes.mean(axis=0)
    mask = ((grey - np.float32(0.9)).clip(0, None) / np.float32(0.1)) ** 2
    divided = planes / gains[:, None, None]
    result: Plane = np.maximum(divided + mask * (planes - divided), divided)
    return result


_RGGB = ((0, 0, 0), (1, 0, 1), (1, 1, 0), (2, 1, 1))
_LEVELS = np.linspace(0, 1, _RAW_LEVELS)
_COMPRESSED = np.maximum(_LEVELS, 1e-8) ** (1 / 2.2)
_TONE = (_COMPRESSED**2 * (3 - 2 * _COMPRESSED)).astype(np.float32)
_INVERSE_TONE = (np.maximum(0.5 - np.sin(np.arcsin(1 - 2 * _LEVELS) / 3), 1e-8) ** 2.2).astype(np.float32)
