import numpy as np
import pytest
from PIL import Image

from distill.data.samples import Sample
from distill.data.transforms import effects
from distill.data.transforms.degradations import CLEAN, DEGRADATIONS, FLIP_TEST, PLAUSIBLE, degrade

REAL = Sample(path="a/0001.png", label=0, split="test")
FAKE = Sample(path="a/0002.png", label=1, split="test")


@pytest.fixture(scope="module")
def image():
    rng = np.random.default_rng(5)
    patches = Image.fromarray(rng.integers(40, 216, (6, 9, 3), np.uint8)).resize(
        (72, 48), Image.Resampling.BICUBIC
    )
    grain = rng.normal(0, 5, (48, 72, 3))
    return Image.fromarray((np.asarray(patches) + grain).clip(0, 255).astype(np.uint8))


def array(image):
    return np.asarray(image).astype(np.float64)


def test_the_table_is_the_protocols():
    assert list(DEGRADATIONS) == [
        "clean", "jpeg95", "jpeg75", "jpeg60", "jpeg50", "jpeg40", "jpeg30", "resize_half", "resize_quarter",
        "noise5", "noise10", "blur1", "blur2", "blur3", "webp75", "webp50", "screenshot",
        "jpeg95_fakes",
    ]  # fmt: skip
    assert [name for name, item in DEGRADATIONS.items() if item.generated_only] == [FLIP_TEST]
    assert set(PLAUSIBLE) < set(DEGRADATIONS)


@pytest.mark.parametrize("name", DEGRADATIONS)
def test_size_and_mode_stay_and_only_clean_is_clean(name, image):
    before = image.tobytes()
    found = degrade(image, name, sample=FAKE)
    assert (found.size, found.mode) == (image.size, "RGB")
    assert (found.tobytes() == before) == (name == CLEAN)
    assert image.tobytes() == before
    assert degrade(image, name, sample=FAKE).tobytes() == found.tobytes()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("jpeg60", lambda image: effects.jpeg(image, 60)),
        ("webp50", lambda image: effects.webp(image, 50)),
        ("screenshot", effects.screenshot),
        ("blur2", lambda image: effects.blur(image, 2.0)),
        ("resize_quarter", lambda image: effects.resize(image, 0.25)),
    ],
)
def test_a_name_means_its_effect(name, expected, image):
    assert degrade(image, name, sample=REAL).tobytes() == expected(image).tobytes()


@pytest.mark.parametrize("family", sorted({item.family for item in DEGRADATIONS.values()} - {"Clean"}))
def test_later_in_a_family_is_stronger(family, image):
    names = [name for name, item in DEGRADATIONS.items() if item.family == family]
    errors = [np.abs(array(degrade(image, name, sample=FAKE)) - array(image)).mean() for name in names]
    assert errors == sorted(errors)


def test_the_flip_test_touches_generated_images_alone(image):
    assert degrade(image, FLIP_TEST, sample=REAL).tobytes() == image.tobytes()
    assert degrade(image, FLIP_TEST, sample=FAKE).tobytes() == degrade(image, "jpeg95", sample=FAKE).tobytes()


def test_noise_follows_the_path(image):
    def noise(name, path):
        return array(degrade(image, name, sample=Sample(path=path, label=0))) - array(image)

    np.testing.assert_array_equal(noise("noise5", "a.png"), noise("noise5", "a.png"))
    first, other, stronger = noise("noise5", "a.png"), noise("noise5", "b.png"), noise("noise10", "a.png")
    assert first.std() == pytest.approx(5, rel=0.05) and stronger.std() == pytest.approx(10, rel=0.05)
    assert abs(np.corrcoef(first.ravel(), other.ravel())[0, 1]) < 0.05
    assert np.corrcoef(first.ravel(), stronger.ravel())[0, 1] > 0.99  # the same noise, louder


@pytest.mark.parametrize(
    "path", ["ü 画像.png", "bad\udcff.png", "new\nline.png", "/absolute/a.png", "s.tar/1.jpg"]
)
def test_any_path_seeds_noise(path, image):
    assert degrade(image, "noise5", sample=Sample(path=path, label=0)).size == image.size
