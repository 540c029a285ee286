"""Every judged model on every split, and the accuracy gate: ``accuracy.json``. Torch-free."""

from typing import ClassVar, Literal

from bench.records.distillation import Distillation
from bench.records.identity import Identity
from distill.evaluation.band import Answered, Band
from distill.evaluation.calibration import Calibration
from distill.evaluation.metrics import Metrics
from distill.evaluation.statistics import Interval
from distill.record import Frozen, Record

Step = Literal["distillation", "size", "export", "int8"]
Measure = Literal[
    "auc_drop",
    "tpr_at_5fpr_drop",
    "accuracy_drop",
    "above_chance",
    "heldout_above_chance",
    "teacher_gap",
    "heldout_teacher_gap",
    "identity_auc",
    "teacher_auc",
    "degraded_auc",
    "degraded_accuracy",
]


class Flips(Frozen):
    """How many verdicts differ, and their share of all images."""

    count: int
    share: float


class GeneratorMetrics(Frozen):
    """AUC of the ``n`` images of one generator in ``split``, against all real ones of that split, in ``groups`` in all."""

    auc: float
    auc_ci: Interval | None
    n: int
    split: str
    groups: int | None = None

    @property
    def held_out(self) -> bool:
        """Whether no model was trained on it."""
        return self.split == "heldout"

    @property
    def is_control(self) -> bool:
        """Whether it is the identity generator, which changes nothing."""
        return self.split == "control"


class RocCurve(Frozen):
    """Points of the ROC curve, from (0, 0) to (1, 1)."""

    fpr: tuple[float, ...]
    tpr: tuple[float, ...]


class Reliability(Frozen):
    """Equal-width bins of P(generated): mean probability, share that is generated (None if empty), images.

    Of K classes: bins of the likeliest one's probability, its mean, and the share that is right.
    """

    confidence: tuple[float | None, ...]
    accuracy: tuple[float | None, ...]
    count: tuple[int, ...]


class ModelAccuracy(Frozen):
    """One model on every split, at one ``threshold`` that was frozen on the validation split.

    An artifact's is that of the network it was made from; ``refit_threshold`` would be its own. ``roc`` and
    ``reliability`` are those of the test split, and ``generators`` holds every one that has images of both kinds. K
    classes have no thresholds, no ROC and no generators. ``band`` is the model's own, an artifact's fitted again on what
    it says itself, and ``answered`` what it does to each split.
    """

    identity: Identity
    threshold: float | None
    refit_threshold: float | None
    calibration: Calibration
    splits: dict[str, Metrics]
    generators: dict[str, GeneratorMetrics]
    roc: RocCurve | None
    reliability: Reliability
    band: Band | None = None
    answered: dict[str, Answered] = {}
    ece_before: float | None = None


class Comparison(Frozen):
    """AUC (of K classes: accuracy) of ``a`` minus that of ``b`` on the test split, where ``step`` leads from ``b`` to ``a``.

    A step ``distillation`` leads from each control arm of a student to the distilled one.
    ``flips`` are the verdicts that differ, each model at its own frozen threshold. ``groups`` of images were compared.
    """

    step: Step
    a: str
    b: str
    auc_difference: float | None
    accuracy_difference: float | None = None
    ci: Interval | None
    flips: Flips
    groups: int | None = None

    @property
    def difference(self) -> float | None:
        """Of whichever measure the task has."""
        return self.auc_difference if self.accuracy_difference is None else self.accuracy_difference


class AccuracyCheck(Frozen):
    """One condition on the model with the key ``model``; ``name`` is what the recipe's ``gates.accept`` names.

    ``value`` is None where there is none to compare, and ``note`` says why. ``accepted`` says that it failed and the
    recipe lets it pass.
    """

    name: str
    model: str
    measure: Measure
    value: float | None
    limit: float
    passed: bool
    accepted: bool = False
    note: str = ""

    @property
    def found(self) -> str:
        """The value with the note that explains it."""
        if self.value is None:
            return f"not known: {self.note}"
        return f"{self.value:.4f}" + (f", {self.note}" if self.note else "")


class AccuracyGate(Frozen):
    """All checks, and whether every one passed or was accepted."""

    passed: bool
    checks: tuple[AccuracyCheck, ...]

    @property
    def failed(self) -> tuple[AccuracyCheck, ...]:
        """Those that neither passed nor were accepted."""
        return tuple(check for check in self.checks if not check.passed)


class AccuracyRecord(Record):
    """``models`` by their key, in the roster's order; ``distillation`` by the student's name.

    ``labels`` names the classes by number; of two, ``positive`` is the one that rates are about.
    """

    version: ClassVar[int] = 3
    labels: tuple[str, ...]
    positive: Literal["generated"] | None = "generated"
    simulated: bool
    models: dict[str, ModelAccuracy]
    distillation: dict[str, Distillation]
    comparisons: tuple[Comparison, ...]
    gate: AccuracyGate
