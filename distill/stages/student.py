"""The work of a student's stages: one training each."""

import time
from typing import Any

from distill.data.samples import UNLABELLED_SPLIT
from distill.data.transforms.settings import AugmentationSettings
from distill.pipeline.runfolder import load_samples
from distill.pipeline.stage import Progress, Run
from distill.roster import Model
from distill.stages.controls import pool_pixels
from distill.stages.fine_tuned import tune_backbone
from distill.stages.fitted import fit_student
from distill.stages.listening import open_sources
from distill.stages.sources import Source, methods_for
from distill.stages.training import (
    ground_truth,
    logits_of_splits,
    pixels_of,
    taught_pixels,
    train,
)
from distill.task import find_task
from distill.training.settings import Schedule
from distill.training.views import Views


def train_student(
    run: Run, progress: Progress, *, model: Model, sources: tuple[Source, ...], views: Views
) -> None:
    """One training in one arm; arms differ in images, labels, augmentation and objectives, never in steps."""
    import torch

    from distill.models import make_model
    from students.embed import Embed

    started = time.monotonic()
    torch.manual_seed(model.seed or 0)
    network = make_model(run.recipe, model)
    pixels = shown_pixels(run, model, taught=bool(sources))

    def by_gradients(trained: Any, place: Model, schedule: Schedule) -> None:
        train(
            run,
            trained,
            model=place,
            objectives=objectives_of(run, model, sources=sources, pixels=pixels),
            schedule=schedule,
            progress=progress,
            views=views,
            teachers=open_sources(run, sources, student=model),
            pixels=pixels,
            augmentation=AugmentationSettings() if model.arm == "plain" else None,
            # whatever an arm sees of them: equal budget
            images=len(load_samples(run.folder).split("train", UNLABELLED_SPLIT)),
        )

    schedule = run.recipe.students[model.name]
    if not isinstance(network, Embed):
        by_gradients(network, model, schedule)
        logits_of_splits(run, model)
        return
    if network.fine_tune_epochs:
        tune_backbone(run, network, model=model, schedule=schedule, by_gradients=by_gradients)
    fit_student(run, progress, network=network, model=model, sources=sources, pixels=pixels, started=started)


def shown_pixels(run: Run, model: Model, *, taught: bool) -> Any:
    """The images that a student trains on in its arm, with the labels that it is told; a teacher teaches on more."""
    if taught:
        return taught_pixels(run, spec=model.preprocess)
    if model.arm == "pool":
        return pool_pixels(run, spec=model.preprocess)
    return pixels_of(run, "train", spec=model.preprocess)


def objectives_of(run: Run, model: Model, *, sources: tuple[Source, ...], pixels: Any) -> list[Any]:
    """What a student minimises in its arm: the labels, and where it is taught the methods of its lesson."""
    if model.is_control:
        labels = find_task(run.recipe.task).targets(pixels.samples)
        return [ground_truth(run, learner=model, labels=labels)]
    taught = methods_for(run.recipe, model, [source.teacher for source in sources])
    weight = run.recipe.distillation.lesson(model.arm).label_weight
    return [ground_truth(run, learner=model, weight=weight), *taught]
