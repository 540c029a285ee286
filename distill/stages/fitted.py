"""The work of a student's stage where the student is fitted instead of trained: a classical head behind a frozen backbone."""

import time
from typing import Any

import numpy as np
import numpy.typing as npt

from distill.errors import EdgeproofError
from distill.files import sha256
from distill.methods.method import Method
from distill.pipeline.runfolder import EVALUATED, SAMPLES, WEIGHTS, save_arrays
from distill.pipeline.stage import Progress, Run
from distill.roster import Model
from distill.stages.listening import open_sources
from distill.stages.sources import Source, methods_for
from distill.stages.training import Teachers, on_device, pixels_of, sidecar_of, taught_pixels
from distill.task import Task, find_task

Shares = npt.NDArray[np.float64]
FOLDER = "embeddings"  # in the run folder: shared by all that have the same backbone


def fit_student(
    run: Run,
    progress: Progress,
    *,
    network: Any,
    model: Model,
    sources: tuple[Source, ...],
    pixels: Any,
    started: float,
) -> None:
    """Fit the head of ``network`` to ``pixels``, and leave what a training leaves; ``started`` is when its work began.

    Raises:
        EdgeproofError: too few images or groups of a class for the head, in the words of the student's section.
    """
    from distill.training.fitting import Lesson, fit_head
    from distill.training.precision import training_threads

    task = find_task(run.recipe.task)
    network = on_device(run, network)
    lesson = Lesson(
        embeddings=_embeddings(run, network, model, pixels, progress=progress),
        shares=shares_of(run, model, sources=sources, pixels=pixels),
        groups=[sample.group or sample.path for sample in pixels.samples],
        names=class_names(task),
    )
    threads = training_threads(run.recipe.training)
    try:
        fit = fit_head(network, lesson, task=task, seed=model.seed or 0, threads=threads, progress=progress)
    except EdgeproofError as error:
        raise EdgeproofError(f"{model.section}: {error}") from None
    about = {
        "head": network.head_name,
        "chosen": dict(fit.chosen),
        "score": fit.score,
        "folds": network.folds,
    }
    _leave(run, network, model=model, about=about, score=fit.score, seconds=time.monotonic() - started)
    _keep_logits(run, network, model)


def class_names(task: Task) -> tuple[str, ...]:
    """The classes that a head tells apart: two for one logit."""
    described = task.described
    return tuple(described["labels"]) if isinstance(described, dict) else task.labels


def shares_of(run: Run, model: Model, *, sources: tuple[Source, ...], pixels: Any) -> Shares:
    """What is learned of each image, ``[N, C]``: its label, and where a student is taught, what its teachers say.

    Label and teachers are averaged with the weights that the recipe gives their losses; an unlabelled image has the
    teachers alone.
    """
    task = find_task(run.recipe.task)
    targets = task.targets(pixels.samples)
    labels = np.eye(len(class_names(task)))[np.maximum(targets, 0)] * (targets >= 0)[:, None]
    if not sources:
        return labels
    teachers = open_sources(run, sources, student=model)
    total = run.recipe.distillation.lesson(model.arm).label_weight * labels
    for method in methods_for(run.recipe, model, [source.teacher for source in sources]):
        said = _logits(run, teachers, method.teachers[0], sources)
        total = total + method.weight * _softened(said, method)
    shares: Shares = total / total.sum(axis=1, keepdims=True)
    return shares


def _softened(logits: npt.NDArray[np.float32], method: Method) -> Shares:
    """Probabilities ``[N, C]`` at the temperature of a method that has one."""
    classes = logits if logits.ndim == 2 else np.stack([np.zeros_like(logits), logits], axis=1)
    scaled = classes.astype(np.float64) / float(getattr(method, "temperature", 1.0))
    found = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    shares: Shares = found / found.sum(axis=1, keepdims=True)
    return shares


def _logits(run: Run, teachers: Teachers, name: str, sources: tuple[Source, ...]) -> npt.NDArray[np.float32]:
    """What a teacher says of the images as they are."""
    from distill.training.inference import predict

    [spec] = [source.teacher.preprocess for source in sources if source.teacher.name == name]
    pixels = taught_pixels(run, spec=spec)
    if name in teachers.cached:
        found: npt.NDArray[np.float32] = teachers.cached[name].clean(np.arange(len(pixels)))
        return found
    return np.asarray(predict(teachers.online[name].module, pixels).numpy())


def _embeddings(
    run: Run,
    network: Any,
    model: Model,
    pixels: Any,
    *,
    splits: tuple[str, ...] = (),
    progress: Progress | None = None,
) -> Any:
    from distill.training.embeddings import EmbeddingKey, backbone_hash, embed_once

    shown = splits or tuple(sorted({sample.split for sample in pixels.samples}))
    key = EmbeddingKey(
        backbone=backbone_hash(network),
        spec=model.preprocess,
        samples=sha256(run.folder / SAMPLES),
        splits=shown,
    )
    return embed_once(network, pixels, key=key, folder=run.folder / FOLDER, progress=progress)


def _leave(
    run: Run, network: Any, *, model: Model, about: dict[str, Any], score: float | None, seconds: float
) -> None:
    """The files of a training: its best epoch is its last, and it has none."""
    from distill.training.checkpoint import save_weights
    from distill.training.history import HISTORY, History

    folder = run.folder / model.folder
    sidecar = {**sidecar_of(run, model), "precision": "fp32", "epoch": 0, "fitted": about}
    for name in (WEIGHTS, "last.safetensors"):
        save_weights(network, folder / name, sidecar=sidecar)
    metric = find_task(run.recipe.task).metric
    History(
        metric=metric, epochs=(), best_epoch=0, seconds=seconds, precision="fp32", fitted_score=score
    ).write(folder / HISTORY)


def _keep_logits(run: Run, network: Any, model: Model) -> None:
    """Raw logits of every evaluated split, from its embeddings."""
    import torch

    network = network.cpu()
    logits: dict[str, Any] = {}
    for split in EVALUATED:
        pixels = pixels_of(run, split, spec=model.preprocess)
        if not len(pixels):
            continue
        embeddings = torch.from_numpy(_embeddings(run, network, model, pixels, splits=(split,)))
        with torch.inference_mode():
            said = torch.cat([network.classify(part) for part in torch.split(embeddings, 256)])
        logits[split] = logits[f"last_{split}"] = said.numpy()
    save_arrays(run.folder / model.logits, logits)
