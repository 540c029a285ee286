"""The work of a teacher's stages: trained or adopted, and asked once for its outputs."""

from pathlib import Path
from typing import Any

import numpy as np

from distill.files import at_home, sha256, write_json
from distill.pipeline.runfolder import WEIGHTS, load_arrays
from distill.pipeline.stage import Progress, Run
from distill.pretrained import find_weights, read_about
from distill.recipe import Recipe
from distill.roster import Model
from distill.stages.black_box import adopt_answers, cache_answers
from distill.stages.listening import cache_key, open_sources
from distill.stages.sources import Source, methods_for
from distill.stages.teacher_check import check_outputs, check_polarity, labelled_rows
from distill.stages.training import (
    data_name,
    ground_truth,
    labels_of,
    logits_of_splits,
    on_device,
    sidecar_of,
    taught_pixels,
    train,
)
from distill.task import find_task
from distill.training.views import Views


def train_teacher(
    run: Run,
    progress: Progress,
    *,
    model: Model,
    sources: tuple[Source, ...] = (),
    views: Views | None = None,
) -> None:
    """Train the teacher (on what others say if there are ``sources``, from weights that it may have already), or take the
    weights or answers that are named.
    """
    import torch

    from distill.check import check_weights
    from distill.methods.face_box import FaceBox
    from distill.models import make_model
    from distill.training.weights_file import adopt_weights

    if model.black_box:
        adopt_answers(run, model)
        _describe(run, model)
        return
    settings = run.recipe.all_teachers[model.name]
    torch.manual_seed(run.recipe.seed)
    network = make_model(run.recipe, model)
    if settings.weights:
        check_weights(run.recipe, model)
        adopt_weights(network, _source(run, model), generated_class=settings.generated_class)
    if settings.finished:
        _keep(run, model, network)
    else:
        box = [FaceBox(weight=settings.box_weight)] if settings.box_weight else []
        pixels = taught_pixels(run, spec=model.preprocess) if sources else None
        train(
            run,
            network,
            model=model,
            objectives=[*_lessons(run, model, sources=sources, pixels=pixels), *box],
            schedule=settings,
            progress=progress,
            views=views,
            teachers=open_sources(run, sources, student=model),
            pixels=pixels,
        )
    logits_of_splits(run, model)
    _describe(run, model)
    if settings.finished:
        check_polarity(run, model)


def _lessons(run: Run, model: Model, *, sources: tuple[Source, ...], pixels: Any) -> list[Any]:
    """What a teacher learns: the labels, and what an assistant hears from the teacher before it."""
    if not sources:
        return [ground_truth(run, learner=model, owner=model)]
    labels = np.array([sample.label for sample in pixels.samples])
    taught = methods_for(run.recipe, model, [source.teacher for source in sources])
    return [
        ground_truth(run, learner=model, weight=run.recipe.distillation.label_weight, labels=labels),
        *taught,
    ]


def weights_state(recipe: Recipe, *, model: Model) -> str:
    """SHA-256 of the weights or answers that the recipe names: another file under the same name is another teacher."""
    if table := recipe.all_teachers[model.name].predictions:
        path = at_home(table)
        return sha256(path) if path.is_file() else ""  # the stage will say that there is none
    given = recipe.all_teachers[model.name].weights
    return sha256(find_weights(given, key=f"{model.section}.weights")) if given else ""


def _describe(run: Run, model: Model) -> None:
    """Add to the sidecar what it was measured to know, on images of this run that it did not learn from."""
    from distill.training.checkpoint import read_sidecar

    task, logits = find_task(run.recipe.task), load_arrays(run.folder / model.logits)
    metrics = {
        str(split): task.score(labels_of(run, split), logits[split])
        for split in ("valid", "test", "heldout")
        if split in logits
    }
    path = run.folder / model.folder / WEIGHTS
    about = read_sidecar(path)
    knows: dict[str, Any] = {"name": task.metric, "data": data_name(run), **metrics}
    write_json(path.with_suffix(".json"), {**about, "metric": knows})


def cache_outputs(run: Run, progress: Progress, *, source: Source) -> None:
    """Keep what a teacher says of every training image in every view, once it is seen to be the teacher it was."""
    from distill.models import load_model
    from distill.training.inference import write_cache
    from distill.training.teachers import Cached

    teacher = source.teacher
    pixels = taught_pixels(run, spec=teacher.preprocess)
    path, key = run.folder / source.outputs, cache_key(run, source)
    if teacher.black_box:
        cache_answers(run, source)
    else:
        network = on_device(run, load_model(run.recipe, teacher, run.folder / teacher.folder / WEIGHTS))
        write_cache(network, pixels, key=key, path=path, progress=progress)
    labels = np.array([sample.label for sample in pixels.samples])
    rows = labelled_rows(labels, seed=run.recipe.seed)
    check_outputs(run, teacher, labels=labels[rows], logits=Cached(path, key=key).clean(rows), what=str(path))


def _source(run: Run, model: Model) -> Path:
    """The file of the weights that the recipe names."""
    return find_weights(run.recipe.all_teachers[model.name].weights, key=f"{model.section}.weights")


def _keep(run: Run, model: Model, network: Any) -> None:
    """Save finished weights as they are; a history with no epochs says that nothing was trained."""
    from distill.training.checkpoint import read_sidecar, save_weights
    from distill.training.history import History

    source = _source(run, model)
    about = read_sidecar(source) if read_about(source) else {}
    sidecar = {
        **sidecar_of(run, model),
        "adopted_from": source.name,
        "trained_on": about.get("data", "unknown"),
        "learned_from": about.get("learned_from"),
        "promised": about.get("metric"),
    }
    folder = run.folder / model.folder
    for name in (WEIGHTS, "last.safetensors"):
        save_weights(network, folder / name, sidecar=sidecar)
    metric = find_task(run.recipe.task).metric
    History(metric=metric, epochs=(), best_epoch=0, seconds=0.0).write(folder / "history.json")
