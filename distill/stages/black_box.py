"""A teacher that is no network here: a table of its answers, checked and put where a network's answers would stand."""

from pathlib import Path

import numpy as np

from distill.data.predictions import Scores, answers_of, read_predictions
from distill.data.samples import UNLABELLED_SPLIT, Dataset
from distill.files import at_home, sha256, write_json, write_tensors
from distill.pipeline.runfolder import EVALUATED, WEIGHTS, load_samples, save_arrays
from distill.pipeline.stage import Run
from distill.roster import Model
from distill.stages.listening import cache_key
from distill.stages.sources import Source
from distill.stages.training import sidecar_of

_ASKED = ("train", UNLABELLED_SPLIT, *EVALUATED)


def adopt_answers(run: Run, model: Model) -> None:
    """Keep the answers as a teacher's weights would be kept, and its logits on the evaluated splits.

    Raises:
        EdgeproofError: an image without an answer, or answers that are the wrong way round.
    """
    import torch

    from distill.task import find_task
    from distill.training.history import HISTORY, History

    dataset, folder = load_samples(run.folder), run.folder / model.folder
    table = path_of(run, model)
    logits = _logits(run, model, dataset, *_ASKED)  # all at once: the check is of the whole table
    sidecar = {
        **sidecar_of(run, model),
        "adopted_from": table.name,
        "trained_on": "unknown",
        "learned_from": None,
    }
    for name in (WEIGHTS, "last.safetensors"):
        write_tensors(folder / name, {"logits": torch.from_numpy(logits.astype(np.float32))})
        side = {**sidecar, "sha256": sha256(folder / name)}
        write_json((folder / name).with_suffix(".json"), side)
    metric = find_task(run.recipe.task).metric
    History(metric=metric, epochs=(), best_epoch=0, seconds=0.0).write(folder / HISTORY)
    said = {split: _logits(run, model, dataset, split) for split in EVALUATED if dataset.split(split)}
    save_arrays(
        run.folder / model.logits, {**said, **{f"last_{split}": value for split, value in said.items()}}
    )


def cache_answers(run: Run, source: Source) -> None:
    """Write the answers for the images that students learn on, as :func:`distill.training.inference.write_cache` does."""
    from distill.training.tensorfile import create_tensors

    logits = _logits(run, source.teacher, load_samples(run.folder), "train", UNLABELLED_SPLIT)
    shapes = {"logits": ("float32", (len(logits), 1)), "draws": ("int64", (len(logits), 1))}
    key = cache_key(run, source).text()
    with create_tensors(run.folder / source.outputs, shapes, metadata={"key": key}) as arrays:
        arrays["logits"][:, 0] = logits
        arrays["draws"][:] = 0


def path_of(run: Run, model: Model) -> Path:
    """The table that the recipe names."""
    return at_home(run.recipe.all_teachers[model.name].predictions)


def _logits(run: Run, model: Model, dataset: Dataset, *splits: str) -> Scores:
    table = read_predictions(path_of(run, model))
    return answers_of(table, dataset, dataset.split(*splits), key=f"{model.section}.predictions")
