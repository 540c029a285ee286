"""Toy faces: an ellipsoid of skin with hair, eyes, brows, nose and mouth, and its box and landmarks."""

from dataclasses import dataclass

import numpy as np

from distill.data.simulate.textures import Patch, Plane, ellipse_alpha, fractal_noise, paint_ellipse

Point = tuple[float, float]
LANDMARKS = ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")


@dataclass(frozen=True)
class Face:
    """Where a face lies, relative to the picture's width and height.

    Attributes:
        box: x1, y1, x2, y2 of the head without hair.
        landmarks: points of :data:`LANDMARKS`, in that order.
    """

    box: tuple[float, float, float, float]
    landmarks: tuple[Point, ...]


@dataclass(frozen=True)
class _Head:
    centre: Point
    radii: Point
    turn: float
    skin: Plane
    hair: Plane

    def at(self, u: float, v: float) -> Point:
        """Head coordinates (-1..1 inside the skin's ellipse) to the picture's."""
        return self.centre[0] + (u + self.turn) * self.radii[0], self.centre[1] + v * self.radii[1]


def paint_face(picture: Plane, rng: np.random.Generator) -> Face:
    """Paint one face into a planar picture, in place."""
    head = _draw_head(rng)
    _paint_body(picture, rng, head)
    _paint_skin(picture, rng, head)
    eyes = _paint_eyes(picture, rng, head)
    nose = _paint_nose(picture, head)
    mouth = _paint_mouth(picture, rng, head)
    _paint_fringe(picture, rng, head)
    (cx, cy), (rx, ry) = head.centre, head.radii
    return Face((cx - rx, cy - ry, cx + rx, cy + ry), (*eyes, nose, *mouth))


def _draw_head(rng: np.random.Generator) -> _Head:
    height = rng.uniform(0.26, 0.36)
    tone = rng.uniform(0.25, 1.0)
    skin = np.array([0.95, 0.77, 0.66]) * tone + np.array([0.06, 0.02, 0.0])
    hair = np.array([0.75, 0.6, 0.4]) * rng.uniform(0.08, 1.0) * rng.uniform(0.75, 1.1, 3)
    return _Head(
        centre=(rng.uniform(0.44, 0.56), rng.uniform(0.44, 0.54)),
        radii=(height * rng.uniform(0.70, 0.85), height),
        turn=rng.uniform(-0.18, 0.18),
        skin=(skin * rng.uniform(0.94, 1.06, 3)).clip(0.05, 0.97).astype(np.float32),
        hair=hair.clip(0.02, 0.95).astype(np.float32),
    )


def _paint_body(picture: Plane, rng: np.random.Generator, head: _Head) -> None:
    (cx, cy), (rx, ry) = head.centre, head.radii
    long = rng.uniform(0.0, 0.5)
    paint_ellipse(picture, (cx, cy - 0.12 * ry + long * ry), (1.2 * rx, (1.08 + long) * ry), head.hair)
    paint_ellipse(picture, (cx, cy + ry), (0.45 * rx, 0.6 * ry), head.skin * np.float32(0.8))
    paint_ellipse(picture, (cx, cy + 2.05 * ry), (1.75 * rx, 0.85 * ry), rng.uniform(0.05, 0.9, 3))
    for side in (-1, 1):
        paint_ellipse(picture, head.at(side * 0.98 - head.turn, 0.0), (0.14 * rx, 0.2 * ry), head.skin * 0.85)


def _paint_skin(picture: Plane, rng: np.random.Generator, head: _Head) -> None:
    patch = Patch.around(picture, head.centre, head.radii)
    u = (patch.x - np.float32(head.centre[0])) / np.float32(head.radii[0])
    v = (patch.y - np.float32(head.centre[1])) / np.float32(head.radii[1])
    light = rng.normal(0, 1, 2) * (0.45, 0.3) + (0.0, -0.25)
    depth = np.sqrt((np.float32(1.02) - u * u - v * v).clip(0.02, None))
    shade = (depth * np.float32(0.55) + u * np.float32(light[0]) * np.float32(0.5) + np.float32(0.55)).clip(
        0.3, 1.25
    )
    shade = shade + v * np.float32(light[1] * 0.3)
    grain = fractal_noise(rng, max(patch.pixels.shape[1:]), cells=12, octaves=3, gain=0.8)
    shade *= np.float32(0.93) + np.float32(0.14) * grain[: shade.shape[0], : shade.shape[1]]
    colour = (head.skin[:, None, None] * shade).clip(0, 1)
    patch.paint(ellipse_alpha(u, v, min(head.radii) * picture.shape[1], 1.0), colour)


def _paint_eyes(picture: Plane, rng: np.random.Generator, head: _Head) -> tuple[Point, Point]:
    rx, ry = head.radii
    spread, gaze = rng.uniform(0.36, 0.44), rng.uniform(-0.05, 0.05)
    open_ = rng.uniform(0.07, 0.12)
    iris = rng.uniform(0.05, 0.55, 3)
    brow = rng.uniform(0.22, 0.3)
    for side in (-spread, spread):
        paint_ellipse(
            picture, head.at(side, -0.14), (0.26 * rx, 0.16 * ry), head.skin * 0.72, opacity=0.5, edge=6
        )
        paint_ellipse(picture, head.at(side, -0.12), (0.2 * rx, open_ * ry), (0.93, 0.92, 0.9))
        paint_ellipse(picture, head.at(side + gaze, -0.12), (0.1 * rx, min(open_ * ry, 0.1 * rx)), iris)
        paint_ellipse(picture, head.at(side + gaze, -0.12), (0.045 * rx, 0.045 * rx), (0.02, 0.02, 0.02))
        paint_ellipse(picture, head.at(side + gaze + 0.03, -0.15), (0.022 * rx, 0.022 * rx), (1, 1, 1))
        tilt = 0.12 * np.sign(side)
        paint_ellipse(
            picture, head.at(side, -0.12 - brow), (0.26 * rx, 0.045 * ry), head.hair, opacity=0.85, angle=tilt
        )
    return head.at(-spread, -0.12), head.at(spread, -0.12)


def _paint_nose(picture: Plane, head: _Head) -> Point:
    rx, ry = head.radii
    paint_ellipse(picture, head.at(0.06, 0.1), (0.08 * rx, 0.24 * ry), head.skin * 0.8, opacity=0.45, edge=4)
    paint_ellipse(picture, head.at(-0.02, 0.02), (0.05 * rx, 0.22 * ry), (1, 1, 1), opacity=0.14, edge=4)
    paint_ellipse(picture, head.at(0.0, 0.26), (0.15 * rx, 0.07 * ry), head.skin * 0.78, opacity=0.7, edge=3)
    for side in (-0.08, 0.08):
        paint_ellipse(picture, head.at(side, 0.29), (0.04 * rx, 0.025 * ry), head.skin * 0.35, opacity=0.8)
    return head.at(0.0, 0.25)


def _paint_mouth(picture: Plane, rng: np.random.Generator, head: _Head) -> tuple[Point, Point]:
    rx, ry = head.radii
    width, full = rng.uniform(0.26, 0.36), rng.uniform(0.06, 0.1)
    lips = (head.skin * np.array([0.9, 0.55, 0.55]) * rng.uniform(0.8, 1.05)).clip(0, 1)
    paint_ellipse(picture, head.at(0.0, 0.54), (width * rx, full * ry), lips)
    paint_ellipse(
        picture, head.at(0.0, 0.57), (0.6 * width * rx, 0.35 * full * ry), (1, 1, 1), opacity=0.15, edge=2
    )
    gap = 0.5 * full if rng.random() < 0.3 else 0.18 * full
    inside = (0.93, 0.92, 0.88) if gap > 0.3 * full else (0.2, 0.05, 0.05)
    paint_ellipse(picture, head.at(0.0, 0.53), (0.85 * width * rx, gap * ry), inside)
    return head.at(-width, 0.54), head.at(width, 0.54)


def _paint_fringe(picture: Plane, rng: np.random.Generator, head: _Head) -> None:
    (cx, cy), (rx, ry) = head.centre, head.radii
    drop = rng.uniform(0.1, 0.3)
    parting = rng.uniform(-0.5, 0.5) * rx
    paint_ellipse(
        picture, (cx + parting, cy - ry), (0.95 * rx, drop * ry), head.hair, angle=rng.uniform(-0.2, 0.2)
    )
    for _ in range(10):
        strand = (cx + rng.uniform(-1.0, 1.0) * rx, cy - rng.uniform(0.85, 1.15) * ry)
        tone = head.hair * rng.uniform(0.7, 1.3)
        radii = (0.025 * rx, rng.uniform(0.12, 0.3) * ry)
        paint_ellipse(picture, strand, radii, tone.clip(0, 1), opacity=0.6, angle=rng.uniform(-0.6, 0.6))
