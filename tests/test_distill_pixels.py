import threading

import numpy as np
import pytest
from PIL import Image

from distill.data import pixels as module
from distill.data.pixels import decode, find_unreadable, open_pixels
from distill.data.samples import Dataset, Sample, Skipped
from distill.errors import EdgeproofError
from distill.preprocess import PreprocessSpec

COUNT = 7


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    for index in range(COUNT):
        noise = np.random.default_rng(index).integers(0, 255, (30 + index, 40, 3), np.uint8)
        Image.fromarray(noise).save(folder / f"{index}.png")
    (folder / "empty.jpg").touch()
    (folder / "text.jpg").write_text("no image")
    return folder


def samples(*names):
    return tuple(Sample(path=name, label=0) for name in (*[f"{i}.png" for i in range(COUNT)], *names))


def checked(root, *names, skipped=(), **options):
    dataset = Dataset(root=root, layout="x", samples=samples(*names), skipped=skipped)
    return find_unreadable(dataset, **{"max_bad_share": 1.0, "threads": 2, **options})


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


def test_bad_files_are_listed_and_left_out(root):
    before = Skipped(path="z", reason="earlier")
    found = checked(root, "empty.jpg", "text.jpg", "gone.jpg", skipped=(before,))
    assert found.samples == samples()
    assert found.skipped[0] == before
    assert {item.path: item.reason.split(" (")[0] for item in found.skipped[1:]} == {
        "empty.jpg": "the file is empty",
        "text.jpg": "cannot be decoded as an image",
        "gone.jpg": "no such image file",
    }


def test_the_order_survives_many_threads(root, monkeypatch):
    monkeypatch.setattr(module, "_CHUNK", 3)
    assert checked(root, threads=4).samples == samples()


def test_progress_reaches_the_end(root, monkeypatch):
    monkeypatch.setattr(module, "_CHUNK", 3)
    told = []
    checked(
        root,
        progress=lambda *step: told.append((*step, threading.current_thread() is threading.main_thread())),
    )
    assert told == [(3, 7, True), (6, 7, True), (7, 7, True)]


def test_more_bad_files_than_allowed(root):
    with pytest.raises(EdgeproofError) as caught:
        checked(root, "empty.jpg", "text.jpg", max_bad_share=0.2)
    assert str(caught.value).startswith(
        f"{root}: 2 of 9 files are bad, more than data.max_bad_share = 0.2 allows; the first: empty.jpg: the file is empty"
    )
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("share", "passes"), [(2 / 9, True), (0.22, False), (0.0, False)])
def test_the_limit_is_a_share_of_all_files(root, share, passes):
    if passes:
        assert len(checked(root, "empty.jpg", "text.jpg", max_bad_share=share).skipped) == 2
    else:
        with pytest.raises(EdgeproofError, match="2 of 9"):
            checked(root, "empty.jpg", "text.jpg", max_bad_share=share)


def test_no_bad_file_passes_a_limit_of_zero(root):
    assert checked(root, max_bad_share=0.0).skipped == ()


def test_files_the_layout_left_out_count_among_all(root):
    """One unreadable name among eight files is an eighth, not a seventh."""
    found = checked(root, skipped=(Skipped(path="z", reason="x"),), max_bad_share=1 / 8)
    assert len(found.skipped) == 1
