"""The work of a teacher's stages: trained or adopted, and asked once for its outputs."""

from pathlib import Path
from typing import Any

from distill.errors import EdgeproofError
from distill.files import sha256
from distill.pipeline.runfolder import SAMPLES, WEIGHTS
from distill.pipeline.stage import Progress, Run
from distill.roster import Model
from distill.stages.sources import Source
from distill.stages.training import (
    ground_truth,
    logits_of_splits,
    on_device,
    sidecar_of,
    taught_pixels,
    train,
)


def train_teacher(run: Run, progress: Progress, *, model: Model) -> None:
    """Train the teacher, or take the weights that the recipe names."""
    import torch

    from distill.methods.face_box import FaceBox
    from distill.models import make_model

    settings = run.recipe.all_teachers[model.name]
    torch.manual_seed(run.recipe.seed)
    network = make_model(run.recipe, model)
    if settings.weights:
        _adopt(run, model, network, Path(settings.weights).expanduser())
    else:
        box = [FaceBox(weight=settings.box_weight)] if settings.box_weight else []
        train(
            run,
            network,
            model=model,
            objectives=[ground_truth(run), *box],
            schedule=settings,
            progress=progress,
        )
    logits_of_splits(run, model)


def cache_outputs(run: Run, progress: Progress, *, source: Source) -> None:
    """Keep what a teacher says of every training image in every view."""
    from distill.models import load_model
    from distill.training.inference import write_cache

    teacher = source.teacher
    network = on_device(run, load_model(run.recipe, teacher, run.folder / teacher.folder / WEIGHTS))
    pixels = taught_pixels(run, spec=teacher.preprocess)
    path = run.folder / source.outputs
    write_cache(network, pixels, key=cache_key(run, source), path=path, progress=progress)


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


def _adopt(run: Run, model: Model, network: Any, source: Path) -> None:
    """Take finished weights instead of training; a history with no epochs says so."""
    from distill.task import find_task
    from distill.training.checkpoint import load_weights, read_sidecar, save_weights
    from distill.training.history import History

    if not source.is_file():
        raise EdgeproofError(
            f"{model.section}.weights: {source}: no such file, expected a .safetensors checkpoint"
        )
    about = read_sidecar(source) if source.with_suffix(".json").is_file() else {}
    load_weights(network, source)
    sidecar = {
        **sidecar_of(run, model),
        "adopted_from": source.name,
        "trained_on": about.get("data", "unknown"),
    }
    folder = run.folder / model.folder
    for name in (WEIGHTS, "last.safetensors"):
        save_weights(network, folder / name, sidecar=sidecar)
    metric = find_task(run.recipe.task).metric
    History(metric=metric, epochs=(), best_epoch=0, seconds=0.0).write(folder / "history.json")
