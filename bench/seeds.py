"""Every seed of a student in every arm, at its best and at its last epoch, and what differs between arms. Torch-free.

Nothing but the logits and histories of the trainings is read, so that ``edgeproof distill`` can tell it at its end.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import get_args

import numpy as np

from bench.judged import Truth, truth_of
from bench.judges import Judge, judge_of
from bench.records.distillation import (
    ArmComparison,
    ArmScores,
    Distillation,
    DistillationRecord,
    Epoch,
    EpochScores,
    Scores,
    SeedScores,
    Split,
    SplitImages,
    Spread,
    Statistic,
)
from distill.data.samples import GENERATED, REAL
from distill.evaluation.arms import Resampled, arm_difference
from distill.pipeline.runfolder import load_arrays, load_samples
from distill.pipeline.stage import Run
from distill.roster import Arm, Model, Roster
from distill.task import Task, find_task
from distill.training.history import History

SPLITS: tuple[Split, ...] = get_args(Split)
_PREFIX: dict[Epoch, str] = {"best": "", "last": "last_"}
# what each pair tells apart stands in docs/distillation.md
_PAIRS: tuple[tuple[Arm, Arm], ...] = (
    ("distilled", "alone"), ("distilled", "pool"), ("distilled", "plain"), ("pool", "alone"), ("alone", "plain"),
)  # fmt: skip
_RIVALS: tuple[Arm, ...] = ("alone", "distilled")  # of every variant
_Where = tuple[Split, Epoch]


@dataclass(frozen=True)
class _Arm:
    """One arm of a student: its trainings, one a seed, and its statistics by split and epoch."""

    name: Arm
    trainings: tuple[Model, ...]
    statistics: dict[_Where, dict[Statistic, Resampled]]


def compare_all(run: Run, roster: Roster) -> DistillationRecord:
    """Every student of a run whose trainings have ended."""
    dataset = load_samples(run.folder)
    truth: dict[str, Truth] = {split: truth_of(dataset.split(split)) for split in SPLITS}
    return DistillationRecord(
        simulated=dataset.layout == "simulated",
        students={student.name: compare_seeds(run, roster, student, truth) for student in roster.distilled},
    )


def compare_seeds(run: Run, roster: Roster, student: Model, truth: Mapping[str, Truth]) -> Distillation:
    """What distillation did for a student, over its paired seeds, on the splits that have both classes."""
    task = find_task(run.recipe.task)
    judge = judge_of(task)
    splits = [split for split in SPLITS if judge.tells(truth[split].labels)]
    variants = roster.variants_of(student)
    models = (student, *variants, *roster.controls_of(student))
    arms = {model.arm: _arm(run, roster, model, truth, splits) for model in models if model.arm}
    return Distillation(
        measure=judge.measure,
        images={split: _images(truth[split], task) for split in splits},
        arms=tuple(_arm_scores(run, arm, splits) for arm in arms.values()),
        comparisons=tuple(
            found
            for ours, theirs in (*_PAIRS, *((v.arm or "", other) for v in variants for other in _RIVALS))
            if ours in arms and theirs in arms
            for found in _comparisons(arms[ours], arms[theirs], judge)
        ),
    )


def _arm(run: Run, roster: Roster, model: Model, truth: Mapping[str, Truth], splits: list[Split]) -> _Arm:
    trainings, task = roster.trainings_of(model), find_task(run.recipe.task)
    logits = [load_arrays(run.folder / training.logits) for training in trainings]
    judge, found = judge_of(task), {}
    for split in splits:
        for epoch, prefix in _PREFIX.items():
            answers = np.stack([task.answers(arrays[prefix + split]) for arrays in logits])
            found[split, epoch] = judge.resampled(truth[split].labels, answers, truth[split].groups, epoch)
    return _Arm(model.arm or "distilled", trainings, found)


def _images(truth: Truth, task: Task) -> SplitImages:
    counts = np.bincount(truth.labels, minlength=2).tolist()
    real, fake = (None, None) if task.classes else (counts[REAL], counts[GENERATED])
    return SplitImages(n=len(truth.labels), n_real=real, n_fake=fake, groups=len(set(truth.groups)))


def _arm_scores(run: Run, arm: _Arm, splits: list[Split]) -> ArmScores:
    return ArmScores(
        arm=arm.name,
        seeds=tuple(_seed_scores(run, arm, place, splits) for place in range(len(arm.trainings))),
        spreads=tuple(_spreads(arm)),
    )


def _seed_scores(run: Run, arm: _Arm, place: int, splits: list[Split]) -> SeedScores:
    training = arm.trainings[place]
    history = History.read(run.folder / training.folder / "history.json")
    return SeedScores(
        seed=training.seed or 0,
        best_epoch=history.best_epoch,
        last_epoch=len(history.epochs),
        splits={
            split: EpochScores(
                best=_scores(arm.statistics[split, "best"], place),
                last=_scores(arm.statistics[split, "last"], place),
            )
            for split in splits
        },
    )


def _scores(statistics: Mapping[Statistic, Resampled], place: int) -> Scores:
    return Scores(**{name: float(found.values[place]) for name, found in statistics.items()})


def _spreads(arm: _Arm) -> Iterator[Spread]:
    for (split, epoch), statistics in arm.statistics.items():
        for name, resampled in statistics.items():
            values = resampled.values
            sd = float(values.std(ddof=1)) if values.size > 1 else None
            yield Spread(split=split, epoch=epoch, statistic=name, mean=float(values.mean()), sd=sd)


def _comparisons(ours: _Arm, theirs: _Arm, judge: Judge) -> Iterator[ArmComparison]:
    for (split, epoch), statistics in ours.statistics.items():
        for name in judge.compared[epoch]:
            difference = arm_difference(statistics[name], theirs.statistics[split, epoch][name])
            if difference:
                yield ArmComparison(
                    arm=ours.name,
                    against=theirs.name,
                    split=split,
                    epoch=epoch,
                    statistic=name,
                    difference=difference,
                )
