"""What distillation did for a student: every arm and seed, and the differences between arms. Torch-free."""

from typing import Literal

from distill.evaluation.arms import ArmDifference
from distill.recipe import DISTILLED
from distill.record import Frozen, Record
from distill.roster import CONTROLS, Arm

Split = Literal["test", "heldout"]
Epoch = Literal["best", "last"]
Statistic = Literal["auc", "tpr_at_5fpr", "tpr_at_1fpr", "accuracy"]


class Scores(Frozen):
    """One training at one epoch on one split; what its task does not have is None."""

    auc: float | None = None
    tpr_at_5fpr: float | None = None
    tpr_at_1fpr: float | None = None
    accuracy: float | None = None

    def value(self, statistic: Statistic) -> float | None:
        """One of them by its name."""
        found: float | None = getattr(self, statistic)
        return found


class EpochScores(Frozen):
    """One training at its best epoch on the validation split, and at its last."""

    best: Scores
    last: Scores


class SeedScores(Frozen):
    """One training of one seed; epochs count from 1."""

    seed: int
    best_epoch: int
    last_epoch: int
    splits: dict[Split, EpochScores]


class Spread(Frozen):
    """Mean of a statistic over the seeds, and their standard deviation (None for one seed)."""

    split: Split
    epoch: Epoch
    statistic: Statistic
    mean: float
    sd: float | None


class ArmScores(Frozen):
    """Every seed of one arm, and their spreads."""

    arm: Arm
    seeds: tuple[SeedScores, ...]
    spreads: tuple[Spread, ...]

    def spread(self, split: Split, statistic: Statistic, *, epoch: Epoch = "best") -> Spread | None:
        """Mean and standard deviation of one statistic; None on a split that lacks a class."""
        wanted = (split, epoch, statistic)
        return next((s for s in self.spreads if (s.split, s.epoch, s.statistic) == wanted), None)


class ArmComparison(Frozen):
    """The arm ``arm`` minus the arm ``against``."""

    arm: Arm
    against: Arm
    split: Split
    epoch: Epoch
    statistic: Statistic
    difference: ArmDifference


class SplitImages(Frozen):
    """The images of a split (of two classes also each), and the groups that intervals draw."""

    n: int
    n_real: int | None
    n_fake: int | None
    groups: int


class Distillation(Frozen):
    """One student in every arm: distilled, variants, controls; only splits with both classes are there.

    ``measure`` is the statistic that claims are about.
    """

    measure: Statistic = "auc"
    images: dict[Split, SplitImages]
    arms: tuple[ArmScores, ...]
    comparisons: tuple[ArmComparison, ...]

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds that every arm was trained with."""
        return tuple(training.seed for training in self.arms[0].seeds)

    @property
    def controls(self) -> tuple[Arm, ...]:
        """The arms without a teacher."""
        return tuple(found.arm for found in self.arms if found.arm in CONTROLS)

    @property
    def variants(self) -> tuple[Arm, ...]:
        """The arms in which the student was taught otherwise."""
        return tuple(found.arm for found in self.arms if found.arm not in (DISTILLED, *CONTROLS))

    @property
    def pairs(self) -> tuple[tuple[Arm, Arm], ...]:
        """The arms that were compared, the later one first; variants, which are compared elsewhere, left out."""
        compared = dict.fromkeys((found.arm, found.against) for found in self.comparisons)
        return tuple(pair for pair in compared if pair[0] not in self.variants)

    def difference(
        self,
        split: Split,
        statistic: Statistic | None = None,
        *,
        arm: Arm = "distilled",
        against: Arm = "alone",
        epoch: Epoch = "best",
    ) -> ArmDifference | None:
        """One arm minus another, of :attr:`measure` unless another is named; None where they were not compared."""
        wanted = (arm, against, split, epoch, statistic or self.measure)
        for found in self.comparisons:
            if (found.arm, found.against, found.split, found.epoch, found.statistic) == wanted:
                return found.difference
        return None


class DistillationRecord(Record):
    """What ``edgeproof distill --json`` prints: the same as in ``accuracy.json``, by the student's name."""

    simulated: bool
    students: dict[str, Distillation]
