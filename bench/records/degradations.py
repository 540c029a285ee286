"""Every model on degraded test images: ``degradations.json``. Torch-free."""

from typing import Literal, Self

from pydantic import model_validator

from bench.records.accuracy import AccuracyGate, Flips
from bench.records.identity import Identity
from distill.data.transforms.degradations import CLEAN, PLAUSIBLE
from distill.evaluation.statistics import Interval
from distill.record import Frozen, Record

SweptStep = Literal["distillation", "size", "int8"]


class SweptImages(Frozen):
    """The images of the sweep: ``n`` ``of`` those of the test split."""

    n: int
    n_real: int
    n_fake: int
    groups: int
    of: int


class DegradationKind(Frozen):
    """What was done to them; see :class:`distill.data.transforms.degradations.Degradation`."""

    name: str
    family: str
    strength: str
    generated_only: bool

    @property
    def is_clean(self) -> bool:
        """Whether nothing was done."""
        return self.name == CLEAN

    @property
    def is_plausible(self) -> bool:
        """Whether it happens to most photographs that are sent around."""
        return self.name in PLAUSIBLE

    @property
    def title(self) -> str:
        """What people call it."""
        return CLEAN if self.is_clean else f"{self.family} {self.strength}"


class DegradedMetrics(Frozen):
    """One model under one degradation, at its frozen threshold; changes and flips are against the clean images."""

    auc: float | None
    auc_ci: Interval | None
    auc_change: float | None
    auc_change_ci: Interval | None
    balanced_accuracy: float | None
    balanced_accuracy_change: float | None
    tpr: float | None
    tnr: float | None
    flips: Flips


class SweptModel(Frozen):
    """One model under every degradation, by name."""

    identity: Identity
    threshold: float
    degradations: dict[str, DegradedMetrics]


class DegradedStep(Frozen):
    """AUC of ``a`` minus that of ``b`` under one degradation, and how many verdicts differ."""

    auc_difference: float | None
    ci: Interval | None
    flips: Flips


class DegradedComparison(Frozen):
    """A step from the model ``b`` to the model ``a`` (both keys) under every degradation, by name."""

    step: SweptStep
    a: str
    b: str
    degradations: dict[str, DegradedStep]


class DegradationsRecord(Record):
    """``models`` by their key; every one of them saw the same ``images`` under the same ``degradations``.

    ``gate`` is None where the recipe asks for nothing on them.
    """

    simulated: bool
    images: SweptImages
    degradations: tuple[DegradationKind, ...]
    models: dict[str, SweptModel]
    comparisons: tuple[DegradedComparison, ...]
    gate: AccuracyGate | None = None

    @model_validator(mode="after")
    def _every_degradation_of_everything(self) -> Self:
        expected = {kind.name for kind in self.degradations}
        found = {key: set(model.degradations) for key, model in self.models.items()}
        found |= {f"{step.a} against {step.b}": set(step.degradations) for step in self.comparisons}
        for name, names in found.items():
            if names != expected:
                raise ValueError(f"{name}: degradations are not those of the sweep")
        return self
