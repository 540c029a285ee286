"""Batches of pixels, labels, boxes and cached teacher outputs.

A *view* is the image as it is (0) or mirrored (1). The sampler draws the view with the index, so the data set
stays a pure function of (index, view), and the cached teacher saw exactly what the student sees
("consistent teaching", Beyer et al. 2022, arXiv 2106.05237).
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from distill.data.pixels import PixelSource
from distill.data.samples import Sample
from distill.data.storage import open_binary
from distill.methods.objective import Batch
from distill.preprocess import PreprocessSpec
from distill.teacher_outputs import TeacherOutputs

Key = tuple[int, int]
Floats = npt.NDArray[np.float32]


class ViewSampler(Sampler[Key]):
    """A fresh order and fresh views every epoch, both drawn from (seed, epoch) alone, so a resumed run repeats them."""

    def __init__(self, *, length: int, views: int, seed: int) -> None:
        self.length, self.views, self.seed, self.epoch = length, views, seed, 0

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning before every epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[Key]:
        random = np.random.default_rng([self.seed, self.epoch])
        order = random.permutation(self.length)
        views = random.integers(0, self.views, self.length)
        return iter(zip(order.tolist(), views.tolist(), strict=True))


class BatchDataset(Dataset[Batch]):
    """Keys → one :class:`Batch` with ``uint8 [N, H, W, 3]`` images (normalized on the device, see :func:`normalize`)."""

    def __init__(self, pixels: PixelSource, *, teacher: TeacherOutputs | None = None) -> None:
        self.pixels = pixels
        self.teacher = teacher
        self.labels = np.array([sample.label for sample in pixels.samples], dtype=np.float32)
        self.boxes = boxes_in_pixels(pixels)

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitems__(self, keys: Sequence[Key]) -> Batch:
        """One whole batch at once: torch's fetcher prefers this over item by item."""
        indices = np.array([index for index, _ in keys])
        views = np.array([view for _, view in keys])
        images = self.pixels.batch(indices.tolist())
        boxes = self.boxes[indices]
        mirrored = views == 1
        images[mirrored] = images[mirrored, :, ::-1]
        boxes[mirrored] = mirror(boxes[mirrored], width=self.pixels.spec.size)
        teacher = self.teacher
        return Batch(
            images=torch.from_numpy(images),
            labels=torch.from_numpy(self.labels[indices]),
            boxes=torch.from_numpy(boxes),
            teacher_logits=teacher.logits[indices, views] if teacher else None,
            teacher_features={k: v[indices, views] for k, v in teacher.features.items()} if teacher else None,
        )


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
    with open_binary(pixels.root, sample) as file, Image.open(file) as image:  # reads the header alone
        scale = max(1.0, size / min(image.size))
        width, height = (round(side * scale) for side in image.size)
    left, top = (width - size) // 2, (height - size) // 2
    x1, y1, x2, y2 = sample.box
    cropped = np.clip([x1 * width - left, y1 * height - top, x2 * width - left, y2 * height - top], 0, size)
    visible = cropped[2] > cropped[0] and cropped[3] > cropped[1]
    return tuple(cropped) if visible else (0.0,) * 4


def mirror(boxes: Floats, *, width: int) -> Floats:
    """Boxes after a horizontal flip; the row of zeros ("no face") stays as it is."""
    flipped = np.stack([width - boxes[:, 2], boxes[:, 1], width - boxes[:, 0], boxes[:, 3]], axis=1)
    absent = (boxes == 0).all(axis=1, keepdims=True)
    return np.where(absent, boxes, flipped).astype(np.float32)


def normalize(images: Tensor, *, spec: PreprocessSpec) -> Tensor:
    """``uint8 [N, H, W, 3]`` → normalized float ``[N, 3, H, W]``, channels-last in memory at no cost."""
    mean = torch.tensor(spec.mean, device=images.device) * 255
    scale = 1 / (torch.tensor(spec.std, device=images.device) * 255)
    return ((images.float() - mean) * scale).permute(0, 3, 1, 2)


def train_loader(
    dataset: BatchDataset, *, batch_size: int, views: int, seed: int, workers: int
) -> DataLoader[Batch]:
    """Shuffled batches; the last incomplete one is dropped, since batch norm suffers from tiny batches."""
    sampler = ViewSampler(length=len(dataset), views=views, seed=seed)
    return DataLoader(
        dataset,
        batch_size=min(batch_size, len(dataset)),
        sampler=sampler,
        drop_last=True,
        collate_fn=_as_it_is,
        num_workers=workers,
        persistent_workers=workers > 0,
        # its own: a loader draws a seed when it starts, and at another moment in a resumed run than in a whole one
        generator=torch.Generator(),
    )


def plain_loader(
    dataset: BatchDataset, *, batch_size: int, view: int = 0, workers: int = 0
) -> DataLoader[Batch]:
    """Every sample once, in order, in one fixed view."""
    keys = [(index, view) for index in range(len(dataset))]
    return DataLoader(dataset, batch_size=batch_size, sampler=keys, collate_fn=_as_it_is, num_workers=workers)  # type: ignore[arg-type]


def _as_it_is(batch: Any) -> Any:
    return batch
