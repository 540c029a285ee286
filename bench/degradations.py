"""Every model on degraded test images, at its one frozen threshold: what ``degradations.json`` holds. Torch-free.

``deploy.stages.degradations`` left what the models say; nothing is run here.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from deploy.stages.degradations import DegradedOutputs, int8_artifacts, load_degraded
from distill.data.samples import GENERATED, REAL
from distill.data.transforms.degradations import CLEAN, DEGRADATIONS
from distill.evaluation.metrics import binary_metrics
from distill.evaluation.statistics import paired_bootstrap
from distill.files import read_json
from distill.pipeline.runfolder import TEACHER, chosen_folder, load_dataset
from distill.pipeline.stage import Progress, Run
from distill.recipe import Recipe

Scores = npt.NDArray[np.float64]
RESAMPLES = 200  # hundreds of intervals, none of which decides anything alone
_KEPT = ("auc", "auc_ci", "balanced_accuracy", "tpr", "tnr")


@dataclass(frozen=True)
class Model:
    """A model of the sweep, named and described as in ``accuracy.json``."""

    name: str
    kind: str
    student: str | None
    runtime: str = "torch"
    precision: str = "fp32"


@dataclass(frozen=True)
class Sweep:
    """What each model said, beside the truth and its frozen threshold."""

    outputs: DegradedOutputs
    labels: npt.NDArray[np.int64]
    groups: list[str]
    thresholds: dict[str, float]

    def scores(self, model: str, degradation: str) -> Scores:
        """Probabilities ``[N]``."""
        found: Scores = self.outputs.probabilities[model][self.outputs.degradations.index(degradation)]
        return found

    def verdicts(self, model: str, degradation: str) -> npt.NDArray[np.bool_]:
        """Whether each image was called generated ``[N]``."""
        return self.scores(model, degradation) >= self.thresholds[model]


def evaluate(run: Run, progress: Progress) -> dict[str, Any]:
    """The content of ``degradations.json``; see the report for how it is read."""
    dataset = load_dataset(run.folder)
    test, outputs = dataset.split("test"), load_degraded(run.folder)
    samples = [test[index] for index in outputs.samples]
    models, pairs = swept_models(run.recipe), list(_pairs(run.recipe))
    sweep = Sweep(
        outputs=outputs,
        labels=np.array([sample.label for sample in samples]),
        groups=[sample.group or sample.path for sample in samples],
        thresholds={model.name: _threshold(run, model) for model in models},
    )
    described = {}
    for number, model in enumerate(models, start=1):
        described[model.name] = _describe(sweep, model)
        progress(number, len(models))
    return {
        "simulated": dataset.layout == "simulated",
        "images": {
            "n": len(samples),
            "n_real": int((sweep.labels == REAL).sum()),
            "n_fake": int((sweep.labels == GENERATED).sum()),
            "groups": len(set(sweep.groups)),
            "of": len(test),
        },
        "degradations": [_explain(name) for name in outputs.degradations],
        "models": described,
        "comparisons": [_compare(sweep, *pair) for pair in pairs],
    }


def swept_models(recipe: Recipe) -> list[Model]:
    """The teacher, every student and its control, every INT8 artifact."""
    models = [Model(TEACHER, "teacher", None)]
    for student in recipe.students:
        models += [Model(student, "student", student), Model(f"{student}/control", "control", student)]
    for name, model, runtime in int8_artifacts(recipe):
        models.append(Model(name, "artifact", None if model == TEACHER else model, runtime, "int8"))
    return models


def _pairs(recipe: Recipe) -> Iterator[tuple[str, str, str]]:
    """What is compared with what: the step, the model after it, the one before."""
    for student in recipe.students:
        yield "distillation", student, f"{student}/control"
        yield "size", student, TEACHER
    for name, model, _ in int8_artifacts(recipe):
        yield "int8", name, model


def _threshold(run: Run, model: Model) -> float:
    """The frozen one; an INT8 artifact's is that of the model it was made from."""
    chosen = model.name if model.kind != "artifact" else model.student or TEACHER
    return float(read_json(run.folder / chosen_folder(chosen) / "choice.json")["threshold"])


def _explain(name: str) -> dict[str, Any]:
    degradation = DEGRADATIONS[name]
    return {
        "name": name,
        "family": degradation.family,
        "strength": degradation.strength,
        "generated_only": degradation.generated_only,
    }


def _describe(sweep: Sweep, model: Model) -> dict[str, Any]:
    found = {name: _judge(sweep, model.name, name) for name in sweep.outputs.degradations}
    clean = found[CLEAN]
    for cell in found.values():
        for key in ("auc", "balanced_accuracy"):
            known = cell[key] is not None and clean[key] is not None
            cell[f"{key}_change"] = cell[key] - clean[key] if known else None
    return {
        "kind": model.kind,
        "student": model.student,
        "runtime": model.runtime,
        "precision": model.precision,
        "threshold": sweep.thresholds[model.name],
        "degradations": found,
    }


def _judge(sweep: Sweep, model: str, degradation: str) -> dict[str, Any]:
    scores, clean = sweep.scores(model, degradation), sweep.scores(model, CLEAN)
    metrics = binary_metrics(
        sweep.labels, scores, threshold=sweep.thresholds[model], groups=sweep.groups, resamples=RESAMPLES
    ).to_dict()
    _, interval = _paired(sweep, scores, clean)
    flips = _flips(sweep.verdicts(model, degradation), sweep.verdicts(model, CLEAN))
    return {**{key: metrics[key] for key in _KEPT}, "auc_change_ci": interval, "flips": flips}


def _compare(sweep: Sweep, what: str, after: str, before: str) -> dict[str, Any]:
    found = {}
    for name in sweep.outputs.degradations:
        difference, interval = _paired(sweep, sweep.scores(after, name), sweep.scores(before, name))
        flips = _flips(sweep.verdicts(after, name), sweep.verdicts(before, name))
        found[name] = {"auc_difference": difference, "ci": interval, "flips": flips}
    return {"what": what, "a": after, "b": before, "degradations": found}


def _paired(sweep: Sweep, ours: Scores, theirs: Scores) -> tuple[float | None, list[float] | None]:
    paired = paired_bootstrap(sweep.labels, ours, theirs, sweep.groups, n=RESAMPLES)
    return paired.difference, paired.ci and list(paired.ci)


def _flips(ours: npt.NDArray[np.bool_], theirs: npt.NDArray[np.bool_]) -> dict[str, Any]:
    count = int((ours != theirs).sum())
    return {"count": count, "share": count / len(ours)}
