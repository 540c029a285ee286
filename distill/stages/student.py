"""The work of a student's stages: one training each."""

from typing import Any

import numpy as np

from distill.data.samples import UNLABELLED_SPLIT
from distill.data.transforms.settings import AugmentationSettings
from distill.pipeline.runfolder import WEIGHTS, load_samples
from distill.pipeline.stage import Progress, Run
from distill.roster import Model
from distill.stages.controls import pool_pixels
from distill.stages.sources import Source, methods_for
from distill.stages.teacher import cache_key
from distill.stages.teacher_check import check_outputs, labelled_rows
from distill.stages.training import (
    ground_truth,
    logits_of_splits,
    on_device,
    pixels_of,
    taught_pixels,
    train,
)
from distill.training.views import Views


def train_student(
    run: Run, progress: Progress, *, model: Model, sources: tuple[Source, ...], views: Views
) -> None:
    """One training in one arm; arms differ in images, labels, augmentation and objectives, never in steps."""
    import torch

    from distill.models import make_model

    torch.manual_seed(model.seed or 0)
    network = make_model(run.recipe, model)
    pixels = shown_pixels(run, model, taught=bool(sources))
    train(
        run,
        network,
        model=model,
        objectives=objectives_of(run, model, sources=sources, pixels=pixels),
        schedule=run.recipe.students[model.name],
        progress=progress,
        views=views,
        teachers=open_sources(run, sources, student=model),
        pixels=pixels,
        augmentation=AugmentationSettings() if model.arm == "plain" else None,
        # whatever an arm sees of them: equal budget
        images=len(load_samples(run.folder).split("train", UNLABELLED_SPLIT)),
    )
    logits_of_splits(run, model)


def shown_pixels(run: Run, model: Model, *, taught: bool) -> Any:
    """The images that a student trains on in its arm, with the labels that it is told; a teacher teaches on more."""
    if taught:
        return taught_pixels(run, spec=model.preprocess)
    if model.arm == "pool":
        return pool_pixels(run, spec=model.preprocess)
    return pixels_of(run, "train", spec=model.preprocess)


def objectives_of(run: Run, model: Model, *, sources: tuple[Source, ...], pixels: Any) -> list[Any]:
    """What a student minimises in its arm: the labels, and in the distilled one the recipe's methods."""
    if model.arm != "distilled":
        labels = np.array([sample.label for sample in pixels.samples])
        return [ground_truth(run, labels=labels)]
    taught = methods_for(run.recipe, model, [source.teacher for source in sources])
    return [ground_truth(run, weight=run.recipe.distillation.label_weight), *taught]


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
            found.cached[teacher.name] = Cached(run.folder / source.outputs, key=cache_key(run, source))
            continue
        network = load_model(run.recipe, teacher, run.folder / teacher.folder / WEIGHTS)
        found.online[teacher.name] = Online(
            on_device(run, network), spec=teacher.preprocess, features=source.features
        )
        pixels = taught_pixels(run, spec=teacher.preprocess)
        _check(run, teacher, found.online[teacher.name], pixels)
        if teacher.preprocess != student.preprocess or (source.clean and run.recipe.augmentation.active):
            found.sights[teacher.name] = Sight(pixels=pixels, clean=source.clean)
    return found


def _check(run: Run, teacher: Model, online: Any, pixels: Any) -> None:
    """See that a teacher that is asked at every step is the one it was found to be."""
    import torch

    labels = np.array([sample.label for sample in pixels.samples])
    rows = labelled_rows(labels, seed=run.recipe.seed)
    parts = np.array_split(rows, max(1, len(rows) // 128))
    device = next(online.module.parameters()).device
    logits = [
        online.outputs(torch.from_numpy(pixels.batch(part.tolist())).to(device)).logits.cpu().numpy()
        for part in parts
    ]
    check_outputs(
        run, teacher, labels=labels[rows], logits=np.concatenate(logits), what=f"the live {teacher.name}"
    )
