"""How a training gets to hear its teachers: what they said of these very images, or the teachers themselves."""

from typing import Any

import numpy as np

from distill.files import sha256
from distill.pipeline.runfolder import SAMPLES, WEIGHTS
from distill.pipeline.stage import Run
from distill.roster import Model
from distill.stages.sources import Source
from distill.stages.teacher_check import check_outputs, labelled_rows
from distill.stages.training import on_device, taught_pixels


def open_sources(run: Run, sources: tuple[Source, ...], *, student: Model) -> Any:
    """The teachers as a training takes them: cached, or loaded to be asked at every step."""
    from distill.models import load_model
    from distill.stages.training import Teachers
    from distill.training.batches import Sight
    from distill.training.teachers import Cached, Online

    found = Teachers()
    for source in sources:
        teacher = source.teacher
        if source.cached:
            found.cached[teacher.name] = Cached(
                run.folder / source.outputs, key=cache_key(run, source), reads=source.reads
            )
            continue
        network = load_model(run.recipe, teacher, run.folder / teacher.folder / WEIGHTS)
        found.online[teacher.name] = Online(
            on_device(run, network), spec=teacher.preprocess, features=source.reads
        )
        pixels = taught_pixels(run, spec=teacher.preprocess)
        _check(run, teacher, found.online[teacher.name], pixels)
        if teacher.preprocess != student.preprocess or (source.clean and run.recipe.augmentation.active):
            found.sights[teacher.name] = Sight(pixels=pixels, clean=source.clean)
    return found


def _check(run: Run, teacher: Model, online: Any, pixels: Any) -> None:
    """See that a teacher that is asked at every step is the one it was found to be."""
    import torch

    from distill.probe import device_of

    labels = np.array([sample.label for sample in pixels.samples])
    rows = labelled_rows(labels, seed=run.recipe.seed)
    parts = np.array_split(rows, max(1, len(rows) // 128))
    device = device_of(online.module)
    logits = [
        online.outputs(torch.from_numpy(pixels.batch(part.tolist())).to(device)).logits.cpu().numpy()
        for part in parts
    ]
    check_outputs(
        run, teacher, labels=labels[rows], logits=np.concatenate(logits), what=f"the live {teacher.name}"
    )


def cache_key(run: Run, source: Source) -> Any:
    """Teacher, data and view: what cached outputs belong to."""
    from distill.training.teachers import CacheKey

    augmentation = run.recipe.augmentation
    return CacheKey(
        teacher=sha256(run.folder / source.teacher.folder / WEIGHTS),
        samples=sha256(run.folder / SAMPLES),
        spec=source.teacher.preprocess,
        views=source.views,
        augmentation=augmentation if augmentation.active and not source.clean else None,
        features=source.features,
    )
