"""Every seed of a student in every arm, at its best and at its last epoch, and what differs between arms. Torch-free.

Nothing but the logits and histories of the trainings is read, so that ``edgeproof distill`` can tell it at its end.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import get_args

import numpy as np
import numpy.typing as npt

from bench.judged import Truth, truth_of
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
from distill.evaluation.arms import Resampled, arm_difference, resample
from distill.pipeline.runfolder import load_arrays, load_samples
from distill.pipeline.stage import Run
from distill.roster import Arm, Model, Roster
from distill.training.history import History

SPLITS: tuple[Split, ...] = get_args(Split)
STATISTICS: tuple[Statistic, ...] = get_args(Statistic)
# intervals of all statistics where claims are made; of the last epoch that of the AUC tells whether it held
_COMPARED: dict[Epoch, tuple[Statistic, ...]] = {"best": STATISTICS, "last": ("auc",)}
_PREFIX: dict[Epoch, str] = {"best": "", "last": "last_"}
# what each pair tells apart stands in docs/distillation.md
_PAIRS: tuple[tuple[Arm, Arm], ...] = (
    ("distilled", "alone"), ("distilled", "pool"), ("distilled", "plain"), ("pool", "alone"), ("alone", "plain"),
)  # fmt: skip
_Where = tuple[Split, Epoch]


@dataclass(frozen=True)
class _Arm:
    """One arm of a student: its trainings, one a seed, and its statistics by split and epoch."""

    name: Arm
    trainings: tuple[Model, ...]
    statistics: dict[_Where, dict[str, Resampled]]


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
    splits = [split for split in SPLITS if set(truth[split].labels.tolist()) >= {REAL, GENERATED}]
    models = (student, *roster.controls_of(student))
    arms = {model.arm: _arm(run, roster, model, truth, splits) for model in models if model.arm}
    return Distillation(
        images={split: _images(truth[split]) for split in splits},
        arms=tuple(_arm_scores(run, arm, splits) for arm in arms.values()),
        comparisons=tuple(
            found
            for ours, theirs in _PAIRS
            if ours in arms and theirs in arms
            for found in _comparisons(arms[ours], arms[theirs])
        ),
    )


def _arm(run: Run, roster: Roster, model: Model, truth: Mapping[str, Truth], splits: list[Split]) -> _Arm:
    trainings = roster.trainings_of(model)
    logits = [load_arrays(run.folder / training.logits) for training in trainings]
    found = {}
    for split in splits:
        for epoch, prefix in _PREFIX.items():
            scores = np.stack([arrays[prefix + split] for arrays in logits])
            found[split, epoch] = _resampled(truth[split], scores, epoch)
    return _Arm(model.arm or "distilled", trainings, found)


def _resampled(truth: Truth, scores: npt.NDArray[np.float64], epoch: Epoch) -> dict[str, Resampled]:
    """Every statistic; replicates of those that are compared. All go by order: logits need no calibration."""
    compared = resample(truth.labels, scores, truth.groups, statistics=_COMPARED[epoch])
    others = [name for name in STATISTICS if name not in compared]
    return {**compared, **resample(truth.labels, scores, truth.groups, statistics=others, n=0)}


def _images(truth: Truth) -> SplitImages:
    return SplitImages(
        n_real=int((truth.labels == REAL).sum()),
        n_fake=int((truth.labels == GENERATED).sum()),
        groups=len(set(truth.groups)),
    )


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


def _scores(statistics: Mapping[str, Resampled], place: int) -> Scores:
    return Scores(**{name: float(statistics[name].values[place]) for name in STATISTICS})


def _spreads(arm: _Arm) -> Iterator[Spread]:
    for (split, epoch), statistics in arm.statistics.items():
        for name in STATISTICS:
            values = statistics[name].values
            sd = float(values.std(ddof=1)) if values.size > 1 else None
            yield Spread(split=split, epoch=epoch, statistic=name, mean=float(values.mean()), sd=sd)


def _comparisons(ours: _Arm, theirs: _Arm) -> Iterator[ArmComparison]:
    for (split, epoch), statistics in ours.statistics.items():
        for name in _COMPARED[epoch]:
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
