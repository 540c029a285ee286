"""What a recipe says of distillation: methods, the lessons that they make up, and the arms that are compared. Torch-free."""

import re
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from distill.section import Name, NonNegative, Section, Share, each_once

DISTILLED = "distilled"
Control = Literal["pool", "plain"]
_ARMS = (DISTILLED, "alone", *get_args(Control))


class MethodSettings(Section):
    """One term of the distillation loss (``edgeproof list methods``); any other key is an option of the method.

    ``teachers`` names those it listens to, if not the main one alone. ``warmup`` is the share of the training over which
    the weight rises from 0, ``until`` that after which the term is off.
    """

    model_config = ConfigDict(extra="allow")

    name: str
    weight: NonNegative = 1.0
    warmup: Share = 0.0
    until: Annotated[float, Field(gt=0, le=1)] = 1.0
    teachers: tuple[Name, ...] | None = None

    @model_validator(mode="after")
    def _warm_before_it_ends(self) -> "MethodSettings":
        if self.warmup > self.until:
            raise ValueError(
                f"warmup of at most until, found warmup = {self.warmup:g}, until = {self.until:g}"
            )
        return self

    @property
    def options(self) -> dict[str, Any]:
        """What the method's own signature declares."""
        return dict(self.model_extra or {})


class Lesson(Section):
    """What a student learns from in one arm: the labels, with their weight, and the methods' terms."""

    label_weight: NonNegative = 1.0
    methods: tuple[MethodSettings, ...]


class DistillationSettings(Section):
    """What the student learns from the teacher, beside the labels.

    ``controls`` are further arms beside ``alone``, at as many steps: ``pool`` trains the unlabelled images with their
    true labels, ``plain`` trains without augmentation. ``variants`` are lessons that the same student is taught instead,
    each an arm of its own, to compare methods; what is deployed is taught by ``methods``.
    """

    label_weight: NonNegative = 1.0
    methods: tuple[MethodSettings, ...] = (MethodSettings(name="logit_mse"),)
    controls: Annotated[tuple[Control, ...], AfterValidator(each_once)] = ()
    variants: dict[Name, Lesson] = {}

    @model_validator(mode="after")
    def _arms_of_their_own(self) -> "DistillationSettings":
        for name in self.variants:
            if name in _ARMS or re.fullmatch(r"seed\d+", name):
                raise ValueError(
                    f"variants of other names than {', '.join(_ARMS)} or seed<N>, found {name!r}"
                )
        return self

    @property
    def taught(self) -> tuple[str, ...]:
        """The arms that have a lesson, ``distilled`` first."""
        return (DISTILLED, *self.variants)

    def lesson(self, arm: str | None) -> Lesson:
        """What is taught in an arm; raises :class:`KeyError` for one without a lesson."""
        if arm == DISTILLED:
            return Lesson(label_weight=self.label_weight, methods=self.methods)
        return self.variants[arm or ""]

    @property
    def every_method(self) -> tuple[MethodSettings, ...]:
        """The methods of all lessons."""
        return tuple(method for arm in self.taught for method in self.lesson(arm).methods)
