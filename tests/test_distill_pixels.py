import numpy as np
import pytest
from PIL import Image

from distill.data import pixels as module
from distill.data.pixels import decode, open_pixels
from distill.data.samples import Sample
from distill.preprocess import PreprocessSpec

COUNT = 7


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    for index in range(COUNT):
        noise = np.random.default_rng(index).integers(0, 255, (30 + index, 40, 3), np.uint8)
        Image.fromarray(noise).save(folder / f"{index}.png")
    return folder


def samples(*names):
    return tuple(Sample(path=name, label=0) for name in (*[f"{i}.png" for i in range(COUNT)], *names))


@pytest.mark.parametrize("policy", ["resize", "center_crop", "tiles"])
def test_memory_and_on_the_fly_agree(root, policy):
    spec = PreprocessSpec(size=16, policy=policy)
    cached = open_pixels(root, samples(), spec=spec, memory_mb=1)
    # 7 · 1024² · 3 bytes are more than a megabyte
    lazy_spec = spec.model_copy(update={"size": 1024})
    assert (
        cached.cache is not None and open_pixels(root, samples(), spec=lazy_spec, memory_mb=1).cache is None
    )
    lazy = module.PixelSource(root=root, samples=samples(), spec=spec, cache=None)
    assert len(cached) == len(lazy) == COUNT
    order = [3, 0, 3, 6]
    np.testing.assert_array_equal(cached.batch(order), lazy.batch(order))
    np.testing.assert_array_equal(cached[5], lazy[5])
    assert cached.batch(order).shape == (4, 16, 16, 3) and cached.batch(order).dtype == np.uint8


def test_the_limit_of_memory_is_exact(root):
    spec = PreprocessSpec(size=1024)
    for count, kept in ((1, True), (2, False)):  # three and six megabytes
        source = open_pixels(root, samples()[:count], spec=spec, memory_mb=3)
        assert (source.cache is not None) is kept


def test_a_batch_is_a_copy(root):
    source = open_pixels(root, samples(), spec=PreprocessSpec(size=16), memory_mb=1)
    before = source[2].copy()
    source.batch([2])[:] = 0
    np.testing.assert_array_equal(source[2], before)


def test_tiles_train_on_their_middle(root):
    spec = PreprocessSpec(size=16, policy="tiles")
    crop = PreprocessSpec(size=16, policy="center_crop")
    sample = Sample(path="0.png", label=0)
    np.testing.assert_array_equal(decode(root, sample, spec=spec), decode(root, sample, spec=crop))


def test_no_samples_are_no_pixels(root):
    assert len(open_pixels(root, (), spec=PreprocessSpec(size=16), memory_mb=1)) == 0
