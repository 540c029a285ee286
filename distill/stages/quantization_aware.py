"""A student trained once more with quantization in the loop, on the same labels, teachers and views as before.

It is done once for all quantizers that calibrate alike.
"""

import hashlib
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from distill.data.samples import UNLABELLED_SPLIT
from distill.evaluation.calibration import Calibration
from distill.evaluation.choice import choice_of
from distill.optional import require
from distill.pipeline.runfolder import WEIGHTS, load_samples
from distill.pipeline.stage import Progress, Run
from distill.preprocess import Pixels
from distill.recipe import Recipe, Schedule
from distill.roster import Model, roster_of
from distill.stages.sources import shown_views, sources_of
from distill.stages.student import objectives_of, open_sources, shown_pixels
from distill.stages.training import labels_of, sidecar_of, train
from distill.task import find_task

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


def retrain(
    run: Run, progress: Progress, *, model: Model, images: Sequence[Pixels], reduce_range: bool
) -> Retrained:
    """The distilled student ``model`` after quantization-aware training, or what an equal call left.

    Args:
        run: with the finished student.
        progress: is told of the steps.
        model: the student.
        images: calibration images, uint8 ``[1, S, S, 3]`` or ``[S, S, 3]`` each.
        reduce_range: weights to 7 bits.

    Raises:
        EdgeproofError: whatever the training of the student may raise.
    """
    from distill.models import load_model
    from distill.training.checkpoint import read_sidecar

    folder = run.folder / model.folder / FOLDER
    key = _key(run, model, images=images, reduce_range=reduce_range)
    with _alone(folder):
        path = folder / WEIGHTS
        if not path.is_file() or read_sidecar(path).get("key") != key:
            _train(run, progress, model=model, images=images, reduce_range=reduce_range, key=key)
        sidecar = read_sidecar(path)
        return Retrained(
            network=load_model(run.recipe, model, path),
            calibration=Calibration.model_validate(sidecar["calibration"]),
            weights=sidecar["sha256"],
        )


def _train(
    run: Run, progress: Progress, *, model: Model, images: Sequence[Pixels], reduce_range: bool, key: str
) -> None:
    import torch

    from distill.models import load_model
    from distill.stages.training import on_device, pixels_of
    from distill.training.checkpoint import load_weights, save_weights
    from distill.training.fake_quant import FakeQuantized
    from distill.training.inference import predict

    own = replace(model, folder=f"{model.folder}/{FOLDER}/training", seed=choice_of(run.folder, model).seed)
    torch.manual_seed(own.seed or 0)
    network = FakeQuantized(
        load_model(run.recipe, model, run.folder / model.folder / WEIGHTS),
        images=torch.from_numpy(np.stack([image.reshape(image.shape[-3:]) for image in images])),
        spec=model.preprocess,
        reduce_range=reduce_range,
    ).train()
    sources = sources_of(run.recipe, roster_of(run.recipe))
    pixels = shown_pixels(run, model, taught=True)
    train(
        _plainly(run, model),
        network,
        model=own,
        objectives=objectives_of(run, model, sources=sources, pixels=pixels),
        schedule=quantization_schedule(run.recipe, model),
        progress=progress,
        views=shown_views(run.recipe, roster_of(run.recipe)),
        teachers=open_sources(run, sources, student=model),
        pixels=pixels,
        images=len(load_samples(run.folder).split("train", UNLABELLED_SPLIT)),
    )
    load_weights(network, run.folder / own.folder / WEIGHTS)
    logits = predict(on_device(run, network), pixels_of(run, "valid", spec=model.preprocess)).numpy()
    calibration = find_task(run.recipe.task).calibrate(labels_of(run, "valid"), logits)
    sidecar = {**sidecar_of(run, own), "key": key, "calibration": calibration.model_dump(mode="json")}
    save_weights(network.plain(), run.folder / model.folder / FOLDER / WEIGHTS, sidecar=sidecar)


def quantization_schedule(recipe: Recipe, model: Model) -> Schedule:
    """The student's own schedule, short and careful: it starts from trained weights."""
    settings, repair = recipe.students[model.name], recipe.repair
    return settings.model_copy(
        update={
            "epochs": repair.epochs,
            "learning_rate": settings.learning_rate * repair.learning_rate,
            "ema": 0.0,
            "patience": 0,
            "frozen_epochs": 0,
        }
    )


def _plainly(run: Run, model: Model) -> Run:
    """The run without what fake quantization cannot stand (compiled steps, processes it must be sent to).

    The number format is that of the student's own training, whose measurement stands in the same file.
    """
    from distill.training.pace import Pace

    training, kept = run.recipe.training, run.folder / model.common / "precision.json"
    precision: str = training.precision
    if precision == "auto":
        precision = Pace.read(kept).precision if kept.is_file() else "fp32"
    training = training.model_copy(update={"compile": False, "devices": 1, "precision": precision})
    return replace(run, recipe=run.recipe.model_copy(update={"training": training}))


def _key(run: Run, model: Model, *, images: Sequence[Pixels], reduce_range: bool) -> str:
    """What the training follows from. All else is in the student's weights, of which everything before is part."""
    from distill.training.unfinished import hash_of

    parts = [
        choice_of(run.folder, model).weights,
        quantization_schedule(run.recipe, model),
        run.recipe.distillation,
        reduce_range,
        hashlib.sha256(b"".join(image.tobytes() for image in images)).hexdigest(),
    ]
    return hash_of(parts)


def _alone(folder: Any) -> AbstractContextManager[Any]:
    """Two quantizers may need the same training at once; the second waits for the first."""
    folder.mkdir(parents=True, exist_ok=True)
    lock: AbstractContextManager[Any] = require("filelock").FileLock(folder / ".lock")
    return lock
