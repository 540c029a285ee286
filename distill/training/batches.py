"""Batches of pixels, labels, boxes and what cached teachers said of these very views.

The sampler draws the view with the index, so the data set stays a pure function of its keys
(see :mod:`distill.training.views`).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import ExifTags
from torch.utils.data import DataLoader, Dataset

from distill.data.pixels import PixelSource
from distill.data.samples import Sample
from distill.data.storage import open_binary, tar_of
from distill.data.transforms.augment import augment
from distill.data.transforms.settings import AugmentationSettings
from distill.methods.objective import Batch
from distill.preprocess import Pixels, open_picture
from distill.training.malloc import keep_freed_memory
from distill.training.sampler import EpochBatches, Key, PlainBatches
from distill.training.teachers import Cached
from distill.training.views import Views
from students.output import ModelOutput

Floats = npt.NDArray[np.float32]
_SMALL = ("labels", "boxes", "indices")


@dataclass(frozen=True)
class Sight:
    """What a teacher that is asked at every step sees, where that is not what the student sees.

    Attributes:
        pixels: the same samples, by the teacher's own :class:`PreprocessSpec`.
        clean: before augmentation.
    """

    pixels: PixelSource
    clean: bool


class BatchDataset(Dataset[Batch]):
    """Keys → one :class:`Batch` with ``uint8 [N, H, W, 3]`` images (normalized on the device).

    Args:
        pixels: the samples.
        teachers: name → what it said of them; for training data alone, as all that follows.
        sights: name of a teacher that is asked now → what it sees.
        augmentation: what degrades the images.
        views: from which the keys' numbers were drawn.
        targets: ``[N]``, what is learned of each sample, where that is not its label.
    """

    def __init__(
        self,
        pixels: PixelSource,
        *,
        teachers: Mapping[str, Cached] | None = None,
        sights: Mapping[str, Sight] | None = None,
        augmentation: AugmentationSettings | None = None,
        views: Views = Views(),  # noqa: B008 - frozen
        targets: npt.NDArray[np.int64] | None = None,
    ) -> None:
        self.pixels = pixels
        self.teachers = dict(teachers or {})
        self.sights = dict(sights or {})
        self.views = views
        self.augmentation = augmentation if augmentation and augmentation.active else None
        labels = [sample.label for sample in pixels.samples] if targets is None else targets
        self.labels = np.array(labels, dtype=np.float32)
        self.boxes = boxes_in_pixels(pixels)

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, keys: Sequence[Key]) -> Batch:
        """One whole batch at once."""
        indices, numbers, draws = (np.array(column) for column in zip(*keys, strict=True))
        if self.views.fixed:
            draws = self.views.draws(indices, numbers)
        mirrored = self.views.mirrored(numbers)
        boxes = self.boxes[indices]
        boxes[mirrored] = mirror(boxes[mirrored], width=self.pixels.spec.size)
        images = self._images(self.pixels, indices, mirrored, draws)
        seen = {
            name: self._images(sight.pixels, indices, mirrored, draws, clean=sight.clean)
            for name, sight in self.sights.items()
        }
        return Batch(
            images=torch.from_numpy(images),
            labels=torch.from_numpy(self.labels[indices]),
            boxes=torch.from_numpy(boxes),
            indices=torch.from_numpy(indices),
            teachers={name: teacher.outputs(indices, numbers) for name, teacher in self.teachers.items()},
            views={name: torch.from_numpy(pixels) for name, pixels in seen.items()},
        )

    def _images(
        self,
        pixels: PixelSource,
        indices: npt.NDArray[np.int64],
        mirrored: npt.NDArray[np.bool_],
        draws: npt.NDArray[np.int64],
        *,
        clean: bool = False,
    ) -> Pixels:
        images = pixels.batch(indices.tolist())
        mirror_images(images, mirrored)
        if self.augmentation and not clean:
            for place, draw in enumerate(draws):
                rng = np.random.default_rng(draw)
                images[place] = augment(images[place], settings=self.augmentation, rng=rng)
        return images


def boxes_in_pixels(pixels: PixelSource) -> Floats:
    """``[N, 4]`` in pixels of the input; NaN rows where unknown, zeros where known to have no face."""
    return np.array([_box(sample, pixels=pixels) for sample in pixels.samples], dtype=np.float32).reshape(
        -1, 4
    )


def _box(sample: Sample, *, pixels: PixelSource) -> tuple[float, ...]:
    size = pixels.spec.size
    if sample.box is None:
        return (float("nan"),) * 4
    if pixels.spec.policy == "resize" or not any(sample.box):
        return tuple(edge * size for edge in sample.box)
    with open_binary(pixels.root, sample) as file, open_picture(file) as image:  # reads the header alone
        turned = image.getexif().get(ExifTags.Base.Orientation, 1) >= 5  # boxes refer to the upright image
        upright = image.size[::-1] if turned else image.size
    scale = max(1.0, size / min(upright))
    width, height = (round(side * scale) for side in upright)
    left, top = (width - size) // 2, (height - size) // 2
    x1, y1, x2, y2 = sample.box
    cropped = np.clip([x1 * width - left, y1 * height - top, x2 * width - left, y2 * height - top], 0, size)
    visible = cropped[2] > cropped[0] and cropped[3] > cropped[1]
    return tuple(cropped) if visible else (0.0,) * 4


def mirror_images(images: Pixels, chosen: npt.NDArray[np.bool_]) -> None:
    """Flip the chosen of ``uint8 [N, H, W, 3]`` from left to right, in place."""
    pixels = images.view("V3")[..., 0]  # whole pixels move: three times as fast as channel by channel
    for index in np.flatnonzero(chosen):
        pixels[index] = pixels[index, :, ::-1].copy()


def mirror(boxes: Floats, *, width: int) -> Floats:
    """Boxes after a horizontal flip; the row of zeros ("no face") stays as it is."""
    flipped = np.stack([width - boxes[:, 2], boxes[:, 1], width - boxes[:, 0], boxes[:, 3]], axis=1)
    absent = (boxes == 0).all(axis=1, keepdims=True)
    return np.where(absent, boxes, flipped).astype(np.float32)


class BatchLoader(DataLoader[Batch]):
    """Batches as they were made, whether in this process or in workers.

    Between processes each tensor is a shared file of its own, which costs as much as decoding several small photos;
    only the large ones travel so, the others within the message.
    """

    def __init__(self, dataset: BatchDataset, **options: Any) -> None:
        super().__init__(
            dataset,
            batch_size=None,  # a key is a batch already
            collate_fn=_packed,  # type: ignore[arg-type]
            worker_init_fn=_start_worker,
            # its own: a loader draws a seed when it starts, and at another moment in a resumed run than in a whole one
            generator=_OwnGenerator(),
            **options,
        )

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]
        return map(_unpacked, super().__iter__())


def _packed(batch: Batch) -> Batch:
    return _converted(batch, lambda tensor: tensor.numpy())


def _unpacked(batch: Batch) -> Batch:
    return _converted(batch, torch.from_numpy)


def _converted(batch: Batch, convert: Callable[[Any], Any]) -> Batch:
    small: dict[str, Any] = {name: convert(getattr(batch, name)) for name in _SMALL}
    said: dict[str, ModelOutput] = {
        name: output._replace(logits=convert(output.logits)) for name, output in batch.teachers.items()
    }
    return batch._replace(**small, teachers=said)


def train_loader(
    dataset: BatchDataset, *, batch_size: int, seed: int, workers: int, total: int = 0, balanced: bool = False
) -> DataLoader[Batch]:
    """Shuffled batches of nearly equal size, every sample once an epoch (see :class:`distill.training.sampler.EpochBatches`)."""
    batches = EpochBatches(
        length=len(dataset), batch_size=batch_size, views=dataset.views.count, seed=seed, total=total,
        shards=shard_numbers(dataset.pixels.samples) if dataset.pixels.cache is None else (),
        labels=dataset.labels, balanced=balanced,
    )  # fmt: skip
    return BatchLoader(dataset, sampler=batches, num_workers=workers, persistent_workers=workers > 0)


class _OwnGenerator(torch.Generator):
    """Goes to other processes as a new one: its state would travel in shared memory that is gone on arrival."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _OwnGenerator, ()


def plain_loader(
    dataset: BatchDataset, *, batch_size: int, view: int = 0, workers: int = 0
) -> DataLoader[Batch]:
    """Every sample once, in order, in one fixed view."""
    batches = PlainBatches(length=len(dataset), batch_size=batch_size, view=view)
    return BatchLoader(dataset, sampler=batches, num_workers=workers)


def shard_numbers(samples: Sequence[Sample]) -> list[int]:
    """The number of the tar that each sample lies in; nothing where they are files of their own."""
    tars = [tar_of(sample) for sample in samples]
    if not any(tars):
        return []
    numbers = {tar: number for number, tar in enumerate(dict.fromkeys(tars))}
    return [numbers[tar] for tar in tars]


def _start_worker(_: int) -> None:
    keep_freed_memory()  # pictures come and go: half of the time of an augmentation was fresh memory
