"""Every model on every split, with one frozen threshold each: what ``accuracy.json`` holds. Torch-free."""

from collections.abc import Iterator, Mapping

from bench.gate import accuracy_gate
from bench.judged import Judged, Truth, flips, judged_models, truth_of
from bench.judges import Judge, judge_of
from bench.records.accuracy import (
    AccuracyRecord,
    Comparison,
    GeneratorMetrics,
    ModelAccuracy,
    Step,
)
from bench.seeds import compare_seeds
from distill.data.samples import GENERATED
from distill.evaluation.band import Answered, answered
from distill.evaluation.metrics import roc_auc
from distill.evaluation.statistics import bootstrap_ci
from distill.pipeline.runfolder import EVALUATED, load_samples
from distill.pipeline.stage import Progress, Run
from distill.roster import Roster
from distill.task import find_task

# fewer where no claim rests on the interval: single generators, controls
RESAMPLES, FEWER_RESAMPLES = 1000, 300
_WITH_GENERATORS = ("test", "heldout", "control")


def measure_accuracy(run: Run, progress: Progress, *, roster: Roster) -> AccuracyRecord:
    """Judge every model of the roster; see the report for how it is read."""
    dataset, task = load_samples(run.folder), find_task(run.recipe.task)
    judge = judge_of(task)
    truth = {split: truth_of(dataset.split(split)) for split in EVALUATED}
    judged = judged_models(run, roster)
    models = {}
    for number, (key, model) in enumerate(judged.items(), start=1):
        models[key] = _judge(model, truth, judge)
        progress(number, len(judged))
    return AccuracyRecord(
        simulated=dataset.layout == "simulated",
        labels=task.labels,
        positive=None if task.classes else "generated",
        models=models,
        distillation={
            student.name: compare_seeds(run, roster, student, truth) for student in roster.distilled
        },
        comparisons=tuple(_comparisons(roster, judged, truth["test"], judge)),
        gate=accuracy_gate(models, teacher=roster.teachers[0], limits=run.recipe.gates),
    )


def _judge(model: Judged, truth: Mapping[str, Truth], judge: Judge) -> ModelAccuracy:
    test, labels = model.probabilities["test"], truth["test"].labels
    return ModelAccuracy(
        identity=model.identity,
        threshold=model.threshold,
        refit_threshold=judge.refit(truth["valid"].labels, model.probabilities["valid"]),
        calibration=model.calibration,
        splits={
            split: judge.metrics(
                truth[split].labels,
                probabilities,
                threshold=model.threshold,
                groups=truth[split].groups,
                resamples=_resamples(split),
            )
            for split, probabilities in model.probabilities.items()
        },
        generators=dict(_generators(model, truth)),
        roc=judge.roc(labels, test),
        reliability=judge.reliability(labels, test),
        band=model.band,
        ece_before=judge.ece_before(labels, test, model.calibration),
        answered=dict(_answered(model, truth)),
    )


def _resamples(split: str) -> int:
    """The threshold was chosen on the validation split: an interval there would mean nothing."""
    return {"test": RESAMPLES, "valid": 0}.get(split, FEWER_RESAMPLES)


def _answered(model: Judged, truth: Mapping[str, Truth]) -> Iterator[tuple[str, Answered]]:
    """How often its band lets it answer on each split, and err."""
    if model.band is not None:
        for split, probabilities in model.probabilities.items():
            yield split, answered(truth[split].labels, probabilities, band=model.band)


def _generators(model: Judged, truth: Mapping[str, Truth]) -> Iterator[tuple[str, GeneratorMetrics]]:
    """AUC of each generator's images against all reals of the same split."""
    for split in _WITH_GENERATORS:
        samples = truth[split].samples
        for generator in sorted({sample.generator for sample in samples if sample.generator}):
            keep = [i for i, s in enumerate(samples) if s.label != GENERATED or s.generator == generator]
            chosen = truth[split].only(keep)
            if not 0 < chosen.labels.sum() < len(keep):
                continue
            scores = model.probabilities[split][keep]
            metrics = GeneratorMetrics(
                auc=roc_auc(chosen.labels, scores),
                auc_ci=bootstrap_ci(chosen.labels, scores, chosen.groups, n=FEWER_RESAMPLES),
                n=int(chosen.labels.sum()),
                split=split,
                groups=len(set(chosen.groups)),
            )
            yield generator, metrics


def _comparisons(
    roster: Roster, judged: Mapping[str, Judged], test: Truth, judge: Judge
) -> Iterator[Comparison]:
    for step, a, b in _steps(roster):
        ours, theirs = judged[a], judged[b]
        scores, others = ours.probabilities["test"], theirs.probabilities["test"]
        paired = judge.paired(test.labels, scores, others, test.groups, n=RESAMPLES)
        yield Comparison(
            step=step,
            a=a,
            b=b,
            auc_difference=paired.difference if judge.measure == "auc" else None,
            accuracy_difference=paired.difference if judge.measure == "accuracy" else None,
            ci=paired.ci,
            groups=len(set(test.groups)),
            flips=flips(ours.verdicts, theirs.verdicts),
        )


def _steps(roster: Roster) -> Iterator[tuple[Step, str, str]]:
    """What is compared with what: the step, the key of the model after it, of the one before."""
    for student in roster.distilled:
        yield from (("distillation", student.key, control.key) for control in roster.controls_of(student))
        yield "size", student.key, roster.teachers[0].key
    for artifact in roster.judged:
        step: Step = "int8" if artifact.precision == "int8" else "export"
        yield step, artifact.key, (artifact.parent or artifact.model).key
