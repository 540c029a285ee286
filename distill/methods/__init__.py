"""Distillation methods: one file each, one explicit table."""

from collections.abc import Mapping
from dataclasses import dataclass

from distill.errors import EdgeproofError, unknown_name
from distill.methods.hint import Hint
from distill.methods.kl import KL
from distill.methods.logit_mse import LogitMSE
from distill.methods.objective import Objective
from distill.methods.soft_bce import SoftBCE
from distill.recipe import MethodSettings

METHODS: dict[str, type[Objective]] = {"hint": Hint, "kl": KL, "logit_mse": LogitMSE, "soft_bce": SoftBCE}


@dataclass(frozen=True)
class Pair:
    """The two models a method stands between: feature name → channels, and the number of logits."""

    student: Mapping[str, int]
    teacher: Mapping[str, int]
    num_logits: int = 1


def build_method(settings: MethodSettings, *, pair: Pair) -> Objective:
    """The loss term that a recipe asks for.

    Raises:
        EdgeproofError: unknown method or feature, or a method that does not fit the number of logits.
    """
    if settings.name not in METHODS:
        raise unknown_name(kind="distillation method", given=settings.name, choices=METHODS)
    if settings.name == "kl" and pair.num_logits == 1:
        raise EdgeproofError(
            "distillation.methods: kl is identically zero for one logit; use soft_bce or logit_mse"
        )
    if settings.name == "soft_bce" and pair.num_logits > 1:
        raise EdgeproofError(
            f"distillation.methods: soft_bce is for one logit, not {pair.num_logits}; use kl or logit_mse"
        )
    if settings.name == "hint":
        return _build_hint(settings, pair=pair)
    if settings.name == "logit_mse":
        return LogitMSE(weight=settings.weight)
    return METHODS[settings.name](weight=settings.weight, temperature=settings.temperature)  # type: ignore[call-arg]


def wanted_features(methods: tuple[MethodSettings, ...], *, teacher: Mapping[str, int]) -> tuple[str, ...]:
    """The teacher's feature maps that must be cached."""
    hints = [method for method in methods if method.name == "hint"]
    return tuple(sorted({_feature(hint.teacher_feature, teacher, "teacher") for hint in hints}))


def _build_hint(settings: MethodSettings, *, pair: Pair) -> Hint:
    student = _feature(settings.student_feature, pair.student, "student")
    teacher = _feature(settings.teacher_feature, pair.teacher, "teacher")
    return Hint(
        weight=settings.weight,
        student_feature=student,
        teacher_feature=teacher,
        student_channels=pair.student[student],
        teacher_channels=pair.teacher[teacher],
    )


def _feature(name: str, channels: Mapping[str, int], kind: str) -> str:
    """The named feature; by default the last one."""
    if not name:
        return list(channels)[-1]
    if name not in channels:
        raise unknown_name(kind=f"{kind} feature", given=name, choices=channels)
    return name
