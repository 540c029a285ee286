"""Every model on every split, with one frozen threshold each: what ``accuracy.json`` holds. Torch-free.

Every model left what it says of the evaluated splits in the run folder; nothing is run here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from deploy.artifact import read_manifest
from deploy.stages import deployed_models
from distill.data.samples import GENERATED, Dataset, Sample
from distill.evaluation.calibration import Calibration
from distill.evaluation.metrics import binary_metrics, choose_threshold, reliability, roc_auc, roc_points
from distill.evaluation.statistics import bootstrap_ci, paired_bootstrap, seed_difference
from distill.files import read_json
from distill.pipeline.runfolder import (
    EVALUATED,
    KINDS,
    PREDICTIONS,
    TEACHER,
    artifact_folder,
    artifact_predictions,
    chosen_folder,
    load_dataset,
    load_predictions,
    training_folder,
)
from distill.pipeline.stage import Progress, Run
from distill.recipe import Recipe

Scores = npt.NDArray[np.float64]
RUNTIMES = ("onnxruntime", "openvino")
RESAMPLES, FEWER_RESAMPLES = (
    1000,
    300,
)  # fewer where no claim rests on the interval: single generators, controls


class Named(NamedTuple):
    """A model that ran in PyTorch."""

    name: str
    kind: str
    student: str | None


@dataclass(frozen=True)
class Judged:
    """One model's calibrated probabilities, split by split, and what it is."""

    name: str
    kind: str
    runtime: str
    precision: str
    threshold: float
    calibration: dict[str, float]
    probabilities: dict[str, Scores]
    student: str | None = None
    parent: str | None = None


def evaluate(run: Run, progress: Progress) -> dict[str, Any]:
    """The content of ``accuracy.json``; see the report for how it is read."""
    dataset = load_dataset(run.folder)
    judged = [*_torch_models(run), *_artifacts(run)]
    by_name = {model.name: model for model in judged}
    models = {}
    for number, model in enumerate(judged, start=1):
        models[model.name] = _describe(model, by_name.get(model.parent or ""), dataset)
        progress(number, len(judged))
    return {
        "positive": "generated",
        "simulated": dataset.layout == "simulated",
        "models": models,
        "distillation": {name: _seeds(run, name, dataset) for name in run.recipe.students},
        "comparisons": _comparisons(run.recipe, by_name, dataset),
        "gate": _gate(run.recipe, models),
    }


def _torch_models(run: Run) -> list[Judged]:
    students = list(run.recipe.students)
    models = [Named(TEACHER, "teacher", None)]
    models += [Named(student, "student", student) for student in students]
    models += [Named(f"{student}/control", "control", student) for student in students]
    return [_torch_model(run, model) for model in models]


def _torch_model(run: Run, model: Named) -> Judged:
    folder = run.folder / chosen_folder(model.name)
    choice = read_json(folder / "choice.json")
    calibration = Calibration(**choice["calibration"])
    logits = load_predictions(folder / PREDICTIONS)
    return Judged(
        name=model.name,
        kind=model.kind,
        runtime="torch",
        precision="fp32",
        threshold=choice["threshold"],
        calibration=choice["calibration"],
        probabilities={s: _calibrated(logits[s], calibration) for s in EVALUATED if s in logits},
        student=model.student,
        parent=None if model.name == TEACHER else TEACHER,
    )


def _artifacts(run: Run) -> list[Judged]:
    return [
        _artifact(run, model=model, runtime=runtime, precision=precision)
        for model in deployed_models(run.recipe)
        for runtime in RUNTIMES
        for precision in ("fp32", "int8")
        if (run.folder / artifact_predictions(model, runtime=runtime, precision=precision)).is_file()
    ]


def _artifact(run: Run, *, model: str, runtime: str, precision: str) -> Judged:
    folder = run.folder / artifact_folder(model, runtime=runtime, precision=precision)
    parent = model if precision == "fp32" else f"{model}-{runtime}-fp32"
    return Judged(
        name=folder.name,
        kind="artifact",
        runtime=runtime,
        precision=precision,
        # the parent's: one frozen threshold; the artifact's own, fitted again after INT8, shows the drift
        threshold=read_json(run.folder / chosen_folder(model) / "choice.json")["threshold"],
        calibration=read_manifest(folder).calibration.model_dump(),
        probabilities=load_predictions(
            run.folder / artifact_predictions(model, runtime=runtime, precision=precision)
        ),
        student=None if model == TEACHER else model,
        parent=parent,
    )


def _describe(model: Judged, parent: Judged | None, dataset: Dataset) -> dict[str, Any]:
    splits = {}
    for split, probabilities in model.probabilities.items():
        labels, groups = _labels(dataset, split), _groups(dataset, split)
        splits[split] = binary_metrics(
            labels, probabilities, threshold=model.threshold, groups=groups, resamples=_resamples(split)
        ).to_dict()
    test, labels = model.probabilities["test"], _labels(dataset, "test")
    return {
        "kind": model.kind,
        "student": model.student,
        "runtime": model.runtime,
        "precision": model.precision,
        "threshold": model.threshold,
        "calibration": model.calibration,
        "splits": splits,
        "generators": _generators(model, dataset),
        "roc": roc_points(labels, test),
        "reliability": reliability(labels, test),
        "flips_vs_parent": _flips(model, parent),
        "refit_threshold": choose_threshold(_labels(dataset, "valid"), model.probabilities["valid"]),
    }


def _resamples(split: str) -> int:
    """The threshold was chosen on the validation split: an interval there would mean nothing."""
    return {"test": RESAMPLES, "valid": 0}.get(split, FEWER_RESAMPLES)


def _generators(model: Judged, dataset: Dataset) -> dict[str, Any]:
    """AUC of each generator's images against all reals of the same split."""
    rows: dict[str, Any] = {}
    for split in ("test", "heldout", "control"):
        samples = dataset.split(split)
        for generator in sorted({sample.generator for sample in samples if sample.label == GENERATED}):
            keep = [i for i, s in enumerate(samples) if s.label != GENERATED or s.generator == generator]
            chosen = [samples[i] for i in keep]
            labels, scores = _of(chosen), model.probabilities[split][keep]
            if 0 < labels.sum() < len(labels):
                interval = bootstrap_ci(labels, scores, [s.group for s in chosen], n=FEWER_RESAMPLES)
                rows[generator] = {
                    "auc": roc_auc(labels, scores),
                    "auc_ci": list(interval or ()),
                    "n": int(labels.sum()),
                    "heldout": split == "heldout",
                    "split": split,
                }
    return rows


def _flips(model: Judged, parent: Judged | None) -> dict[str, Any] | None:
    if parent is None:
        return None
    ours = model.probabilities["test"] >= model.threshold
    theirs = parent.probabilities["test"] >= parent.threshold
    count = int((ours != theirs).sum())
    return {"count": count, "share": count / len(ours), "parent": parent.name}


def _seeds(run: Run, student: str, dataset: Dataset) -> dict[str, Any]:
    """Every seed, with and without the teacher, at its best and at its last epoch."""
    labels = _labels(dataset, "test")
    rows = []
    for seed in run.recipe.seeds_of(student):
        row: dict[str, Any] = {"seed": seed}
        for kind in KINDS:
            logits = load_predictions(
                run.folder / training_folder(student, seed=seed, kind=kind) / PREDICTIONS
            )
            row[kind] = {"best": _short(labels, logits["test"]), "last": _short(labels, logits["last_test"])}
        rows.append(row)
    distilled, control = ([row[kind]["best"]["auc"] for row in rows] for kind in KINDS)
    difference = seed_difference(distilled, control)
    return {
        "seeds": rows,
        "difference": {
            "auc_mean": difference.mean,
            "auc_sd": difference.sd,
            "auc_ci": difference.ci and list(difference.ci),
            "verdict": difference.verdict,
        },
    }


def _short(labels: Any, logits: Any) -> dict[str, Any]:
    metrics = binary_metrics(labels, _calibrated(logits, Calibration()), threshold=0.5, resamples=0)
    return {"auc": metrics.auc, "tpr_at_5fpr": metrics.tpr_at_5fpr}


def _comparisons(recipe: Recipe, judged: dict[str, Judged], dataset: Dataset) -> list[dict[str, Any]]:
    pairs = []
    for student in recipe.students:
        pairs += [("distillation", student, f"{student}/control"), ("size", student, TEACHER)]
    for model in deployed_models(recipe):
        for runtime in RUNTIMES:
            fp32, int8 = (f"{model}-{runtime}-{precision}" for precision in ("fp32", "int8"))
            pairs += [("export", fp32, model), ("int8", int8, fp32)]
    labels, groups = _labels(dataset, "test"), _groups(dataset, "test")
    rows = []
    for what, a, b in pairs:
        if a in judged and b in judged:
            ours, theirs = judged[a].probabilities["test"], judged[b].probabilities["test"]
            paired = paired_bootstrap(labels, ours, theirs, groups)
            rows.append(
                {
                    "a": a,
                    "b": b,
                    "what": what,
                    "auc_difference": paired.difference,
                    "ci": paired.ci and list(paired.ci),
                }
            )
    return rows


def _gate(recipe: Recipe, models: dict[str, Any]) -> dict[str, Any]:
    limits = recipe.gates
    checks: list[dict[str, Any]] = []
    for name, model in models.items():
        if model["kind"] == "artifact" and model["precision"] == "int8" and model["student"]:
            before = models[name.replace("-int8", "-fp32")]["splits"]["test"]
            after = model["splits"]["test"]
            for key, title, limit in (
                ("auc", "AUC", limits.auc_drop),
                ("tpr_at_5fpr", "TPR at 5 % FPR", limits.tpr_at_5fpr_drop),
            ):
                drop = before[key] - after[key]
                checks.append(_check(f"{name} {title} drop", drop, limit, drop <= limit))
    for name, model in models.items():
        control = model["splits"].get("control")
        if control and model["runtime"] == "torch":
            off = abs(control["auc"] - 0.5)
            checks.append(
                _check(
                    f"{name} identity generator |AUC - 0.5|",
                    off,
                    limits.identity_auc,
                    off <= limits.identity_auc,
                )
            )
    if limits.teacher_auc:
        auc = models[TEACHER]["splits"]["test"]["auc"]
        checks.append(_check("teacher AUC", auc, limits.teacher_auc, auc >= limits.teacher_auc))
    for check in checks:
        if not check["passed"] and check["name"] in limits.accept:
            check.update(passed=True, accepted=True)
    return {"passed": all(check["passed"] for check in checks), "checks": checks}


def _check(name: str, value: float, limit: float, passed: bool) -> dict[str, Any]:
    return {"name": name, "value": float(value), "limit": float(limit), "passed": bool(passed)}


def _calibrated(logits: Any, calibration: Calibration) -> Scores:
    scaled = logits.astype(np.float64) / calibration.temperature + calibration.bias
    return np.asarray((1 + np.tanh(scaled / 2)) / 2)


def _of(samples: Sequence[Sample]) -> npt.NDArray[np.int64]:
    return np.array([sample.label for sample in samples], dtype=np.int64)


def _labels(dataset: Dataset, split: str) -> npt.NDArray[np.int64]:
    return _of(dataset.split(split))


def _groups(dataset: Dataset, split: str) -> list[str]:
    return [sample.group for sample in dataset.split(split)]
