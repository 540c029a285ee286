"""The camera class against the formulas of Brooks et al. 2019, and the last stage."""

import io

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from distill.data.simulate.blend import blend_face
from distill.data.simulate.camera import (
    Camera,
    Noise,
    demosaic_bilinear,
    demosaic_difference,
    develop,
    draw_noise,
    expose,
    make_camera,
    photograph,
    unprocess,
)
from distill.data.simulate.faces import Face
from distill.data.simulate.finish import draw_finish, level_sizes, pad_jpeg
from distill.data.simulate.scenes import render_scene
from distill.errors import EdgeproofError


@pytest.fixture
def camera() -> Camera:
    return make_camera(np.random.default_rng(3), name="test", size=64)


def test_noise_parameters_follow_the_published_line() -> None:
    rng = np.random.default_rng(0)
    drawn = [draw_noise(rng) for _ in range(4000)]
    shot, read = np.log([noise.shot for noise in drawn]), np.log([noise.read for noise in drawn])
    assert shot.min() >= np.log(1e-4) and shot.max() <= np.log(0.012)
    assert np.mean(shot) == pytest.approx((np.log(1e-4) + np.log(0.012)) / 2, abs=0.08)  # log-uniform
    rest = read - (2.18 * shot + 1.20)
    assert np.mean(rest) == pytest.approx(0, abs=0.02) and np.std(rest) == pytest.approx(0.26, abs=0.02)


@pytest.mark.parametrize("level", [0.05, 0.6])
def test_raw_noise_has_variance_shot_times_signal_plus_read(camera: Camera, level: float) -> None:
    noise = Noise(shot=0.01, read=0.0005)
    raw = expose(np.full((64, 64), level, np.float32), camera, noise, np.random.default_rng(1), shots=200)
    assert raw.mean() == pytest.approx(level, rel=0.01)
    assert raw.var(axis=0).mean() == pytest.approx(0.01 * level + 0.0005, rel=0.02)


def test_prnu_is_multiplicative_and_fixed(camera: Camera) -> None:
    quiet = Noise(shot=0.0, read=0.0)
    for level in (0.1, 0.8):
        flat = np.full((64, 64), level, np.float32)
        raw = expose(flat, camera, quiet, np.random.default_rng(1), shots=2)
        np.testing.assert_allclose(raw[0] / level, camera.prnu, rtol=1e-5)
        np.testing.assert_array_equal(raw[0], raw[1])
    assert 0.004 < camera.prnu.std() < 0.021


def test_camera_matrix_and_gains_are_in_the_published_range(camera: Camera) -> None:
    np.testing.assert_allclose(camera.to_camera.sum(axis=1), 1, atol=1e-5)
    red, green, blue = camera.gains
    assert 1.9 <= red / green <= 2.4 and 1.5 <= blue / green <= 1.9


@pytest.mark.parametrize("demosaic", ["bilinear", "difference"])
def test_developing_undoes_unprocessing_where_nothing_is_lost(camera: Camera, demosaic: str) -> None:
    plain = Camera(
        **{**vars(camera), "demosaic": demosaic, "sharpen": 0.0, "prnu": np.ones((64, 64), np.float32)}
    )
    colour = np.array([0.55, 0.45, 0.35], np.float32)
    scene = np.broadcast_to(colour[:, None, None], (3, 64, 64))
    shot = develop(unprocess(scene, plain)[None], plain, Noise(0.0, 0.0))
    np.testing.assert_allclose(shot[0, :, 32, 32], colour, atol=0.01)


def test_unprocessed_raw_is_rggb(camera: Camera) -> None:
    scene = np.full((3, 64, 64), 0.5, np.float32)
    mosaic = unprocess(scene, camera)
    grey = mosaic[0, 0] * camera.gains[0]
    linear = (0.5 - np.sin(np.arcsin(1 - 2 * 0.5) / 3)) ** 2.2  # by hand: 0.5 ** 2.2
    assert linear == pytest.approx(0.5**2.2)
    for (row, column), gain in zip(((0, 0), (0, 1), (1, 0), (1, 1)), camera.gains[[0, 1, 1, 2]], strict=True):
        assert mosaic[row, column] * gain == pytest.approx(linear, rel=2e-3) and grey == pytest.approx(
            linear, rel=2e-3
        )


def test_bilinear_demosaic_by_hand() -> None:
    mosaic = np.arange(36, dtype=np.float32).reshape(1, 6, 6)
    picture = demosaic_bilinear(mosaic)[0]
    assert picture[0, 2, 2] == 14 and picture[0, 2, 3] == (14 + 16) / 2  # red: known, then between two
    assert picture[0, 3, 3] == (14 + 16 + 26 + 28) / 4
    assert picture[1, 2, 2] == (8 + 20 + 13 + 15) / 4 and picture[1, 2, 3] == 15
    assert picture[2, 3, 3] == 21 and picture[2, 2, 2] == (7 + 9 + 19 + 21) / 4


def test_difference_demosaic_keeps_a_grey_edge_free_of_colour() -> None:
    grey = np.tile(np.linspace(0.2, 0.8, 16, dtype=np.float32), (16, 1))
    picture = demosaic_difference(grey[None])[0]
    inner = picture[:, 4:-4, 4:-4]
    np.testing.assert_allclose(inner, np.broadcast_to(grey[4:-4, 4:-4], inner.shape), atol=1e-5)


def test_two_shots_of_a_scene_differ_by_noise_alone(camera: Camera) -> None:
    scene = render_scene(np.random.default_rng(5), size=64, face=True)
    one, two = photograph(scene.pixels, camera, Noise(1e-4, 1e-6), np.random.default_rng(6), shots=2)
    assert 0 < np.abs(one - two).mean() < 0.02
    assert one.min() >= 0 and one.max() <= 1


def test_scene_shows_a_face_where_asked_and_the_box_holds_it() -> None:
    assert render_scene(np.random.default_rng(1), size=32, face=False).face is None
    scene = render_scene(np.random.default_rng(1), size=32, face=True)
    assert scene.face is not None and scene.pixels.shape == (3, 32, 32) and scene.pixels.dtype == np.float32
    x1, y1, x2, y2 = scene.face.box
    assert all(x1 < x < x2 and y1 < y < y2 for x, y in scene.face.landmarks)


@pytest.mark.parametrize("seed", range(8))
def test_the_mask_covers_exactly_what_a_blend_altered(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scene = render_scene(rng, size=64, face=True)
    photos = np.stack([scene.pixels, scene.pixels])  # no noise between the shots: all change is the blend's
    rebuilt = gaussian_filter(scene.pixels, (0, 1, 1))
    real, fake, mask = blend_face(photos, rebuilt, scene.face, rng)
    assert mask.min() == 0 and 0.2 < mask.max() <= 1
    np.testing.assert_allclose(real[:, mask == 0], fake[:, mask == 0], atol=1e-6)
    assert np.abs(real - fake)[:, mask > 0.1].mean() > 0.002
    ys, xs = np.nonzero(mask > 0.5 * mask.max())
    x1, y1, x2, y2 = (np.array(scene.face.box) * 64).round()
    inside = (xs >= x1 - 8) & (xs <= x2 + 8) & (ys >= y1 - 8) & (ys <= y2 + 8)
    assert inside.mean() > 0.95


def test_finish_moves_boxes_with_the_pixels() -> None:
    finish = draw_finish(np.random.default_rng(2), size=64)
    picture = np.zeros((3, 80, 80), np.float32)
    picture[:, 30:50, 20:60] = 1  # box 0.25, 0.375, 0.75, 0.625
    x1, y1, x2, y2 = finish.locate_box(Face((0.25, 0.375, 0.75, 0.625), ()))
    bright = np.asarray(finish.resize(picture))[..., 0] > 127
    ys, xs = np.nonzero(bright)
    found = np.array([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1])
    np.testing.assert_allclose(found / 64, (x1, y1, x2, y2), atol=1.5 / 64)


def jpeg(seed: int) -> bytes:
    buffer = io.BytesIO()
    noise = np.random.default_rng(seed).integers(0, 256, (32, 32 + 8 * seed, 3), np.uint8)
    Image.fromarray(noise).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


@pytest.mark.parametrize("extra", [4, 5, 65536, 65537, 65538, 65540, 65541, 200_000])
def test_padding_reaches_any_size_and_keeps_the_picture(extra: int) -> None:
    data = jpeg(1)
    padded = pad_jpeg(data, len(data) + extra)
    assert len(padded) == len(data) + extra and padded[2:4] == b"\xff\xe0"
    with Image.open(io.BytesIO(data)) as before, Image.open(io.BytesIO(padded)) as after:
        np.testing.assert_array_equal(before, after)


def test_levelled_files_have_one_size_and_both_a_comment() -> None:
    for one, two in ((jpeg(1), jpeg(4)), (jpeg(4), jpeg(1)), (jpeg(2), jpeg(2))):
        levelled = level_sizes(one, two)
        assert len(levelled[0]) == len(levelled[1])
        assert all("comment" in Image.open(io.BytesIO(data)).info for data in levelled)
    with pytest.raises(EdgeproofError, match="cannot pad"):
        pad_jpeg(jpeg(1), len(jpeg(1)) + 3)
