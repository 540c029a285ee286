import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from distill.data.pixels import PixelSource
from distill.data.samples import Sample
from distill.data.transforms.settings import AugmentationSettings
from distill.preprocess import PreprocessSpec
from distill.training.batches import (
    BatchDataset,
    Sight,
    boxes_in_pixels,
    mirror,
    plain_loader,
    train_loader,
)
from distill.training.normalize import normalize
from distill.training.views import Views
from students.output import ModelOutput

SPEC = PreprocessSpec(size=16)
COUNT = 10
FLIPS = Views(count=2, flips=True)


def striped():
    """Sample i is all i, but for its first column, which is 100 + i."""
    cache = np.full((COUNT, 16, 16, 3), np.arange(COUNT, dtype=np.uint8)[:, None, None, None])
    cache[:, :, 0] += 100
    samples = [
        Sample(path=f"{i}.png", label=i % 2, box=(0.0, 0.25, 0.5, 1.0) if i == 3 else None)
        for i in range(COUNT)
    ]
    return PixelSource(root=None, samples=tuple(samples), spec=SPEC, cache=cache)


@pytest.fixture
def pixels():
    return striped()


class Says:
    """A teacher that was asked before: logit 10 · index + view, and the same as a feature."""

    def outputs(self, indices, numbers):
        logits = torch.from_numpy(10.0 * indices + numbers)
        return ModelOutput(logits=logits, features={"f": logits[:, None, None, None].half()})


@pytest.fixture
def teacher():
    return {"teacher": Says()}


# batches


def test_a_batch_is_what_its_keys_say(pixels, teacher):
    batch = BatchDataset(pixels, teachers=teacher, views=FLIPS)[[(3, 0, 0), (4, 1, 0), (3, 1, 0)]]
    assert batch.images.dtype == torch.uint8 and batch.images.shape == (3, 16, 16, 3)
    assert batch.images[:, 0, 0, 0].tolist() == [103, 4, 3]
    assert batch.images[:, 0, -1, 0].tolist() == [3, 104, 103]  # mirrored
    assert batch.labels.tolist() == [1.0, 0.0, 1.0] and batch.labels.dtype == torch.float32
    assert batch.indices.tolist() == [3, 4, 3] and batch.indices.dtype == torch.int64
    assert batch.teachers["teacher"].logits.tolist() == [30.0, 41.0, 31.0]
    assert batch.teachers["teacher"].features["f"].flatten().tolist() == [30.0, 41.0, 31.0]
    assert batch.boxes[0].tolist() == [0, 4, 8, 16] and batch.boxes[2].tolist() == [8, 4, 16, 16]
    assert batch.boxes[1].isnan().all()


def test_mirroring_leaves_the_source_alone(pixels):
    before = pixels.cache.copy()
    data = BatchDataset(pixels, views=FLIPS)
    boxes = data.boxes.copy()
    data[[(index, 1, 0) for index in range(COUNT)]]
    np.testing.assert_array_equal(pixels.cache, before)
    np.testing.assert_array_equal(data.boxes, boxes)


def test_without_a_teacher_there_are_no_outputs(pixels):
    batch = BatchDataset(pixels)[[(0, 0, 0)]]
    assert not batch.teachers and not batch.views


@pytest.mark.parametrize(("size", "lengths"), [(4, [4, 3, 3]), (5, [5, 5]), (9, [5, 5]), (64, [10])])
def test_training_evens_out_its_batches(pixels, size, lengths):
    loader = train_loader(BatchDataset(pixels, views=FLIPS), batch_size=size, seed=0, workers=0)
    assert [len(batch.labels) for batch in loader] == lengths


def test_a_loader_follows_the_sampler(pixels):
    loader = train_loader(BatchDataset(pixels), batch_size=10, seed=4, workers=0)
    loader.sampler.set_epoch(2)
    [batch] = loader
    [keys] = loader.sampler
    assert batch.images[:, 0, 5, 0].tolist() == [index for index, _, _ in keys]


def test_a_loader_leaves_torchs_random_state_alone(pixels):
    before = torch.get_rng_state()
    list(train_loader(BatchDataset(pixels, views=FLIPS), batch_size=4, seed=0, workers=0))
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("view", [0, 1])
def test_the_plain_loader_gives_every_sample_once_in_order(pixels, view):
    batches = list(plain_loader(BatchDataset(pixels, views=FLIPS), batch_size=4, view=view))
    assert [len(batch.labels) for batch in batches] == [4, 4, 2]
    images = torch.cat([batch.images for batch in batches])
    assert images[:, 0, 5, 0].tolist() == list(range(COUNT))
    assert images[:, 0, -view, 0].tolist() == [100 + i for i in range(COUNT)]


def test_a_loader_draws_from_the_datasets_views(pixels, teacher):
    """Of images, boxes and teachers alike; without flips nothing is mirrored."""
    for views, seen in ((Views(), {0}), (FLIPS, {0, 1}), (Views(count=6, flips=True), set(range(6)))):
        loader = train_loader(
            BatchDataset(pixels, teachers=teacher, views=views), batch_size=4, seed=0, workers=0
        )
        drawn = set()
        for epoch in range(12):
            loader.sampler.set_epoch(epoch)
            for batch in loader:
                numbers = (batch.teachers["teacher"].logits % 10).int()
                drawn |= set(numbers.tolist())
                mirrored = batch.images[:, 0, -1, 0] >= 100
                assert torch.equal(mirrored, numbers % 2 == 1)
        assert drawn == seen
    unflipped = BatchDataset(pixels, views=Views(count=6))[[(3, 1, 0)]]
    assert unflipped.images[0, 0, 0, 0] == 103 and unflipped.boxes[0].tolist() == [0, 4, 8, 16]


def compare_workers():
    """Small parts travel within the message, large ones beside it; nothing is lost on the way."""
    data = BatchDataset(
        striped(), teachers={"teacher": Says()}, augmentation=STRONG,
        sights={"other": Sight(pixels=striped(), clean=True)},
        views=Views(count=4, flips=True, seed=5, fixed=True),
    )  # fmt: skip
    batches = [list(plain_loader(data, batch_size=4, view=3, workers=workers)) for workers in (0, 1)]
    for here, there in zip(*batches, strict=True):
        for name in ("images", "labels", "boxes", "indices"):
            assert torch.equal(getattr(here, name).nan_to_num(-1), getattr(there, name).nan_to_num(-1))
        one, other = here.teachers["teacher"], there.teachers["teacher"]
        assert torch.equal(one.logits, other.logits) and torch.equal(one.features["f"], other.features["f"])
        assert torch.equal(here.views["other"], there.views["other"])
    print(len(batches[1]), "batches")


def test_batches_of_workers_are_those_of_this_process():
    """In a fresh process: where OpenVINO has released two models, any handled signal, such as a worker's end, kills."""
    code = "import test_distill_batches as module; module.compare_workers()"
    paths = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True
    )
    assert done.stdout == "3 batches\n", done.stderr


# boxes


def test_mirrored_boxes_by_hand():
    boxes = np.array([[2, 3, 6, 9], [0, 0, 16, 16], [0, 0, 0, 0], [np.nan] * 4], np.float32)
    np.testing.assert_array_equal(
        mirror(boxes, width=16),
        np.array([[10, 3, 14, 9], [0, 0, 16, 16], [0, 0, 0, 0], [np.nan] * 4], np.float32),
    )


def test_mirroring_twice_is_nothing():
    boxes = np.array([[2, 3, 6, 9], [0, 0, 0, 0]], np.float32)
    np.testing.assert_array_equal(mirror(mirror(boxes, width=16), width=16), boxes)


def boxed(tmp_path, box, *, image=(40, 20), spec):
    Image.new("RGB", image).save(tmp_path / "a.png")
    source = PixelSource(
        root=tmp_path, samples=(Sample(path="a.png", label=0, box=box),), spec=spec, cache=None
    )
    return boxes_in_pixels(source)[0].tolist()


@pytest.mark.parametrize(
    ("box", "image", "expected"),
    [
        (
            (0.5, 0.5, 0.75, 1.0),
            (40, 20),
            [8, 8, 16, 16],
        ),  # 20 10 30 20 less the corner at 12, 2: 8 8 18 18, clipped
        ((0.3, 0.1, 0.7, 0.9), (40, 20), [0, 0, 16, 16]),
        ((0.4, 0.3, 0.5, 0.5), (40, 20), [4, 4, 8, 8]),
        ((0.0, 0.0, 0.25, 1.0), (40, 20), [0, 0, 0, 0]),  # left of the crop: no face to be seen
        ((0.5, 0.5, 1.0, 1.0), (8, 8), [8, 8, 16, 16]),  # enlarged first, by two
        ((0.5, 0.5, 0.75, 1.0), (16, 8), [8, 8, 16, 16]),  # enlarged to 32 × 16, then 8 off each side
        ((0.0, 0.0, 0.0, 0.0), (40, 20), [0, 0, 0, 0]),
    ],
)
def test_boxes_under_center_crop_by_hand(tmp_path, box, image, expected):
    spec = PreprocessSpec(size=16, policy="center_crop")
    assert boxed(tmp_path, box, image=image, spec=spec) == pytest.approx(expected, abs=1e-5)


def test_boxes_under_resize_by_hand(tmp_path):
    assert boxed(tmp_path, (0.5, 0.25, 0.75, 1.0), spec=PreprocessSpec(size=32)) == [16, 8, 24, 32]


@pytest.mark.parametrize("policy", ["resize", "center_crop", "tiles"])
def test_an_unknown_box_is_nan(tmp_path, policy):
    assert np.isnan(boxed(tmp_path, None, spec=PreprocessSpec(size=16, policy=policy))).all()


@pytest.mark.parametrize("image", [(37, 61), (13, 29), (300, 90)])
@pytest.mark.parametrize("policy", ["resize", "center_crop"])
def test_the_box_follows_the_pixels(tmp_path, image, policy):
    """A white face on black: the box must enclose what is white after preprocessing, to a pixel."""
    spec = PreprocessSpec(size=32, policy=policy, interpolation="nearest")
    picture = np.zeros((image[1], image[0], 3), np.uint8)
    x1, y1, x2, y2 = (
        round(share * side) for share, side in zip((0.45, 0.4, 0.55, 0.7), image * 2, strict=True)
    )
    picture[y1:y2, x1:x2] = 255
    ys, xs = np.nonzero(spec.apply(Image.fromarray(picture))[0, ..., 0])
    box = (x1 / image[0], y1 / image[1], x2 / image[0], y2 / image[1])
    found = boxed(tmp_path, box, image=image, spec=spec)
    assert found == pytest.approx([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1], abs=1.01)


# normalization


def test_normalize_is_the_specs():
    spec = PreprocessSpec(size=16, mean=(0.1, 0.5, 0.9), std=(0.2, 0.3, 1.5))
    pixels = np.random.default_rng(0).integers(0, 256, (2, 5, 7, 3), np.uint8)
    found = normalize(torch.from_numpy(pixels), spec=spec)
    assert found.shape == (2, 3, 5, 7) and found.dtype == torch.float32
    assert found.is_contiguous(memory_format=torch.channels_last)
    np.testing.assert_allclose(found.permute(0, 2, 3, 1).numpy(), spec.normalize(pixels), atol=2e-6)


# augmentation

STRONG = AugmentationSettings(
    noise={"probability": 0.9, "range": (0.2, 0.3)}, jpeg={"probability": 0.9, "range": (10, 30)}
)


def test_augmentation_follows_the_draw_alone(pixels, teacher):
    """The same draw gives the same picture, whatever else is in the batch and whether a teacher speaks."""
    before = pixels.cache.copy()
    data = BatchDataset(pixels, augmentation=STRONG, views=FLIPS)
    first = data[[(3, 0, 11), (4, 1, 12), (3, 0, 13)]].images
    taught = BatchDataset(pixels, teachers=teacher, augmentation=STRONG, views=FLIPS)
    second = taught[[(3, 0, 13), (3, 0, 11)]].images
    assert torch.equal(first[0], second[1]) and torch.equal(first[2], second[0])
    assert not torch.equal(first[0], first[2])
    np.testing.assert_array_equal(pixels.cache, before)


def test_only_the_images_are_augmented(pixels, teacher):
    keys = [(3, 0, 1), (4, 1, 2), (3, 1, 3)]
    plain = BatchDataset(pixels, teachers=teacher, views=FLIPS)[keys]
    augmented = BatchDataset(pixels, teachers=teacher, augmentation=STRONG, views=FLIPS)[keys]
    assert not torch.equal(plain.images, augmented.images)
    assert augmented.images.dtype == torch.uint8 and augmented.images.shape == plain.images.shape
    for name in ("labels", "boxes", "indices"):
        assert torch.equal(getattr(plain, name).nan_to_num(-1), getattr(augmented, name).nan_to_num(-1))
    said, again = plain.teachers["teacher"], augmented.teachers["teacher"]
    assert torch.equal(said.logits, again.logits) and torch.equal(said.features["f"], again.features["f"])


def test_augmentation_comes_after_mirroring(pixels):
    half = AugmentationSettings(cutout={"probability": 1.0, "range": (0.3, 0.3)})
    data = BatchDataset(pixels, augmentation=half, views=FLIPS)
    plain, mirrored = (data[[(3, view, 5)]].images[0] for view in (0, 1))
    hidden = [(image == 128).all(dim=2) for image in (plain, mirrored)]
    assert torch.equal(*hidden) and hidden[0].any()


@pytest.mark.parametrize(
    "settings", [None, AugmentationSettings(), AugmentationSettings(jpeg={"probability": 0.0})]
)
def test_nothing_active_is_nothing(pixels, settings):
    keys = [(index, index % 2, index) for index in range(COUNT)]
    found = BatchDataset(pixels, augmentation=settings, views=FLIPS)[keys].images
    assert torch.equal(found, BatchDataset(pixels, views=FLIPS)[keys].images)
