"""Every seed of a student, with the teacher and without, at its best and at its last epoch. Torch-free."""

from typing import Any

from bench.judged import Truth
from bench.records.accuracy import ArmScores, Distillation, SeedPair, SeedScore
from distill.evaluation.metrics import roc_auc
from distill.evaluation.statistics import check_scores, curves, seed_difference, tpr_at_fpr
from distill.pipeline.runfolder import load_arrays
from distill.pipeline.stage import Run
from distill.roster import Model, Roster


def compare_seeds(run: Run, roster: Roster, student: Model, test: Truth) -> Distillation:
    """What distillation did for a student, over its paired seeds on the ``test`` split.

    Raises:
        EdgeproofError: the test split has only one class.
    """
    alone = {training.seed: training for training in roster.trainings_of(roster.alone(student))}
    seeds = tuple(
        SeedPair(
            seed=training.seed,
            distilled=_scores(run, training, test.labels),
            alone=_scores(run, alone[training.seed], test.labels),
        )
        for training in roster.trainings_of(student)
        if training.seed is not None
    )
    difference = seed_difference([s.distilled.best.auc for s in seeds], [s.alone.best.auc for s in seeds])
    return Distillation(seeds=seeds, difference=difference)


def _scores(run: Run, training: Model, labels: Any) -> ArmScores:
    logits = load_arrays(run.folder / training.logits)
    return ArmScores(best=_score(labels, logits["test"]), last=_score(labels, logits["last_test"]))


def _score(labels: Any, logits: Any) -> SeedScore:
    """Both measures ask for the order of the scores alone, so that logits need no calibration."""
    found = tpr_at_fpr(0.05)(curves(*check_scores(labels, logits)))[0]
    return SeedScore(auc=roc_auc(labels, logits), tpr_at_5fpr=float(found))
