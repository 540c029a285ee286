"""What the teacher's and the students' stages share: a training, its predictions, and their calibration."""

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from distill.data.samples import UNLABELLED_SPLIT
from distill.files import read_json, sha256, write_json
from distill.pipeline.runfolder import (
    EVALUATED,
    PREDICTIONS,
    SAMPLES,
    SUMMARY,
    TEACHER,
    WEIGHTS,
    chosen_folder,
    load_dataset,
    save_predictions,
)
from distill.pipeline.stage import Progress, Run
from distill.preprocess import PreprocessSpec
from distill.recipe import Schedule


def train(
    run: Run,
    model: Any,
    *,
    name: str,
    objectives: Any,
    schedule: Schedule,
    seed: int,
    folder: Path,
    progress: Progress,
    teacher: Any = None,
    images: int = 0,
) -> None:
    """Train ``model`` into ``folder``; see :func:`distill.training.fit.fit`.

    ``teacher`` holds cached outputs: with them, images without a label train too. ``images`` is the length of an
    epoch if it is not that of the images trained on.
    """
    import torch

    from distill.training.batches import BatchDataset
    from distill.training.fit import TrainingData, fit
    from distill.training.precision import training_threads

    torch.set_num_threads(training_threads(run.recipe.training))
    data = TrainingData(
        train=BatchDataset(
            taught_pixels(run) if teacher else pixels_of(run, "train"),
            teacher=teacher,
            augmentation=run.recipe.augmentation,
        ),
        valid=BatchDataset(pixels_of(run, "valid")),
        spec=run.recipe.preprocess,
    )
    fit(
        model,
        objectives=objectives,
        data=data,
        schedule=schedule,
        settings=run.recipe.training,
        seed=seed,
        folder=folder,
        sidecar=describe(run, name, seed=seed),
        progress=progress,
        workers=run.recipe.data.workers,
        total=images,
    )


def predict_evaluated(run: Run, name: str, folder: Path) -> None:
    """Logits of the best and of the last epoch on every evaluated split."""
    from distill.models import load_model
    from distill.training.inference import predict

    logits: dict[str, Any] = {}
    for prefix, file in (("", WEIGHTS), ("last_", "last.safetensors")):
        model = on_device(run, load_model(run.recipe, name, folder / file))
        for split in EVALUATED:
            pixels = pixels_of(run, split)
            if len(pixels):
                logits[prefix + split] = predict(model, pixels)[0].numpy()
    save_predictions(folder / PREDICTIONS, logits)


def calibrate(run: Run, model: str, logits: Any, *, seed: int) -> None:
    """Fit temperature and bias, then the one threshold, on clean validation data."""
    from distill.evaluation.fit_calibration import fit_calibration
    from distill.evaluation.metrics import choose_threshold

    labels = labels_of(run, "valid")
    calibration = fit_calibration(labels, logits)
    probabilities = 1 / (
        1 + np.exp(-(logits.astype(np.float64) / calibration.temperature + calibration.bias))
    )
    choice = {
        "seed": seed,
        "calibration": calibration.model_dump(),
        "threshold": choose_threshold(labels, probabilities),
        "weights": sha256(run.folder / chosen_folder(model) / WEIGHTS),
    }
    write_json(run.folder / chosen_folder(model) / "choice.json", choice)


def ground_truth(run: Run, *, weight: float = 1.0) -> Any:
    """The recipe's loss against the labels."""
    from distill.methods.ground_truth import GroundTruth

    settings = run.recipe.loss
    labels = labels_of(run, "train")
    balance = float((labels == 0).sum() / (labels == 1).sum())
    pos_weight = {"auto": balance, "none": 1.0}.get(str(settings.pos_weight))
    return GroundTruth(
        weight=weight,
        kind=settings.kind,
        pos_weight=float(settings.pos_weight) if pos_weight is None else pos_weight,
        gamma=settings.focal_gamma,
    )


def taught_pixels(run: Run) -> Any:
    """What a teacher teaches on: the training split, and the images without a label if there are any."""
    extra = [UNLABELLED_SPLIT] if load_dataset(run.folder).split(UNLABELLED_SPLIT) else []
    return pixels_of(run, "train", *extra)


def pixels_of(run: Run, *splits: str) -> Any:
    """The pixels of one or more splits, decoded once in this process."""
    recipe = run.recipe
    return _open_splits(
        run.folder, splits, recipe.preprocess, recipe.data.memory_mb, sha256(run.folder / SAMPLES)
    )


@lru_cache(maxsize=len(EVALUATED) + 1)
def _open_splits(
    folder: Path, splits: tuple[str, ...], spec: PreprocessSpec, memory_mb: int, samples_hash: str
) -> Any:
    """Decoded once for all trainings of a run; another list of samples is another entry."""
    from distill.data.pixels import open_pixels

    dataset = load_dataset(folder)
    return open_pixels(dataset.root, dataset.split(*splits), spec=spec, memory_mb=memory_mb)


def labels_of(run: Run, split: str) -> Any:
    """Labels ``[N]`` of a split."""
    return np.array([sample.label for sample in load_dataset(run.folder).split(split)])


def on_device(run: Run, model: Any) -> Any:
    """The model on the device that the recipe means."""
    from distill.training.checkpoint import pick_device

    return model.to(pick_device(run.recipe.training.accelerator))


def describe(run: Run, name: str, *, seed: int) -> dict[str, Any]:
    """What the JSON beside a checkpoint says."""
    settings = run.recipe.teacher if name == TEACHER else run.recipe.students[name]
    return {
        "architecture": settings.name,
        "options": settings.options,
        "num_logits": 1,
        "preprocess": run.recipe.preprocess.model_dump(mode="json"),
        "data": "simulated" if read_json(run.folder / SUMMARY)["simulated"] else run.recipe.name,
        "recipe": run.recipe.name,
        "seed": seed,
    }
