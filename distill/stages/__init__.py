"""The stages of this package: data, audit, teacher, its outputs, students, and the choice among seeds."""

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from distill.pipeline.runfolder import (
    AUDIT,
    KINDS,
    PREDICTIONS,
    SAMPLES,
    SCAN,
    SUMMARY,
    TEACHER,
    TEACHER_OUTPUTS,
    WEIGHTS,
    chosen_folder,
    training_folder,
)
from distill.pipeline.stage import Stage
from distill.recipe import Recipe
from distill.stages.data import audit_data, make_data
from distill.stages.student import choose_seed, train_student
from distill.stages.teacher import cache_teacher, choose_teacher, reads_outputs, train_teacher

CHOSEN = (WEIGHTS, "weights.json", "choice.json", PREDICTIONS)
TRAINED = (WEIGHTS, "weights.json", "last.safetensors", "history.json", PREDICTIONS)


def distill_stages(recipe: Recipe) -> list[Stage]:
    """Everything up to the students that will be deployed."""
    return [
        Stage("data", "data", make_data, _reads_data, outputs=(SAMPLES, SUMMARY, SCAN), cost=90, alone=True),
        Stage(
            "audit", "data", audit_data, _reads_audit, needs=("data",), outputs=(AUDIT,), cost=15, stops=True
        ),
        Stage(
            "teacher",
            "teach",
            train_teacher,
            _reads_teacher,
            needs=("audit",),
            outputs=_in(TEACHER, TRAINED),
            cost=12.0 * recipe.teacher.epochs,
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
            reads_outputs,
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
        for seed in recipe.seeds_of(name):
            stages.append(_training_stage(recipe, name, seed=seed, kind=kind))
        model = name if kind == "distilled" else f"{name}/control"
        needs = tuple(stage.name for stage in stages if stage.name.endswith(kind))
        outputs = _in(chosen_folder(model), CHOSEN)
        stages.append(
            Stage(
                f"choose:{model}",
                "distill",
                partial(choose_seed, name=name, kind=kind),
                lambda _: None,
                needs,
                outputs,
            )
        )
    return stages


def _training_stage(recipe: Recipe, name: str, *, seed: int, kind: str) -> Stage:
    def reads(recipe: Recipe) -> Any:
        settings = recipe.training.model_copy(update={"seeds": (0,), "processes": 0})
        student = recipe.students[name].model_copy(update={"seeds": ()})
        parts = [student, recipe.loss, settings, recipe.preprocess, recipe.augmentation]
        return _dump(*parts, *([recipe.distillation] if kind == "distilled" else []))

    return Stage(
        f"student:{name}:seed{seed}:{kind}",
        "distill",
        partial(train_student, name=name, seed=seed, kind=kind),
        reads,
        needs=("audit", "teacher:outputs") if kind == "distilled" else ("audit",),
        outputs=_in(training_folder(name, seed=seed, kind=kind), TRAINED),
        cost=4.0 * recipe.students[name].epochs,
    )


def _in(folder: str, names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"{folder}/{name}" for name in names)


def _dump(*parts: Any) -> list[Any]:
    return [part.model_dump(mode="json") for part in parts]


def _reads_data(recipe: Recipe) -> Any:
    return [
        *_dump(recipe.data.model_copy(update={"workers": 0, "memory_mb": 1})),
        recipe.seed,
        _fingerprint(recipe.data.path),
        _fingerprint(recipe.data.unlabelled),
    ]


def _fingerprint(path: str) -> list[float]:
    """Number, total size and newest change of the user's files: other files make another data set."""
    count, size, newest = 0, 0, 0.0
    for file in _files(Path(path).expanduser()) if path else ():
        status = file.lstat()
        count, size, newest = count + 1, size + status.st_size, max(newest, status.st_mtime)
    return [count, size, newest]


def _files(path: Path) -> Iterator[Path]:
    if path.is_file():  # a manifest or a tar
        yield path
    for folder, _, names in os.walk(path):
        yield from (Path(folder, name) for name in names)


def _reads_audit(recipe: Recipe) -> Any:
    gates = recipe.gates
    return [gates.metadata_auc, gates.flip_drop, gates.near_duplicates, gates.accept, recipe.seed]


def _reads_teacher(recipe: Recipe) -> Any:
    settings = recipe.training.model_copy(update={"seeds": (0,), "processes": 0})
    parts = _dump(recipe.teacher, recipe.loss, settings, recipe.preprocess, recipe.augmentation)
    return [*parts, recipe.seed]
