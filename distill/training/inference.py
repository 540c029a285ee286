"""A trained model over a set of images: its logits, and what a teacher says of every view, kept on disk."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from distill.data.pixels import PixelSource
from distill.probe import device_of
from distill.training.batches import BatchDataset, plain_loader
from distill.training.normalize import normalize
from distill.training.teachers import CacheKey, Online
from distill.training.tensorfile import create_tensors

Progress = Callable[[int, int], None]
_BATCH = 128


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


def write_cache(
    teacher: nn.Module,
    pixels: PixelSource,
    *,
    key: CacheKey,
    path: Path,
    batch_size: int = _BATCH,
    progress: Progress | None = None,
) -> None:
    """Ask the teacher once of every image in every view, for :class:`distill.training.teachers.Cached` to read.

    The file holds ``logits`` float32 ``[N, V]`` or ``[N, V, K]``, what else was asked for in float16 (a feature map as
    ``[N, V, C, H, W]``), and ``draws`` int64 ``[N, V]``, the seeds of the views' augmentations. Of augmented views it
    also holds ``clean`` float32 ``[N, 1]`` (or ``[N, 1, K]``), what the teacher says of the images as they are: by that
    it can be judged.
    No more than a batch is held in memory.
    """
    device, total, count = device_of(teacher), len(pixels), key.views.count
    asked = Online(teacher, spec=key.spec, features=key.features)
    dataset = BatchDataset(pixels, augmentation=key.augmentation, views=key.views)
    probe = asked.outputs(torch.zeros(1, key.spec.size, key.spec.size, 3, dtype=torch.uint8, device=device))
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
    with create_tensors(path, shapes, metadata={"key": key.text()}) as arrays:
        if key.augmentation:
            for batch in plain_loader(BatchDataset(pixels), batch_size=batch_size):
                said = asked.outputs(batch.images.to(device))
                arrays["clean"][batch.indices.numpy(), 0] = said.logits.float().cpu().numpy()
        for view in range(count):
            for batch in plain_loader(dataset, batch_size=batch_size, view=view):
                rows = batch.indices.numpy()
                said = asked.outputs(batch.images.to(device))
                arrays["logits"][rows, view] = said.logits.float().cpu().numpy()
                arrays["draws"][rows, view] = key.views.draws(rows, view + 0 * rows)
                for name, value in said.features.items():
                    arrays[f"feature.{name}"][rows, view] = value.half().cpu().numpy()
                if progress:
                    progress(view * total + int(rows[-1]) + 1, count * total)
