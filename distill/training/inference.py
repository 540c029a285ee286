"""A trained model over a set of images: logits, and feature maps where they are asked for."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from distill.data.pixels import PixelSource
from distill.training.batches import BatchDataset, normalize, plain_loader
from distill.training.teachers import TeacherOutputs, stack_views

Progress = Callable[[int, int], None]


@torch.inference_mode()
def predict(
    model: nn.Module,
    pixels: PixelSource,
    *,
    features: Sequence[str] = (),
    view: int = 0,
    batch_size: int = 128,
    progress: Progress | None = None,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Logits float32 ``[N]`` (or ``[N, K]``), and the named feature maps as float16 ``[N, C, H, W]``."""
    training, device = model.training, next(model.parameters()).device
    model.eval()
    logits: list[Tensor] = []
    maps: dict[str, list[Tensor]] = {name: [] for name in features}
    for number, batch in enumerate(
        plain_loader(BatchDataset(pixels), batch_size=batch_size, view=view), start=1
    ):
        output = model(normalize(batch.images.to(device), spec=pixels.spec))
        logits.append(output.logits.float().cpu())
        for name in features:
            maps[name].append(output.features[name].half().cpu())
        if progress:
            progress(min(number * batch_size, len(pixels)), len(pixels))
    model.train(training)
    return torch.cat(logits), {name: torch.cat(parts) for name, parts in maps.items()}


def teacher_outputs(
    teacher: nn.Module,
    pixels: PixelSource,
    *,
    features: Sequence[str],
    views: int,
    progress: Progress | None = None,
) -> TeacherOutputs:
    """The teacher's word on every image in every view, for :mod:`distill.training.teachers` to keep."""
    passes = []
    for view in range(views):

        def tell(done: int, total: int, view: int = view) -> None:
            if progress:
                progress(view * total + done, views * total)

        passes.append(predict(teacher, pixels, features=features, view=view, progress=tell))
    return stack_views(passes)
