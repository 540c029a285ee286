import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from distill.data.audit.jpeg import jpeg_quality
from distill.data.transforms import effects

EFFECTS = {
    "jpeg": lambda image: effects.jpeg(image, 50),
    "webp": lambda image: effects.webp(image, 50),
    "blur": lambda image: effects.blur(image, 1.0),
    "resize": lambda image: effects.resize(image, 0.5),
    "noise": lambda image: effects.noise(image, 0.05, rng=np.random.default_rng(0)),
    "colour": lambda image: effects.colour(image, brightness=0.8, contrast=1.1, saturation=1.3),
    "cutout": lambda image: effects.cutout(image, 0.2, rng=np.random.default_rng(0)),
}


def picture(width=48, height=32, *, seed=0):
    """Smooth patches with some grain, like a small photo."""
    rng = np.random.default_rng(seed)
    patches = rng.integers(30, 226, (5, 7, 3), np.uint8)
    smooth = np.asarray(
        Image.fromarray(patches).resize((width, height), Image.Resampling.BICUBIC), np.float64
    )
    return Image.fromarray((smooth + rng.normal(0, 6, smooth.shape)).clip(0, 255).astype(np.uint8))


def array(image):
    return np.asarray(image).astype(np.float64)


def error(image, other):
    return np.abs(array(image) - array(other)).mean()


@pytest.mark.parametrize("name", EFFECTS)
@pytest.mark.parametrize("size", [(48, 32), (16, 16), (1, 1), (3, 50)])
def test_size_and_mode_stay_and_the_argument_is_left_alone(name, size):
    image = picture(*size)
    before = image.tobytes()
    found = EFFECTS[name](image)
    assert (found.size, found.mode) == (image.size, "RGB")
    assert image.tobytes() == before and found is not image


@pytest.mark.parametrize("name", EFFECTS)
def test_it_does_something_and_the_same_twice(name):
    image = picture()
    found = EFFECTS[name](image)
    assert found.tobytes() != image.tobytes()
    assert EFFECTS[name](image).tobytes() == found.tobytes()


# codecs


def test_jpeg_is_pillows_round_trip():
    image = picture()
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=60)
    with Image.open(buffer) as decoded:
        assert jpeg_quality(decoded) == pytest.approx(60, abs=1)
        assert effects.jpeg(image, 60).tobytes() == decoded.convert("RGB").tobytes()


@pytest.mark.parametrize("codec", [effects.jpeg, effects.webp])
def test_lower_quality_harms_more(codec):
    image = picture()
    errors = [error(codec(image, quality), image) for quality in (95, 75, 40, 10)]
    assert errors == sorted(errors) and errors[0] > 0.5


def test_webp_with_little_effort_harms_alike():
    image = picture()
    usual, quick = (error(effects.webp(image, 60, effort=effort), image) for effort in (4, 0))
    assert quick == pytest.approx(usual, rel=0.25)


# blur


@pytest.mark.parametrize("sigma", [0.5, 0.75, 1.0, 1.5, 2.0, 3.0])
def test_blur_is_a_true_gaussian(sigma):
    """A white line becomes the Gaussian's samples, to half a grey level."""
    pixels = np.zeros((41, 61, 3), np.uint8)
    pixels[:, 30] = 255
    x = np.arange(61) - 30
    kernel = np.exp(-(x**2) / (2 * sigma**2))
    expected = 255 * kernel / kernel.sum()
    np.testing.assert_allclose(
        array(effects.blur(Image.fromarray(pixels), sigma))[20, :, 1], expected, atol=0.51
    )


def test_blur_takes_the_finest_detail():
    """Stripes one pixel wide at sigma 0.75: the kernel's alternating sum is 0.124, that of box blurs 0.24."""
    stripes = np.zeros((32, 64, 3), np.uint8)
    stripes[:, ::2] = 255
    inner = array(effects.blur(Image.fromarray(stripes), 0.75))[8:24, 8:56]
    assert np.ptp(inner) / 255 == pytest.approx(0.124, abs=0.006)


@pytest.mark.parametrize("sigma", [0.0, 0.5, 3.0, 20.0])
def test_blur_keeps_flat_colour_to_the_edge(sigma):
    flat = Image.new("RGB", (24, 16), (250, 100, 3))
    assert effects.blur(flat, sigma).tobytes() == flat.tobytes()


def test_blur_of_nothing_is_nothing():
    assert effects.blur(picture(), 0.0).tobytes() == picture().tobytes()


# resize


def test_resize_removes_what_the_small_picture_cannot_hold():
    checkers = ((np.indices((32, 32)).sum(axis=0) % 2) * 255).astype(np.uint8)
    found = array(effects.resize(Image.fromarray(checkers).convert("RGB"), 0.5))
    assert np.abs(found[4:-4, 4:-4] - 127.5).max() < 2  # antialiased: grey, not another pattern


def test_resize_by_one_is_nothing_and_smaller_harms_more():
    image = picture()
    assert effects.resize(image, 1.0).tobytes() == image.tobytes()
    errors = [error(effects.resize(image, factor), image) for factor in (0.8, 0.5, 0.25, 0.05)]
    assert errors == sorted(errors)


# noise


@pytest.mark.parametrize("std", [0.01, 0.04])
def test_noise_has_its_standard_deviation(std):
    grey = Image.new("RGB", (128, 128), (128, 128, 128))
    added = array(effects.noise(grey, std, rng=np.random.default_rng(1))) - 128
    assert added.std() == pytest.approx(255 * std, rel=0.03)
    assert abs(added.mean()) < 0.02 * 255 * std
    assert abs(np.corrcoef(added[..., 0].ravel(), added[..., 1].ravel())[0, 1]) < 0.03


def test_noise_is_clipped_not_wrapped():
    found = array(effects.noise(Image.new("RGB", (64, 64), "white"), 0.1, rng=np.random.default_rng(0)))
    assert found.min() > 100 and found.max() == 255


def test_no_noise_is_nothing():
    assert effects.noise(picture(), 0.0, rng=np.random.default_rng(0)).tobytes() == picture().tobytes()


# colour


def test_colour_by_hand():
    image = picture()
    same = {"brightness": 1.0, "contrast": 1.0, "saturation": 1.0}
    assert effects.colour(image, **same).tobytes() == image.tobytes()
    darker = effects.colour(image, **{**same, "brightness": 0.5})
    assert error(darker, Image.fromarray((array(image) / 2).astype(np.uint8))) < 1
    grey = array(effects.colour(image, **{**same, "saturation": 0.0}))
    assert np.ptp(grey, axis=2).max() == 0
    flat = array(effects.colour(image, **{**same, "contrast": 0.0}))
    assert np.ptp(flat) == 0 and flat.mean() == pytest.approx(array(image.convert("L")).mean(), abs=1)


# cutout


@given(share=st.floats(0.0, 0.9), seed=st.integers(0, 10_000), wide=st.booleans())
@settings(max_examples=60, deadline=None)
def test_cutout_hides_its_share_under_one_rectangle(share, seed, wide):
    size = (60, 40) if wide else (40, 60)
    image = Image.new("RGB", size, "red")
    changed = (array(effects.cutout(image, share, rng=np.random.default_rng(seed))) != (255, 0, 0)).any(
        axis=2
    )
    assert changed.mean() == pytest.approx(share, abs=0.03)
    if changed.any():
        ys, xs = np.nonzero(changed)
        assert changed[ys.min() : ys.max() + 1, xs.min() : xs.max() + 1].all()
        shape = np.ptp(xs) / size[0], np.ptp(ys) / size[1]
        if min(changed.sum(axis=0).max(), changed.sum(axis=1).max()) >= 8:
            assert 0.4 < (shape[0] or 0.1) / (shape[1] or 0.1) < 2.5


def test_cutout_is_grey_and_moves_about():
    hidden = [array(effects.cutout(picture(), 0.1, rng=np.random.default_rng(seed))) for seed in range(20)]
    places = {tuple(np.argwhere((item == 128).all(axis=2))[0]) for item in hidden}
    assert len(places) > 10
