"""Every model on degraded test images, at its one frozen threshold: what ``degradations.json`` holds. Torch-free.

``deploy.stages.degradations`` left what the models say; nothing is run here.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bench.gate import check_of, gate_of
from bench.judged import Scores, Truth, flips, truth_of
from bench.records.accuracy import AccuracyCheck, AccuracyGate, Measure
from bench.records.degradations import (
    DegradationKind,
    DegradationsRecord,
    DegradedComparison,
    DegradedMetrics,
    DegradedStep,
    SweptImages,
    SweptModel,
    SweptStep,
)
from bench.records.identity import identity_of
from deploy.stages.degradations import DegradedOutputs, load_degraded
from distill.data.samples import GENERATED, REAL
from distill.data.transforms.degradations import CLEAN, DEGRADATIONS, PLAUSIBLE
from distill.evaluation.choice import choice_of
from distill.evaluation.metrics import binary_metrics
from distill.evaluation.statistics import PairedDifference, paired_bootstrap
from distill.pipeline.runfolder import load_samples
from distill.pipeline.stage import Progress, Run
from distill.recipe import GateSettings
from distill.roster import Artifact, Model, Roster

RESAMPLES = 200  # hundreds of intervals, none of which decides anything alone


@dataclass(frozen=True)
class Sweep:
    """What each model said, beside the truth and its frozen threshold; models are named by their key."""

    outputs: DegradedOutputs
    truth: Truth
    thresholds: dict[str, float]

    def scores(self, model: str, degradation: str) -> Scores:
        """Probabilities ``[N]``."""
        found: Scores = self.outputs.probabilities[model][self.outputs.degradations.index(degradation)]
        return found

    def verdicts(self, model: str, degradation: str) -> npt.NDArray[np.bool_]:
        """Whether each image was called generated ``[N]``."""
        return self.scores(model, degradation) >= self.thresholds[model]

    def paired(self, ours: Scores, theirs: Scores) -> PairedDifference:
        """AUC of one model minus that of another on the same images, with its interval."""
        return paired_bootstrap(self.truth.labels, ours, theirs, self.truth.groups, n=RESAMPLES)


def measure_degradations(run: Run, progress: Progress, *, roster: Roster) -> DegradationsRecord:
    """Judge every swept model; see the report for how it is read."""
    dataset = load_samples(run.folder)
    test, outputs = dataset.split("test"), load_degraded(run.folder)
    truth, swept = truth_of([test[index] for index in outputs.samples]), swept_models(roster)
    sweep = Sweep(
        outputs=outputs,
        truth=truth,
        thresholds={item.key: _threshold(run, _network(item)) for item in swept},
    )
    models = {}
    for number, item in enumerate(swept, start=1):
        models[item.key] = _judge(sweep, item)
        progress(number, len(swept))
    return DegradationsRecord(
        simulated=dataset.layout == "simulated",
        images=SweptImages(
            n=len(truth.labels),
            n_real=int((truth.labels == REAL).sum()),
            n_fake=int((truth.labels == GENERATED).sum()),
            groups=len(set(truth.groups)),
            of=len(test),
        ),
        degradations=tuple(_explain(name) for name in outputs.degradations),
        models=models,
        comparisons=tuple(_compare(sweep, *step) for step in _steps(roster)),
        gate=degradation_gate(models, limits=run.recipe.gates),
    )


def degradation_gate(models: Mapping[str, SweptModel], *, limits: GateSettings) -> AccuracyGate | None:
    """Hold every INT8 student to the worst of the plausible degradations; None where ``limits`` ask for nothing."""
    asked: list[tuple[Measure, float]] = [
        ("degraded_auc", limits.degraded_auc),
        ("degraded_accuracy", limits.degraded_accuracy),
    ]
    found = [
        _worst(key, model, measure, limit)
        for key, model in models.items()
        if model.identity.role == "student" and model.identity.precision == "int8"
        for measure, limit in asked
        if limit
    ]
    return gate_of(found, limits) if any(limit for _, limit in asked) else None


def _worst(key: str, model: SweptModel, measure: Measure, limit: float) -> AccuracyCheck:
    values = {
        name: found.auc if measure == "degraded_auc" else found.balanced_accuracy
        for name, found in model.degradations.items()
        if name in PLAUSIBLE
    }
    known = {name: value for name, value in values.items() if value is not None}
    if not known:
        return check_of(key, measure, None, limit, passed=False, note="no image of either class")
    worst = min(known, key=lambda name: known[name])
    kind = _explain(worst)
    return check_of(key, measure, known[worst], limit, passed=known[worst] >= limit, note=kind.title)


def swept_models(roster: Roster) -> list[Model | Artifact]:
    """Every network, and every INT8 artifact at its own input size."""
    return [*roster.networks, *(artifact for artifact in roster.judged if artifact.precision == "int8")]


def _threshold(run: Run, model: Model) -> float:
    found = choice_of(run.folder, model).threshold
    if found is None:
        raise ValueError(f"{model.key} has no threshold: K classes are not swept")
    return found


def _network(item: Model | Artifact) -> Model:
    """The one whose frozen threshold holds."""
    return item.model if isinstance(item, Artifact) else item


def _steps(roster: Roster) -> Iterator[tuple[SweptStep, str, str]]:
    """What is compared with what: the step, the key of the model after it, of the one before.

    FP32 artifacts are not swept, since they say what their network says: INT8 is compared with the network.
    """
    for student in roster.distilled:
        yield from (("distillation", student.key, control.key) for control in roster.controls_of(student))
        if not roster.teachers[0].black_box:  # which cannot be shown degraded images
            yield "size", student.key, roster.teachers[0].key
    for item in swept_models(roster):
        if isinstance(item, Artifact):
            yield "int8", item.key, item.model.key


def _explain(name: str) -> DegradationKind:
    kind = DEGRADATIONS[name]
    return DegradationKind(
        name=name, family=kind.family, strength=kind.strength, generated_only=kind.generated_only
    )


def _judge(sweep: Sweep, item: Model | Artifact) -> SweptModel:
    return SweptModel(
        identity=identity_of(item),
        threshold=sweep.thresholds[item.key],
        degradations={name: _metrics(sweep, item.key, name) for name in sweep.outputs.degradations},
    )


def _metrics(sweep: Sweep, model: str, degradation: str) -> DegradedMetrics:
    clean, scores = sweep.scores(model, CLEAN), sweep.scores(model, degradation)
    threshold = sweep.thresholds[model]
    labels, groups = sweep.truth.labels, sweep.truth.groups
    found = binary_metrics(labels, scores, threshold=threshold, groups=groups, resamples=RESAMPLES)
    before = binary_metrics(labels, clean, threshold=threshold, resamples=0)
    return DegradedMetrics(
        auc=found.auc,
        auc_ci=found.auc_ci,
        auc_change=_change(found.auc, before.auc),
        auc_change_ci=sweep.paired(scores, clean).ci,
        balanced_accuracy=found.balanced_accuracy,
        balanced_accuracy_change=_change(found.balanced_accuracy, before.balanced_accuracy),
        tpr=found.tpr,
        tnr=found.tnr,
        flips=flips(sweep.verdicts(model, degradation), sweep.verdicts(model, CLEAN)),
    )


def _change(after: float | None, before: float | None) -> float | None:
    return after - before if after is not None and before is not None else None


def _compare(sweep: Sweep, step: SweptStep, after: str, before: str) -> DegradedComparison:
    found = {}
    for name in sweep.outputs.degradations:
        paired = sweep.paired(sweep.scores(after, name), sweep.scores(before, name))
        differ = flips(sweep.verdicts(after, name), sweep.verdicts(before, name))
        found[name] = DegradedStep(auc_difference=paired.difference, ci=paired.ci, flips=differ)
    return DegradedComparison(step=step, a=after, b=before, degradations=found)
