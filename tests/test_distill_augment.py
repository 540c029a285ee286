import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distill.data.transforms import augment as module
from distill.data.transforms.augment import augment
from distill.data.transforms.settings import AugmentationSettings

NAMES = tuple(AugmentationSettings.model_fields)
ALL = AugmentationSettings(**{name: {"probability": 0.5} for name in NAMES})


def always(name, *, low=None, high=None):
    given = {"probability": 1.0} | ({} if low is None else {"range": (low, high)})
    return AugmentationSettings(**{name: given})


def photo(size=32, *, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (size, size, 3), np.uint8)


def rng(seed=0):
    return np.random.default_rng(seed)


def test_every_setting_has_its_effect():
    assert set(module._EFFECTS) == set(NAMES)


@given(data=st.data())
@settings(max_examples=20, deadline=None)
def test_without_probability_nothing_changes(data):
    given = {"jpeg": {"probability": 0.0, "range": sorted(data.draw(st.tuples(*[st.floats(1, 100)] * 2)))}}
    pixels = photo()
    assert augment(pixels, settings=AugmentationSettings(**given), rng=rng()).tobytes() == pixels.tobytes()


@given(seed=st.integers(0, 2**31 - 1))
@settings(max_examples=40, deadline=None)
def test_the_same_generator_gives_the_same_bytes_and_the_shape_stays(seed):
    pixels = photo()
    before = pixels.tobytes()
    first, second = (augment(pixels, settings=ALL, rng=rng(seed)) for _ in range(2))
    assert first.tobytes() == second.tobytes()
    assert (first.shape, first.dtype) == (pixels.shape, np.uint8)
    assert pixels.tobytes() == before


def test_other_generators_give_other_bytes():
    found = {augment(photo(), settings=ALL, rng=rng(seed)).tobytes() for seed in range(20)}
    assert len(found) > 15


@pytest.mark.parametrize("name", NAMES)
def test_each_alone_changes_the_pixels(name):
    assert augment(photo(), settings=always(name), rng=rng()).tobytes() != photo().tobytes()


@pytest.mark.parametrize("name", [name for name in NAMES if name != "cutout"])
def test_geometry_is_kept(name):
    """A white box on black stays where it is, to a pixel, at the strongest that the default range allows."""
    pixels = np.zeros((64, 64, 3), np.uint8)
    pixels[10:30, 24:56] = 255
    default = getattr(AugmentationSettings(), name).range
    worst = default[0] if name in ("jpeg", "webp", "resize") else default[1]
    found = augment(pixels, settings=always(name, low=worst, high=worst), rng=rng(3))
    ys, xs = np.nonzero(found[..., 1] > 110)
    box = (ys.min(), ys.max() + 1, xs.min(), xs.max() + 1)
    assert box == pytest.approx((10, 30, 24, 56), abs=1)


def test_cutout_moves_nothing_else():
    pixels = photo(64)
    found = augment(pixels, settings=always("cutout"), rng=rng())
    kept = (found == pixels).all(axis=2)
    assert 0.75 < kept.mean() < 0.99


@pytest.fixture
def told(monkeypatch):
    """Which effects were applied, with their strengths."""
    calls = []

    def recording(name):
        return lambda image, strength, _: calls.append((name, strength)) or image

    monkeypatch.setattr(module, "_EFFECTS", {name: recording(name) for name in NAMES})
    return calls


def test_the_order_is_the_settings(told):
    augment(
        photo(),
        settings=AugmentationSettings(**{n: {"probability": 1.0} for n in reversed(NAMES)}),
        rng=rng(),
    )
    assert [name for name, _ in told] == list(NAMES)


def test_probability_and_strength_are_drawn_evenly(told):
    given = AugmentationSettings(
        jpeg={"probability": 0.3, "range": (30, 90)}, blur={"probability": 0.8, "range": (1, 3)}
    )
    for seed in range(2000):
        augment(photo(2), settings=given, rng=rng(seed))
    for name, share, (low, high) in (("jpeg", 0.3, (30, 90)), ("blur", 0.8, (1, 3))):
        drawn = [strength for which, strength in told if which == name]
        assert len(drawn) / 2000 == pytest.approx(share, abs=0.04)
        assert low <= min(drawn) and max(drawn) <= high
        assert np.quantile(drawn, [0.25, 0.5, 0.75]) == pytest.approx(
            [low + q * (high - low) for q in (0.25, 0.5, 0.75)], rel=0.08
        )


def test_colours_strength_bounds_every_factor(monkeypatch):
    seen = []
    monkeypatch.setattr(module.effects, "colour", lambda image, **factors: seen.append(factors) or image)
    for seed in range(200):
        augment(photo(2), settings=always("colour", low=0.2, high=0.2), rng=rng(seed))
    for key in ("brightness", "contrast", "saturation"):
        drawn = [factors[key] for factors in seen]
        assert 0.8 <= min(drawn) < 0.82 and 1.18 < max(drawn) <= 1.2
