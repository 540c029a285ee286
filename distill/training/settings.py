"""The sections of a recipe that say how networks train: schedule, loss, and what all trainings share. Torch-free."""

import math
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from distill.section import BelowOne, Count, Natural, NonNegative, Positive, Section, Seed, Workers


class Schedule(Section):
    """How long, how fast and with what one model trains.

    Attributes:
        epochs: passes over the training images.
        batch_size: images of a step, in each process.
        learning_rate: the highest.
        weight_decay: of weights; norms and biases have none.
        optimizer: AdamW (arXiv 1711.05101), or SGD with Nesterov momentum 0.9.
        schedule: of the learning rate: ``cosine``, or ``one_cycle`` from a 25th up and down to nearly zero.
        warmup: share of the steps in which the learning rate rises.
        accumulate: batches whose gradients make one step.
        clip: largest norm of all gradients together; 0 = any.
        ema: decay of an average of the weights over the steps, which is then what is validated and saved; 0 = none.
        patience: epochs without a better validation score after which a training ends; 0 = never.
        frozen_epochs: epochs at the start in which the head alone trains.
        mixup: alpha of mixup (Zhang et al. 2018, arXiv 1710.09412); 0 = none.
        layer_decay: factor on the learning rate from each layer to the one before it (networks of timm); 1 = the same for all.
    """

    epochs: Annotated[int, Field(ge=1, le=100_000)] = 10
    batch_size: Count = 64
    learning_rate: Positive = 2e-3
    weight_decay: NonNegative = 1e-2
    optimizer: Literal["adamw", "sgd"] = "adamw"
    schedule: Literal["cosine", "one_cycle"] = "cosine"
    warmup: BelowOne = 0.1
    accumulate: Count = 1
    clip: NonNegative = 0.0
    ema: BelowOne = 0.0
    patience: Natural = 0
    frozen_epochs: Natural = 0
    mixup: NonNegative = 0.0
    layer_decay: Annotated[float, Field(gt=0.0, le=1.0)] = 1.0


class LossSettings(Section):
    """The ground-truth loss. ``pos_weight`` "auto" is reals / fakes of the training split.

    ``logit_adjustment`` is τ of Menon et al. 2020 (arXiv 2007.07314): τ times the log odds of *generated* in the training
    split are added to the logit while it trains, so that the logit itself is as if the classes were even (τ = 1).
    """

    kind: Literal["bce", "focal"] = "bce"
    pos_weight: Literal["auto", "none"] | float = "none"
    focal_gamma: NonNegative = 2.0
    logit_adjustment: NonNegative = 0.0

    @field_validator("pos_weight", mode="plain")
    @classmethod
    def _word_or_number(cls, value: Any) -> Any:
        if value in ("auto", "none"):
            return value
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < math.inf:
            return float(value)
        raise ValueError("'auto', 'none' or a positive number")

    @model_validator(mode="after")
    def _one_remedy(self) -> "LossSettings":
        if self.remedies[1:]:
            raise ValueError(f"one remedy for imbalanced classes, not {' and '.join(self.remedies)}")
        return self

    @property
    def remedies(self) -> list[str]:
        """The keys with which this loss makes up for imbalanced classes."""
        active = {
            "pos_weight": self.pos_weight != "none", "logit_adjustment": self.logit_adjustment > 0
        }  # fmt: skip
        return [name for name, is_on in active.items() if is_on]


class TrainingSettings(Section):
    """Knobs shared by every training. Several seeds are needed for any claim about distillation.

    ``processes`` trainings run side by side with ``threads`` threads each; 0 decides by the machine. ``views`` is how
    many augmented views of an image there are for a teacher's outputs to be cached of; where no teacher is cached,
    every epoch has views of its own. ``precision`` "auto" is the faster of FP32 and bf16, measured on the network
    itself where the hardware has bf16. ``balanced`` shows all classes equally often by repeating the rarer. ``loggers`` follow
    a training beside the ``metrics.csv`` that it always leaves; each needs its extra.
    """

    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)] = (0,)
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    processes: Workers = 0
    threads: Workers = 0
    horizontal_flip: bool = True
    views: Count = 8
    accelerator: Literal["auto", "cpu", "gpu"] = "auto"
    devices: Count = 1
    compile: bool = False
    balanced: bool = False
    # not in the repr, by which an unfinished training is known: who looks on changes nothing
    loggers: Annotated[tuple[Literal["tensorboard", "mlflow"], ...], Field(repr=False)] = ()

    @field_validator("seeds")
    @classmethod
    def _distinct(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(seeds)) != len(seeds):
            raise ValueError("each seed may stand only once")
        return seeds
