import io
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageEnhance

from distill.data.audit import duplicates as module
from distill.data.audit.bands import _bands, bands_for
from distill.data.audit.duplicates import exact_duplicates, near_duplicates, straddling_groups
from distill.data.audit.findings import facts_of
from distill.data.samples import Dataset, Sample
from distill.data.scan import Scan, scan

SPLITS, CLASSES = "near_duplicates_across_splits", "near_duplicates_across_classes"


def picture(seed, *, side=64):
    """Blobs of colour, which survive re-encoding as the content of photos does."""
    cells = np.random.default_rng(seed).integers(0, 255, (14, 14, 3), np.uint8)
    return Image.fromarray(cells).resize((side, side), Image.Resampling.BICUBIC)


def encoded(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


class Set:
    """Images in a folder, row by row."""

    def __init__(self, root):
        self.root, self.samples = root, []

    def add(self, data, *, split="train", label=0, group=""):
        data = encoded(data, "PNG") if isinstance(data, Image.Image) else data
        path = f"{len(self.samples)}.img"
        (self.root / path).write_bytes(data)
        self.samples.append(Sample(path=path, label=label, split=split, group=group or path))
        return path

    def check(self, find):
        dataset = Dataset(root=self.root, layout="x", samples=tuple(self.samples))
        dataset, columns = scan(dataset, max_bad_share=0.0, workers=1)
        return find(dataset.samples, facts_of(dataset), columns)


@pytest.fixture
def images(tmp_path):
    """Twenty different scenes in train and twenty in test, both classes."""
    made = Set(tmp_path)
    for seed in range(40):
        made.add(picture(seed), split="train" if seed < 20 else "test", label=seed % 2)
    return made


def test_different_scenes_are_no_duplicates(images):
    found = {**images.check(exact_duplicates), **images.check(near_duplicates)}
    assert {finding.value for finding in found.values()} == {0.0}
    assert not any(finding.examples for finding in found.values())


AGAIN = {
    "the same pixels": lambda image: encoded(image, "BMP"),
    "JPEG 95": lambda image: encoded(image, "JPEG", quality=95),
    "JPEG 40": lambda image: encoded(image, "JPEG", quality=40),
    "WebP 80": lambda image: encoded(image, "WEBP", quality=80),
    "half the size": lambda image: image.resize((32, 32)),
    "twice the size": lambda image: image.resize((128, 128)),
    "another aspect": lambda image: image.resize((64, 48)),
    "brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.05),
    "cropped by 2 %": lambda image: image.resize((64, 64), box=(0.64, 0.64, 63.36, 63.36)),
}


@pytest.mark.parametrize("again", AGAIN.values(), ids=AGAIN)
def test_a_test_image_that_was_trained_on(images, again):
    path = images.add(again(picture(3)), split="test", label=1)
    found = images.check(near_duplicates)[SPLITS]
    assert found.value == pytest.approx(1 / 21)
    assert found.examples == ((path, "3.img"),)
    assert images.check(exact_duplicates)["duplicates_across_splits"].value == 0


def test_mirrored_is_another_picture(images):
    images.add(picture(3).transpose(Image.Transpose.FLIP_LEFT_RIGHT), split="test")
    assert images.check(near_duplicates)[SPLITS].value == 0


def test_training_images_may_repeat_each_other(images):
    images.add(AGAIN["JPEG 40"](picture(2)), split="train", label=0)
    assert images.check(near_duplicates)[SPLITS].value == 0
    assert images.check(near_duplicates)[CLASSES].value == 0


def test_unlabelled_images_that_equal_test_images_leak_but_have_no_class(images):
    images.add(AGAIN["JPEG 95"](picture(30)), split="unlabelled", label=-1)
    images.add(
        AGAIN["the same pixels"](picture(4)), split="unlabelled", label=-1
    )  # of train: nothing is evaluated
    found = images.check(near_duplicates)
    assert found[SPLITS].value == pytest.approx(1 / 20) and found[SPLITS].examples == (("30.img", "40.img"),)
    assert found[CLASSES].value == 0


def test_the_control_takes_no_part(images):
    for label in (0, 1):
        images.add(picture(3), split="control", label=label)
    found = {**images.check(near_duplicates), **images.check(exact_duplicates)}
    assert {finding.value for finding in found.values()} == {0.0}


def test_a_pair_of_one_group_is_intended(images):
    """A face swap looks like its original."""
    for group in ("face", ""):
        images.add(picture(100), label=0, group=group)
        images.add(AGAIN["JPEG 95"](picture(100)), label=1, group=group)
        found = images.check(near_duplicates)[CLASSES]
        if group:
            assert found.value == 0
    assert found.value == pytest.approx(4 / 44), "the second pair is alike, and each like the first pair"
    assert ("41.img", "42.img") in found.examples or ("43.img", "42.img") in found.examples


def test_a_pair_of_one_group_counts_if_a_third_looks_like_it(images):
    images.add(picture(100), label=0, group="face")
    images.add(AGAIN["JPEG 95"](picture(100)), label=1, group="face")
    images.add(AGAIN["JPEG 40"](picture(100)), label=1, group="another")
    found = images.check(near_duplicates)[CLASSES]
    assert found.value == pytest.approx(2 / 43) and found.examples == (("42.img", "40.img"),)


def test_an_exact_copy_in_both_classes_counts_in_one_group_too(images):
    for label in (0, 1):
        images.add(picture(100), label=label, group="face")
    found = images.check(exact_duplicates)["duplicates_across_classes"]
    assert found.value == 1 and found.examples == (("40.img", "41.img"),)
    assert images.check(near_duplicates)[CLASSES].value == 0


def test_an_exact_copy_in_two_splits(images):
    images.add(picture(0), split="test", label=0)
    images.add(picture(0), split="valid", label=0)
    found = images.check(exact_duplicates)
    assert found["duplicates_across_splits"].value == 1, "one file, however often"
    assert found["duplicates_across_splits"].examples[0][0] == "0.img"
    assert found["duplicates_across_classes"].value == 0


def test_flat_images_are_not_called_alike(images):
    ramp = np.tile(np.linspace(0, 255, 64, dtype=np.uint8), (64, 1))
    for number, split in enumerate(("train", "test")):
        images.add(Image.new("RGB", (64, 64), (10 * number, 0, 0)), split=split, label=number)
        images.add(Image.fromarray(ramp), split=split, label=number)
    found = images.check(near_duplicates)
    assert found[SPLITS].value == found[CLASSES].value == 0
    assert "4 images without texture are not compared" in found[SPLITS].note


def test_hashes_alone_are_not_enough(images):
    """Another colour is another picture, though a hash of brightness cannot tell."""
    grey = picture(200).convert("L")
    cool, warm = (
        Image.merge("RGB", parts) for parts in ((grey, grey.point(lambda v: v // 2), grey), (grey,) * 3)
    )
    images.add(warm, split="train")
    images.add(cool, split="test")
    _, columns = scan(Dataset(images.root, "x", tuple(images.samples[-2:])), max_bad_share=0, workers=1)
    assert (np.bitwise_count(columns.phash[0] ^ columns.phash[1]) <= module.MOST_PHASH).all()
    assert images.check(near_duplicates)[SPLITS].value == 0


def test_no_more_than_ten_examples(images):
    for seed in range(15):
        images.add(AGAIN["JPEG 95"](picture(seed)), split="test", label=seed % 2)
    found = images.check(near_duplicates)[SPLITS]
    assert found.value == pytest.approx(15 / 35) and len(found.examples) == 10


def test_groups_in_two_splits():
    samples = [
        Sample(path=f"{i}", label=0, split=("train", "test")[i % 2], group=f"g{i // 3}") for i in range(9)
    ]
    samples.append(Sample(path="alone", label=0, split="valid"))
    found = straddling_groups(samples, facts_of(Dataset(None, "x", tuple(samples))))
    assert found.value == 3 and found.examples[0] == ("0", "1")


def synthetic(rng, count, *, clusters):
    """Hashes that crowd around a few centres, with what samples could say of them."""
    centre = rng.integers(0, clusters, count)
    noise = [
        np.bitwise_or.reduce(np.uint64(1) << rng.integers(0, 64, (3, count), np.uint64), axis=0) for _ in "pd"
    ]
    base = rng.integers(0, 2**63, (2, clusters), np.uint64)
    column = np.zeros(count)
    columns = Scan(
        format=column.astype(np.int8), quality=column.astype(np.float32), width=column.astype(np.int32),
        height=column.astype(np.int32), bytes=column.astype(np.int64),
        content=rng.integers(0, 2**63, (count, 2), np.uint64),
        phash=base[0][centre] ^ noise[0], dhash=base[1][centre] ^ noise[1],
        thumbnail=rng.integers(0, 256, (clusters, 48), np.uint8)[centre],
    )  # fmt: skip
    samples = tuple(
        Sample(
            path=str(i), label=int(rng.integers(-1, 2)), split=("train", "test", "unlabelled")[rng.integers(3)],
            group=f"g{rng.integers(count)}",
        )
        for i in range(count)
    )  # fmt: skip
    return samples, columns


def by_all_pairs(samples, columns):
    """The two shares, from the definition."""
    in_split, in_class = set(), set()
    bits = [np.bitwise_count(h[:, None] ^ h[None]) for h in (columns.phash, columns.dhash)]
    cells = columns.thumbnail.astype(float)
    alike = (bits[0] <= module.MOST_PHASH) & (bits[1] <= module.MOST_DHASH) & (np.corrcoef(cells) >= 0.97)
    for a, b in combinations(range(len(samples)), 2):
        if alike[a, b]:
            first, second = samples[a], samples[b]
            if first.split != second.split:
                in_split |= {row for row in (a, b) if samples[row].split == "test"}
            if {first.label, second.label} == {0, 1} and first.group != second.group:
                in_class |= {a, b}
    evaluated = sum(sample.split == "test" for sample in samples)
    labelled = sum(sample.label != -1 for sample in samples)
    return len(in_split) / max(1, evaluated), len(in_class) / max(1, labelled)


@given(seed=st.integers(0, 10**6), clusters=st.integers(1, 40), spare=st.integers(1, 3))
@settings(max_examples=40, deadline=None)
def test_the_banded_search_finds_what_all_pairs_find(seed, clusters, spare):
    samples, columns = synthetic(np.random.default_rng(seed), 120, clusters=clusters)
    with pytest.MonkeyPatch.context() as patch:  # bands as 120 images have them, and as many millions have
        patch.setattr(module, "bands_for", lambda count, **_: _bands(module.MOST_PHASH + spare, spare))
        found = near_duplicates(samples, facts_of(Dataset(None, "x", samples)), columns)
    textured = module._has_texture(columns)
    assert textured.all()
    assert (found[SPLITS].value, found[CLASSES].value) == by_all_pairs(samples, columns)


def test_more_hashes_are_sorted_into_wider_bands():
    kinds = [bands_for(count, most=4, crowd=64) for count in (10**3, 10**6, 10**7, 10**10)]
    assert [len(bands) for bands in kinds] == [5, 15, 15, 35]
    for bands in kinds:
        assert all(sum(width for _, width in band.pieces) == 64 for band in bands)
        assert min(band.width for band in bands) >= {5: 12, 15: 20, 35: 27}[len(bands)]


def test_an_overfull_band_is_searched_near_by_and_said_to_be(monkeypatch):
    samples, columns = synthetic(np.random.default_rng(0), 300, clusters=1)
    samples = tuple(replace(sample, group="") for sample in samples)
    monkeypatch.setattr(module, "_WINDOW", 20)
    found = near_duplicates(samples, facts_of(Dataset(None, "x", samples)), columns)
    assert "incomplete: for " in found[SPLITS].note
    assert found[SPLITS].value > 0.9, "neighbours in the order of hashes are alike all the same"


def test_nothing_to_compare():
    samples, columns = synthetic(np.random.default_rng(0), 3, clusters=1)
    none, empty = (), columns.take([])
    facts = facts_of(Dataset(None, "x", none))
    found = {**near_duplicates(none, facts, empty), **exact_duplicates(none, facts, empty)}
    found["groups"] = straddling_groups(none, facts)
    assert {finding.value for finding in found.values()} == {0.0}
