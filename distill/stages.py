"""The stages of this package: data, audit, teacher, its outputs, students, and the choice among seeds."""

import json
import os
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from distill.data.samples import Dataset
from distill.errors import EdgeproofError
from distill.files import read_json, sha256, write_json
from distill.preprocess import PreprocessSpec
from distill.recipe import Recipe, Schedule
from distill.runfolder import (
    AUDIT,
    EVALUATED,
    KINDS,
    PREDICTIONS,
    SAMPLES,
    SUMMARY,
    TEACHER,
    TEACHER_OUTPUTS,
    WEIGHTS,
    chosen_folder,
    load_dataset,
    load_predictions,
    save_dataset,
    save_predictions,
    training_folder,
)
from distill.stage import Progress, Run, Stage

CHOSEN = (WEIGHTS, "weights.json", "choice.json", PREDICTIONS)
TRAINED = (WEIGHTS, "weights.json", "last.safetensors", "history.json", PREDICTIONS)


def distill_stages(recipe: Recipe) -> list[Stage]:
    """Everything up to the students that will be deployed."""
    return [
        Stage("data", "data", make_data, _reads_data, outputs=(SAMPLES, SUMMARY), cost=30),
        Stage(
            "audit", "data", audit_data, _reads_audit, needs=("data",), outputs=(AUDIT,), cost=5, stops=True
        ),
        Stage(
            "teacher",
            "teach",
            train_teacher,
            _reads_teacher,
            needs=("audit",),
            outputs=_in(TEACHER, TRAINED),
            cost=120,
        ),
        Stage(
            "teacher:choice",
            "teach",
            choose_teacher,
            lambda _: None,
            needs=("teacher",),
            outputs=("teacher/choice.json",),
            cost=1,
        ),
        Stage(
            "teacher:outputs",
            "distill",
            cache_teacher,
            _reads_outputs,
            needs=("teacher",),
            outputs=(TEACHER_OUTPUTS,),
            cost=15,
        ),
        *[stage for name in recipe.students for stage in student_stages(recipe, name)],
    ]


def student_stages(recipe: Recipe, name: str) -> list[Stage]:
    """Each seed with and without the teacher, then the choice of what is deployed."""
    stages = []
    for kind in KINDS:
        for seed in recipe.training.seeds:
            stages.append(_training_stage(recipe, name, seed=seed, kind=kind))
        model = name if kind == "distilled" else f"{name}/control"
        needs = tuple(stage.name for stage in stages if stage.name.endswith(kind))
        outputs = _in(chosen_folder(model), CHOSEN)
        stages.append(
            Stage(f"choose:{model}", "distill", _chooser(name, kind), lambda _: None, needs, outputs)
        )
    return stages


def _training_stage(recipe: Recipe, name: str, *, seed: int, kind: str) -> Stage:
    def action(run: Run, progress: Progress) -> None:
        train_student(run, progress, name=name, seed=seed, kind=kind)

    def reads(recipe: Recipe) -> Any:
        parts = [
            recipe.students[name],
            recipe.loss,
            recipe.training.model_copy(update={"seeds": ()}),
            recipe.preprocess,
        ]
        return _dump(*parts, *([recipe.distillation] if kind == "distilled" else []))

    needs = ("audit", "teacher:outputs") if kind == "distilled" else ("audit",)
    outputs = _in(training_folder(name, seed=seed, kind=kind), TRAINED)
    return Stage(f"student:{name}:seed{seed}:{kind}", "distill", action, reads, needs, outputs, cost=25)


def make_data(run: Run, progress: Progress) -> None:
    """Simulate, or list the user's folder; split by group; leave bad files out."""
    from distill.data.audit import summary
    from distill.data.layouts import load_dataset as read_layout
    from distill.data.pixels import find_unreadable
    from distill.data.splits import with_splits
    from distill.precision import thread_count

    settings = run.recipe.data
    if settings.path:
        found = read_layout(Path(settings.path).expanduser(), layout=settings.layout)
        found = with_splits(
            found, valid_share=settings.valid_share, test_share=settings.test_share, seed=run.recipe.seed
        )
        threads = thread_count(run.recipe.training.threads)
        found = find_unreadable(
            found, max_bad_share=settings.max_bad_share, threads=threads, progress=progress
        )
    else:
        found = _simulate(run, progress)
    save_dataset(found, run.folder)
    held_out = sorted({s.generator for s in found.split("heldout") if s.generator})
    write_json(run.folder / SUMMARY, summary(found, held_out=held_out))


def _simulate(run: Run, progress: Progress) -> Dataset:
    from distill.data.simulate.writer import simulate
    from distill.precision import thread_count

    settings = run.recipe.data.simulate
    if settings is None:
        raise EdgeproofError("data: neither data.path nor [data.simulate] is given")
    workers = thread_count(run.recipe.training.threads)
    return simulate(settings, root=run.folder / "data" / "simulated", workers=workers, progress=progress)


def audit_data(run: Run, progress: Progress) -> None:
    """Refuse data that gives its labels away before the pixels are seen."""
    from distill.data.audit import audit, require_passed

    gates = run.recipe.gates
    dataset = load_dataset(run.folder)
    report = audit(dataset, metadata_limit=gates.metadata_auc, accept=gates.accept, seed=run.recipe.seed)
    write_json(run.folder / AUDIT, report)
    require_passed(report, where=run.folder / AUDIT)


def train_teacher(run: Run, progress: Progress) -> None:
    """Train the teacher, or take the weights that the recipe names."""
    from distill.methods.face_box import FaceBox
    from distill.models import make_model

    recipe = run.recipe.teacher
    model = make_model(run.recipe, TEACHER)
    folder = run.folder / TEACHER
    if recipe.weights:
        _adopt(run, model, Path(recipe.weights).expanduser(), folder)
    else:
        objectives = [_ground_truth(run), *([FaceBox(weight=recipe.box_weight)] if recipe.box_weight else [])]
        _train(
            run,
            model,
            name=TEACHER,
            objectives=objectives,
            schedule=recipe,
            seed=run.recipe.seed,
            folder=folder,
            progress=progress,
        )
    _predict_evaluated(run, TEACHER, folder)


def _adopt(run: Run, model: Any, source: Path, folder: Path) -> None:
    """Take finished weights instead of training; a history with no epochs says so."""
    from distill.checkpoint import load_weights, read_sidecar, save_weights

    if not source.is_file():
        raise EdgeproofError(f"teacher.weights: {source}: no such file, expected a .safetensors checkpoint")
    about = read_sidecar(source) if source.with_suffix(".json").is_file() else {}
    load_weights(model, source)
    sidecar = {
        **_sidecar(run, TEACHER, seed=run.recipe.seed),
        "adopted_from": source.name,
        "trained_on": about.get("data", "unknown"),
    }
    for name in (WEIGHTS, "last.safetensors"):
        save_weights(model, folder / name, sidecar=sidecar)
    write_json(folder / "history.json", {"epochs": [], "best_epoch": 0, "seconds": 0.0})


def choose_teacher(run: Run, progress: Progress) -> None:
    """Calibrate the teacher; there is one only."""
    _calibrate(
        run, TEACHER, load_predictions(run.folder / TEACHER / PREDICTIONS)["valid"], seed=run.recipe.seed
    )


def cache_teacher(run: Run, progress: Progress) -> None:
    """Keep what the teacher says of every training image in every view."""
    from distill.inference import teacher_outputs
    from distill.methods import wanted_features
    from distill.models import channels, freeze, load_model
    from distill.teacher_outputs import save_outputs

    teacher = freeze(_on_device(run, load_model(run.recipe, TEACHER, run.folder / TEACHER / WEIGHTS)))
    features = wanted_features(run.recipe.distillation.methods, teacher=channels(teacher))
    views = 2 if run.recipe.training.horizontal_flip else 1
    outputs = teacher_outputs(
        teacher, _pixels(run, "train"), features=features, views=views, progress=progress
    )
    save_outputs(outputs, run.folder / TEACHER_OUTPUTS, key=_outputs_key(run))


def train_student(run: Run, progress: Progress, *, name: str, seed: int, kind: str) -> None:
    """One training; the control differs from the distilled student in the objectives alone."""
    import lightning

    from distill.methods import Pair, build_method
    from distill.models import channels, make_model

    lightning.seed_everything(seed, verbose=False)
    student = make_model(run.recipe, name)
    settings = run.recipe.distillation
    objectives = [_ground_truth(run, weight=settings.label_weight if kind == "distilled" else 1.0)]
    if kind == "distilled":
        pair = Pair(student=channels(student), teacher=channels(make_model(run.recipe, TEACHER)))
        objectives += [build_method(method, pair=pair) for method in settings.methods]
    folder = run.folder / training_folder(name, seed=seed, kind=kind)
    _train(
        run,
        student,
        name=name,
        objectives=objectives,
        schedule=run.recipe.students[name],
        seed=seed,
        folder=folder,
        progress=progress,
        taught=kind == "distilled",
    )
    _predict_evaluated(run, name, folder)


def _train(
    run: Run,
    model: Any,
    *,
    name: str,
    objectives: Any,
    schedule: Schedule,
    seed: int,
    folder: Path,
    progress: Progress,
    taught: bool = False,
) -> None:
    import torch

    from distill.batches import BatchDataset
    from distill.precision import thread_count
    from distill.teacher_outputs import load_outputs
    from distill.training import TrainingData, fit

    torch.set_num_threads(thread_count(run.recipe.training.threads))
    teacher = load_outputs(run.folder / TEACHER_OUTPUTS, key=_outputs_key(run)) if taught else None
    data = TrainingData(
        train=BatchDataset(_pixels(run, "train"), teacher=teacher),
        valid=BatchDataset(_pixels(run, "valid")),
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
        sidecar=_sidecar(run, name, seed=seed),
        progress=progress,
        workers=run.recipe.data.workers,
    )


def _predict_evaluated(run: Run, name: str, folder: Path) -> None:
    """Logits of the best and of the last epoch on every evaluated split."""
    from distill.inference import predict
    from distill.models import load_model

    logits: dict[str, Any] = {}
    for prefix, file in (("", WEIGHTS), ("last_", "last.safetensors")):
        model = _on_device(run, load_model(run.recipe, name, folder / file))
        for split in EVALUATED:
            pixels = _pixels(run, split)
            if len(pixels):
                logits[prefix + split] = predict(model, pixels)[0].numpy()
    save_predictions(folder / PREDICTIONS, logits)


def _chooser(name: str, kind: str) -> Callable[[Run, Progress], None]:
    def choose(run: Run, progress: Progress) -> None:
        choose_seed(run, name=name, kind=kind)

    return choose


def choose_seed(run: Run, *, name: str, kind: str) -> None:
    """Deploy the seed with the best validation AUC; the same rule for the control."""
    from distill.files import write_bytes
    from distill.metrics import roc_auc

    labels = _labels(run, "valid")
    scored = []
    for seed in run.recipe.training.seeds:
        folder = run.folder / training_folder(name, seed=seed, kind=kind)
        scored.append((roc_auc(labels, load_predictions(folder / PREDICTIONS)["valid"]), -seed, folder))
    _, negative_seed, folder = max(scored)
    model = name if kind == "distilled" else f"{name}/control"
    target = run.folder / chosen_folder(model)
    for file in (WEIGHTS, "weights.json", PREDICTIONS):
        write_bytes(target / file, (folder / file).read_bytes())
    _calibrate(run, model, load_predictions(target / PREDICTIONS)["valid"], seed=-negative_seed)


def _calibrate(run: Run, model: str, logits: Any, *, seed: int) -> None:
    """Fit temperature and bias, then the one threshold, on clean validation data."""
    from distill.fit_calibration import fit_calibration
    from distill.metrics import choose_threshold

    labels = _labels(run, "valid")
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


def _ground_truth(run: Run, *, weight: float = 1.0) -> Any:
    from distill.methods.ground_truth import GroundTruth

    settings = run.recipe.loss
    labels = _labels(run, "train")
    balance = float((labels == 0).sum() / (labels == 1).sum())
    pos_weight = {"auto": balance, "none": 1.0}.get(str(settings.pos_weight))
    return GroundTruth(
        weight=weight,
        kind=settings.kind,
        pos_weight=float(settings.pos_weight) if pos_weight is None else pos_weight,
        gamma=settings.focal_gamma,
    )


def _pixels(run: Run, split: str) -> Any:
    recipe = run.recipe
    return _open_split(run.folder, split, recipe.preprocess, recipe.data.memory_mb, sha256(run.folder / SAMPLES))


@lru_cache(maxsize=len(EVALUATED) + 1)
def _open_split(folder: Path, split: str, spec: PreprocessSpec, memory_mb: int, samples_hash: str) -> Any:
    """Decoded once for all trainings of a run; another list of samples is another entry."""
    from distill.data.pixels import open_pixels

    dataset = load_dataset(folder)
    return open_pixels(dataset.root, dataset.split(split), spec=spec, memory_mb=memory_mb)


def _labels(run: Run, split: str) -> Any:
    return np.array([sample.label for sample in load_dataset(run.folder).split(split)])


def _on_device(run: Run, model: Any) -> Any:
    from distill.checkpoint import pick_device

    return model.to(pick_device(run.recipe.training.accelerator))


def _sidecar(run: Run, name: str, *, seed: int) -> dict[str, Any]:
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


def _outputs_key(run: Run) -> str:
    """Teacher, data and transform: what the cached outputs depend on."""
    parts = [
        sha256(run.folder / TEACHER / WEIGHTS),
        sha256(run.folder / SAMPLES),
        *_reads_outputs(run.recipe),
    ]
    return json.dumps(parts, sort_keys=True)


def _in(folder: str, names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"{folder}/{name}" for name in names)


def _dump(*parts: Any) -> list[Any]:
    return [part.model_dump(mode="json") for part in parts]


def _reads_data(recipe: Recipe) -> Any:
    return [
        *_dump(recipe.data.model_copy(update={"workers": 0, "memory_mb": 1})),
        recipe.seed,
        _fingerprint(recipe.data.path),
    ]


def _fingerprint(path: str) -> list[float]:
    """Number, total size and newest change of the user's files: other files make another data set."""
    if not path:
        return []
    stats = [Path(p, n).lstat() for p, _, names in os.walk(Path(path).expanduser()) for n in names]
    return [len(stats), sum(s.st_size for s in stats), max((s.st_mtime for s in stats), default=0)]


def _reads_audit(recipe: Recipe) -> Any:
    return [recipe.gates.metadata_auc, recipe.gates.accept, recipe.seed]


def _reads_teacher(recipe: Recipe) -> Any:
    settings = recipe.training.model_copy(update={"seeds": ()})
    return [*_dump(recipe.teacher, recipe.loss, settings, recipe.preprocess), recipe.seed]


def _reads_outputs(recipe: Recipe) -> Any:
    hints = [method.teacher_feature for method in recipe.distillation.methods if method.name == "hint"]
    return [*_dump(recipe.preprocess), recipe.training.horizontal_flip, hints]
