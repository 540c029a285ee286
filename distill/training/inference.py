"""A trained model over a set of images: its logits, and what a teacher says of every view, kept on disk."""

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from distill.data.pixels import PixelSource
from distill.engine import Engine, Local
from distill.probe import device_of
from distill.training.batches import BatchDataset, plain_loader
from distill.training.normalize import normalize
from distill.training.teachers import CacheKey, Online, Rows
from distill.training.tensorfile import create_tensors
from students.output import ModelOutput

Array = npt.NDArray[Any]
Progress = Callable[[int, int], None]
_BATCH = 128
_BATCHES = 16  # that a worker of another machine is asked about at once


@torch.inference_mode()
def predict(
    model: nn.Module, pixels: PixelSource, *, batch_size: int = _BATCH, progress: Progress | None = None
) -> Tensor:
    """Logits float32 ``[N]`` (or ``[N, K]``); the model is left in the mode it was in."""
    training, device = model.training, device_of(model)
    model.eval()
    logits: list[Tensor] = []
    for number, batch in enumerate(plain_loader(BatchDataset(pixels), batch_size=batch_size), start=1):
        output = model(normalize(batch.images.to(device), spec=pixels.spec))
        logits.append(output.logits.float().cpu())
        if progress:
            progress(min(number * batch_size, len(pixels)), len(pixels))
    model.train(training)
    return torch.cat(logits)


@dataclass(frozen=True)
class Stretch:
    """Images that follow one another in a set, to be asked about in one view.

    Attributes:
        start: place of the first in the set.
        pixels: of these images alone.
        view: number of the view; ``None`` asks about the images as they are.
    """

    start: int
    pixels: PixelSource
    view: int | None

    @property
    def rows(self) -> Rows:
        """Places in the set, ``[N]``."""
        return np.arange(self.start, self.start + len(self.pixels), dtype=np.int64)


@dataclass(frozen=True)
class Asking:
    """Asks a teacher about one stretch after the other, on whatever machine it is; picklable.

    Attributes:
        teacher: on the device where it is to answer.
        key: what its answers belong to.
        batch_size: images at once.
    """

    teacher: nn.Module
    key: CacheKey
    batch_size: int

    def __call__(self, stretch: Stretch) -> tuple[int | None, Rows, dict[str, Array]]:
        """View, places ``[N]``, and what it says there: name → array of ``N`` rows as :func:`write_cache` keeps them."""
        asked = Online(self.teacher, spec=self.key.spec, features=self.key.features)
        clean, view = stretch.view is None, stretch.view or 0
        views = replace(self.key.views, fixed=False)  # the keys below say which augmentation
        dataset = BatchDataset(
            stretch.pixels, augmentation=None if clean else self.key.augmentation, views=views
        )
        rows, device = stretch.rows, device_of(self.teacher)
        draws = self.key.views.draws(rows, view + 0 * rows)
        said: list[ModelOutput] = []
        for first in range(0, len(rows), self.batch_size):
            places = range(first, min(first + self.batch_size, len(rows)))
            said.append(asked.outputs(dataset[[(i, view, int(draws[i])) for i in places]].images.to(device)))
        logits = torch.cat([output.logits for output in said]).float().cpu().numpy()
        if clean:
            return None, rows, {"clean": logits}
        features = {
            f"feature.{name}": torch.cat([output.features[name] for output in said]).half().cpu().numpy()
            for name in said[0].features
        }
        return view, rows, {"logits": logits, "draws": draws, **features}


def write_cache(
    teacher: nn.Module,
    pixels: PixelSource,
    *,
    key: CacheKey,
    path: Path,
    batch_size: int = _BATCH,
    engine: Engine = Local(),  # noqa: B008 - frozen
    progress: Progress | None = None,
) -> None:
    """Ask the teacher once of every image in every view, for :class:`distill.training.teachers.Cached` to read.

    The file holds ``logits`` float32 ``[N, V]`` or ``[N, V, K]``, what else was asked for in float16 (a feature map as
    ``[N, V, C, H, W]``), and ``draws`` int64 ``[N, V]``, the seeds of the views' augmentations. Of augmented views it
    also holds ``clean`` float32 ``[N, 1]`` (or ``[N, 1, K]``), what the teacher says of the images as they are: by that
    it can be judged.
    No more than a batch is held in memory, or with an ``engine`` of several machines, which must see the images under the
    same paths, no more than the stretches they are at.
    """
    device, total = device_of(teacher), len(pixels)
    asked = Online(teacher, spec=key.spec, features=key.features)
    probe = asked.outputs(torch.zeros(1, key.spec.size, key.spec.size, 3, dtype=torch.uint8, device=device))
    asking, done, wanted = Asking(asked.module, key, batch_size), 0, total * key.views.count
    here = isinstance(engine, Local)
    size = batch_size if here else _BATCHES * batch_size
    source = pixels if here else replace(pixels, root=pixels.root.absolute(), cache=None)
    with (
        create_tensors(path, _shapes(probe, key, total), metadata={"key": key.text()}) as arrays,
        closing(engine.map(asking, _stretches(source, key, size=size))) as answers,
    ):
        for view, rows, said in answers:
            for name, values in said.items():
                arrays[name][rows, view or 0] = values
            done += 0 if view is None else len(rows)
            if progress and done:
                progress(done, wanted)


def _shapes(probe: ModelOutput, key: CacheKey, total: int) -> dict[str, tuple[str, tuple[int, ...]]]:
    count = key.views.count
    shapes: dict[str, tuple[str, tuple[int, ...]]] = {
        "logits": ("float32", (total, count, *probe.logits.shape[1:])),
        "draws": ("int64", (total, count)),
        **{
            f"feature.{name}": ("float16", (total, count, *value.shape[1:]))
            for name, value in probe.features.items()
        },
    }
    if key.augmentation:
        shapes["clean"] = ("float32", (total, 1, *probe.logits.shape[1:]))
    return shapes


def _stretches(pixels: PixelSource, key: CacheKey, *, size: int) -> Iterator[Stretch]:
    for view in (*([None] if key.augmentation else []), *range(key.views.count)):
        for start in range(0, len(pixels), size):
            yield Stretch(start, pixels.stretch(start, start + size), view)
