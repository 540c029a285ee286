"""The work of the teacher's stages: trained or adopted, calibrated, and asked once for its outputs."""

import json
from pathlib import Path
from typing import Any

from distill.errors import EdgeproofError
from distill.files import sha256, write_json
from distill.pipeline.runfolder import (
    PREDICTIONS,
    SAMPLES,
    TEACHER,
    TEACHER_OUTPUTS,
    WEIGHTS,
    load_predictions,
)
from distill.pipeline.stage import Progress, Run
from distill.recipe import Recipe
from distill.stages.training import (
    calibrate,
    describe,
    ground_truth,
    on_device,
    predict_evaluated,
    taught_pixels,
    train,
)


def train_teacher(run: Run, progress: Progress) -> None:
    """Train the teacher, or take the weights that the recipe names."""
    import torch

    from distill.methods.face_box import FaceBox
    from distill.models import make_model

    recipe = run.recipe.teacher
    torch.manual_seed(run.recipe.seed)
    model = make_model(run.recipe, TEACHER)
    folder = run.folder / TEACHER
    if recipe.weights:
        _adopt(run, model, Path(recipe.weights).expanduser(), folder)
    else:
        objectives = [ground_truth(run), *([FaceBox(weight=recipe.box_weight)] if recipe.box_weight else [])]
        train(
            run,
            model,
            name=TEACHER,
            objectives=objectives,
            schedule=recipe,
            seed=run.recipe.seed,
            folder=folder,
            progress=progress,
        )
    predict_evaluated(run, TEACHER, folder)


def _adopt(run: Run, model: Any, source: Path, folder: Path) -> None:
    """Take finished weights instead of training; a history with no epochs says so."""
    from distill.training.checkpoint import load_weights, read_sidecar, save_weights

    if not source.is_file():
        raise EdgeproofError(f"teacher.weights: {source}: no such file, expected a .safetensors checkpoint")
    about = read_sidecar(source) if source.with_suffix(".json").is_file() else {}
    load_weights(model, source)
    sidecar = {
        **describe(run, TEACHER, seed=run.recipe.seed),
        "adopted_from": source.name,
        "trained_on": about.get("data", "unknown"),
    }
    for name in (WEIGHTS, "last.safetensors"):
        save_weights(model, folder / name, sidecar=sidecar)
    write_json(folder / "history.json", {"epochs": [], "best_epoch": 0, "seconds": 0.0})


def choose_teacher(run: Run, progress: Progress) -> None:
    """Calibrate the teacher; there is one only."""
    calibrate(
        run, TEACHER, load_predictions(run.folder / TEACHER / PREDICTIONS)["valid"], seed=run.recipe.seed
    )


def cache_teacher(run: Run, progress: Progress) -> None:
    """Keep what the teacher says of every training image in every view."""
    from distill.methods import wanted_features
    from distill.models import channels, freeze, load_model
    from distill.training.inference import teacher_outputs
    from distill.training.teachers import save_outputs

    teacher = freeze(on_device(run, load_model(run.recipe, TEACHER, run.folder / TEACHER / WEIGHTS)))
    features = wanted_features(run.recipe.distillation.methods, teacher=channels(teacher))
    views = 2 if run.recipe.training.horizontal_flip else 1
    outputs = teacher_outputs(teacher, taught_pixels(run), features=features, views=views, progress=progress)
    save_outputs(outputs, run.folder / TEACHER_OUTPUTS, key=_outputs_key(run))


def cached_outputs(run: Run) -> Any:
    """What :func:`cache_teacher` kept, if it belongs to this teacher, data and transform."""
    from distill.training.teachers import load_outputs

    return load_outputs(run.folder / TEACHER_OUTPUTS, key=_outputs_key(run))


def _outputs_key(run: Run) -> str:
    """Teacher, data and transform: what the cached outputs depend on."""
    parts = [
        sha256(run.folder / TEACHER / WEIGHTS),
        sha256(run.folder / SAMPLES),
        *reads_outputs(run.recipe),
    ]
    return json.dumps(parts, sort_keys=True)


def reads_outputs(recipe: Recipe) -> Any:
    """The parts of a recipe that the cached outputs depend on."""
    hints = [method.teacher_feature for method in recipe.distillation.methods if method.name == "hint"]
    return [recipe.preprocess.model_dump(mode="json"), recipe.training.horizontal_flip, hints]
