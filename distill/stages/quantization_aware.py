"""A student trained once more with quantization in the loop, on the same labels, teachers and views as before.

It is done once for all quantizers that calibrate alike.
"""

import hashlib
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from distill.data.samples import UNLABELLED_SPLIT
from distill.errors import EdgeproofError
from distill.evaluation.calibration import Calibration
from distill.evaluation.choice import choice_of
from distill.optional import require
from distill.pipeline.runfolder import WEIGHTS, load_samples
from distill.pipeline.stage import Progress, Run
from distill.preprocess import Pixels
from distill.recipe import Recipe, Schedule
from distill.roster import Model
from distill.stages.listening import open_sources
from distill.stages.sources import Source
from distill.stages.student import objectives_of, shown_pixels
from distill.stages.training import labels_of, sidecar_of, train
from distill.task import find_task
from distill.training.settings import TrainingSettings
from distill.training.views import Views

FOLDER = "int8"


@dataclass(frozen=True)
class Retrained:
    """The plain network, with what its INT8 form is expected to need.

    Attributes:
        network: float weights, in evaluation mode.
        calibration: of the fake-quantized network's logits, fitted on the validation images.
        weights: SHA-256 of the checkpoint.
    """

    network: Any
    calibration: Calibration
    weights: str


@dataclass(frozen=True)
class Lesson:
    """What a student is trained on once more, as it was the first time.

    Attributes:
        model: the distilled student.
        sources: the teachers that it listens to.
        views: those of an image that both see.
    """

    model: Model
    sources: tuple[Source, ...]
    views: Views


def retrain(
    run: Run, progress: Progress, *, lesson: Lesson, images: Sequence[Pixels], reduce_range: bool
) -> Retrained:
    """The student after quantization-aware training, or what an equal call left.

    Args:
        run: with the finished student.
        progress: is told of the steps.
        lesson: who is trained on what.
        images: calibration images, uint8 ``[S, S, 3]`` each.
        reduce_range: weights to 7 bits.

    Raises:
        EdgeproofError: whatever the training of the student may raise.
    """
    from distill.models import load_model
    from distill.training.checkpoint import read_sidecar

    model = lesson.model
    folder = run.folder / model.folder / FOLDER
    key = _key(run, model, images=images, reduce_range=reduce_range)
    with _alone(folder):
        path = folder / WEIGHTS
        if not _is_there(path, key=key):
            _train(run, progress, lesson=lesson, images=images, reduce_range=reduce_range, key=key)
        sidecar = read_sidecar(path)
        return Retrained(
            network=load_model(run.recipe, model, path),
            calibration=Calibration.model_validate(sidecar["calibration"]),
            weights=sidecar["sha256"],
        )


def _is_there(path: Path, *, key: str) -> bool:
    """Whether an equal training left its weights whole."""
    from distill.training.checkpoint import read_sidecar

    try:
        return bool(read_sidecar(path).get("key") == key)
    except EdgeproofError:  # none, or a training that was killed while it wrote
        return False


def _train(
    run: Run, progress: Progress, *, lesson: Lesson, images: Sequence[Pixels], reduce_range: bool, key: str
) -> None:
    import torch

    from distill.models import load_model
    from distill.stages.training import on_device, pixels_of
    from distill.training.checkpoint import load_weights, save_weights
    from distill.training.fake_quant import FakeQuantized
    from distill.training.inference import predict

    model = lesson.model
    place = f"{model.folder}/{FOLDER}/training-{key[:8]}"  # one that was killed goes on only as what it was
    own = replace(model, folder=place, seed=choice_of(run.folder, model).seed)
    torch.manual_seed(own.seed or 0)
    network = FakeQuantized(
        load_model(run.recipe, model, run.folder / model.folder / WEIGHTS),
        images=torch.from_numpy(np.stack(images)),
        spec=model.preprocess,
        reduce_range=reduce_range,
    ).train()
    pixels = shown_pixels(run, model, taught=True)
    train(
        run,
        network,
        model=own,
        objectives=objectives_of(run, model, sources=lesson.sources, pixels=pixels),
        schedule=quantization_schedule(run.recipe, model),
        progress=progress,
        views=lesson.views,
        teachers=open_sources(run, lesson.sources, student=model),
        pixels=pixels,
        images=len(load_samples(run.folder).split("train", UNLABELLED_SPLIT)),
        settings=_settings(run, model),
    )
    load_weights(network, run.folder / own.folder / WEIGHTS)
    logits = predict(on_device(run, network), pixels_of(run, "valid", spec=model.preprocess)).numpy()
    calibration = find_task(run.recipe.task).calibrate(labels_of(run, "valid"), logits)
    sidecar = {**sidecar_of(run, own), "key": key, "calibration": calibration.model_dump(mode="json")}
    save_weights(network.plain(), run.folder / model.folder / FOLDER / WEIGHTS, sidecar=sidecar)


def quantization_schedule(recipe: Recipe, model: Model) -> Schedule:
    """The student's own schedule, short and careful: it starts from trained weights."""
    settings, repair = recipe.students[model.name], recipe.repair
    return Schedule(
        epochs=repair.epochs,
        batch_size=settings.batch_size,
        learning_rate=settings.learning_rate * repair.learning_rate,
        weight_decay=settings.weight_decay,
        optimizer=settings.optimizer,
        schedule=settings.schedule,
        warmup=settings.warmup,
        accumulate=settings.accumulate,
        clip=settings.clip,
        mixup=settings.mixup,
    )


def _settings(run: Run, model: Model) -> TrainingSettings:
    """The recipe's, without what fake quantization cannot stand: compiled steps, and processes it must be sent to.

    The number format is that of the student's own training, whose measurement it must not overwrite.
    """
    from distill.training.pace import Pace

    settings, kept = run.recipe.training, run.folder / model.common / "precision.json"
    precision: Any = settings.precision
    if precision == "auto":
        precision = Pace.read(kept).precision if kept.is_file() else "fp32"
    return TrainingSettings(
        precision=precision,
        threads=settings.threads,
        horizontal_flip=settings.horizontal_flip,
        accelerator=settings.accelerator,
        balanced=settings.balanced,
    )


def _key(run: Run, model: Model, *, images: Sequence[Pixels], reduce_range: bool) -> str:
    """What the training follows from. All else is in the student's weights, of which everything before is part."""
    from distill.training.unfinished import hash_of

    parts = [
        choice_of(run.folder, model).weights,
        quantization_schedule(run.recipe, model),
        run.recipe.distillation.label_weight,
        run.recipe.distillation.methods,
        reduce_range,
        hashlib.sha256(b"".join(image.tobytes() for image in images)).hexdigest(),
    ]
    return hash_of(parts)


def _alone(folder: Path) -> AbstractContextManager[Any]:
    """Two quantizers may need the same training at once; the second waits for the first."""
    folder.mkdir(parents=True, exist_ok=True)
    lock: AbstractContextManager[Any] = require("filelock").FileLock(folder / ".lock")
    return lock
