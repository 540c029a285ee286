"""What the teachers' and the students' stages share: a training, its logits, and the choice among seeds."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from distill.data.samples import UNLABELLED_SPLIT
from distill.data.summary import DataSummary
from distill.data.transforms.settings import AugmentationSettings
from distill.evaluation.choice import Choice
from distill.files import sha256, write_bytes
from distill.pipeline.runfolder import (
    EVALUATED,
    SAMPLES,
    SUMMARY,
    WEIGHTS,
    load_arrays,
    load_samples,
    save_arrays,
)
from distill.pipeline.stage import Progress, Run
from distill.preprocess import PreprocessSpec
from distill.roster import Model, settings_of
from distill.stages.data import home_of
from distill.task import find_task
from distill.training.settings import Schedule, TrainingSettings
from distill.training.views import Views, views_of


@dataclass
class Teachers:
    """Whom a training listens to, by name: cached, or asked at every step (and what those see)."""

    cached: dict[str, Any] = field(default_factory=dict)
    online: dict[str, Any] = field(default_factory=dict)
    sights: dict[str, Any] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.cached or self.online)


def train(
    run: Run,
    network: Any,
    *,
    model: Model,
    objectives: Any,
    schedule: Schedule,
    progress: Progress,
    views: Views | None = None,
    teachers: Teachers | None = None,
    pixels: Any = None,
    augmentation: AugmentationSettings | None = None,
    images: int = 0,
    settings: TrainingSettings | None = None,
) -> None:
    """Train ``network`` into the model's folder; see :func:`distill.training.fit.fit`.

    ``pixels`` are those of the training split unless given, ``augmentation`` and ``settings`` the recipe's. ``views`` are new
    ones every epoch unless given; ``images`` is the length of an epoch if it is not that of the images trained on.
    """
    import torch

    from distill.training.batches import BatchDataset
    from distill.training.fit import TrainingData, fit
    from distill.training.precision import training_threads

    recipe, teachers = run.recipe, teachers or Teachers()
    settings = settings or recipe.training
    torch.set_num_threads(training_threads(settings))
    spec = model.preprocess
    fresh = views_of(flips=settings.horizontal_flip, augmented=False, cached=False, count=1, seed=recipe.seed)
    task = find_task(recipe.task)
    pixels = pixels_of(run, "train", spec=spec, owner=model) if pixels is None else pixels
    data = TrainingData(
        train=BatchDataset(
            pixels,
            targets=task.targets(pixels.samples),
            teachers=teachers.cached,
            sights=teachers.sights,
            augmentation=recipe.augmentation if augmentation is None else augmentation,
            views=views or fresh,
        ),
        valid=BatchDataset(pixels_of(run, "valid", spec=spec, owner=model)),
        spec=spec,
        online=teachers.online,
    )
    fit(
        network,
        task=task,
        objectives=objectives,
        data=data,
        schedule=schedule,
        settings=settings,
        seed=model.seed or 0,
        folder=run.folder / model.folder,
        sidecar=sidecar_of(run, model),
        progress=progress,
        workers=recipe.data.workers,
        total=images,
        precision_file=run.folder / model.common / "precision.json",
    )


def logits_of_splits(run: Run, model: Model) -> None:
    """Keep the raw logits of the best and of the last epoch on every evaluated split."""
    from distill.models import load_model
    from distill.training.inference import predict

    logits: dict[str, Any] = {}
    for prefix, file in (("", WEIGHTS), ("last_", "last.safetensors")):
        network = on_device(run, load_model(run.recipe, model, run.folder / model.folder / file))
        for split in EVALUATED:
            pixels = pixels_of(run, split, spec=model.preprocess)
            if len(pixels):
                logits[prefix + split] = predict(network, pixels).numpy()
    save_arrays(run.folder / model.logits, logits)


def choose(run: Run, progress: Progress, *, model: Model, candidates: Sequence[Model]) -> None:
    """Take the training with the best validation score, calibrate it and freeze its one threshold.

    The same rule holds for teachers (of one training) and for every arm of a student.
    """
    task, labels = find_task(run.recipe.task), labels_of(run, "valid")
    scored = [
        (task.score(labels, load_arrays(run.folder / item.logits)["valid"]), -(item.seed or 0), item)
        for item in candidates
    ]
    best = max(scored, key=lambda entry: entry[:2])[2]
    if best.folder != model.folder:
        for file in (WEIGHTS, "weights.json", "logits.npz"):
            write_bytes(run.folder / model.folder / file, (run.folder / best.folder / file).read_bytes())
    logits = load_arrays(run.folder / model.logits)
    calibration = task.calibrate(labels, logits["valid"])
    found = {
        split: task.probabilities(logits[split], calibration=calibration)
        for split in EVALUATED
        if split in logits
    }
    save_arrays(run.folder / model.predictions, found)
    threshold = task.threshold(labels, found["valid"])
    Choice(
        seed=best.seed or 0,
        calibration=calibration,
        threshold=threshold,
        weights=sha256(run.folder / model.folder / WEIGHTS),
        band=task.band(labels, found["valid"], threshold=threshold),
    ).write(run.folder / model.choice)


def ground_truth(
    run: Run, *, learner: Model, weight: float = 1.0, owner: Model | None = None, labels: Any = None
) -> Any:
    """The learner's loss against the targets ``[N]``, those of the training split (of ``owner``) unless given."""
    task = find_task(run.recipe.task)
    if labels is None:
        labels = task.targets(load_samples(home_of(run, owner).folder).split("train"))
    return task.ground_truth(run.recipe.loss_of(learner.name), labels=labels, weight=weight)


def taught_pixels(run: Run, *, spec: PreprocessSpec) -> Any:
    """What a teacher teaches on: the training split, and the images without a label if there are any."""
    extra = [UNLABELLED_SPLIT] if load_samples(run.folder).split(UNLABELLED_SPLIT) else []
    return pixels_of(run, "train", *extra, spec=spec)


def pixels_of(run: Run, *splits: str, spec: PreprocessSpec, owner: Model | None = None) -> Any:
    """The pixels of one or more splits, decoded once in this process: the run's, or those ``owner`` learns from."""
    home = home_of(run, owner)
    samples = sha256(home.folder / SAMPLES)
    return _open_splits(home.folder, splits, spec, home.settings.memory_mb, samples)


@lru_cache(maxsize=len(EVALUATED) + 1)
def _open_splits(
    folder: Path, splits: tuple[str, ...], spec: PreprocessSpec, memory_mb: int, samples_hash: str
) -> Any:
    """Decoded once for all trainings of a run; another list of samples is another entry."""
    from distill.data.pixels import open_pixels

    dataset = load_samples(folder)
    return open_pixels(dataset.root, dataset.split(*splits), spec=spec, memory_mb=memory_mb)


def labels_of(run: Run, split: str, *, owner: Model | None = None) -> Any:
    """Labels ``[N]`` of a split."""
    return np.array([sample.label for sample in load_samples(home_of(run, owner).folder).split(split)])


def groups_of(run: Run, split: str) -> list[str]:
    """Group of each image of a split ``[N]``; one without is its own."""
    return [sample.group or sample.path for sample in load_samples(run.folder).split(split)]


def on_device(run: Run, network: Any) -> Any:
    """The network on the device that the recipe means."""
    from distill.training.checkpoint import pick_device

    return network.to(pick_device(run.recipe.training.accelerator))


def data_name(run: Run, *, owner: Model | None = None) -> str:
    """What a checkpoint or artifact calls the data it was made from."""
    simulated = DataSummary.read(home_of(run, owner).folder / SUMMARY).simulated
    return "simulated" if simulated else run.recipe.name


def learned_from(run: Run, model: Model) -> dict[str, Any]:
    """How many labelled images, of how many groups (scenes), a model learns from, and what data they are."""
    told = ("train", UNLABELLED_SPLIT) if model.arm == "pool" else ("train",)
    samples = load_samples(home_of(run, model).folder).split(*told)
    groups = {sample.group or sample.path for sample in samples}
    return {
        "data": data_name(run, owner=model),
        "labelled": len(samples),
        "scenes": len(groups),
        "own": model.own_data,
    }


def sidecar_of(run: Run, model: Model) -> dict[str, Any]:
    """What the JSON beside a checkpoint says."""
    teacher = run.recipe.all_teachers[model.name] if model.is_teacher else None
    begun = Path(teacher.weights).name if teacher and teacher.fine_tune else None
    return {
        **({"fine_tuned_from": begun} if begun else {}),
        "architecture": model.architecture,
        "options": settings_of(run.recipe, model).options,
        "task": find_task(run.recipe.task).described,
        "preprocess": model.preprocess.model_dump(mode="json"),
        "data": data_name(run, owner=model),
        "learned_from": learned_from(run, model),
        "recipe": run.recipe.name,
        "seed": model.seed or 0,
    }
