"""A user's own parts, one of each kind, as a recipe names them: ``own_parts:Net``. No edgeproof file knows of them."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from deploy.quantizers import ort
from distill.data.samples import Sample
from distill.methods import Method, Needs, Pair
from distill.methods.objective import Batch, Step
from students.output import ModelOutput


class Net(nn.Sequential):
    """A plain module: no ModelOutput, no feature_channels."""

    def __init__(self, *, width: int = 16, num_logits: int = 1) -> None:
        super().__init__(
            nn.Conv2d(3, width, 3, 2, 1), nn.BatchNorm2d(width), nn.ReLU(),
            nn.Conv2d(width, width, 3, 2, 1), nn.ReLU(),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, num_logits),
        )  # fmt: skip


class Fixed(nn.Sequential):
    """A module that takes images of one size alone."""

    def __init__(self) -> None:
        super().__init__(nn.Flatten(), nn.Linear(3 * 32 * 32, 1))


class Cubed(Method):
    """A logit method: two lines of mathematics, and an option with a range."""

    name = "cubed"

    def __init__(
        self, pair: Pair, *, weight: float = 1.0, power: Annotated[int, Field(ge=1, le=5)] = 3
    ) -> None:
        super().__init__(pair, weight=weight)
        self.power = power

    def loss(self, output: ModelOutput, batch: Batch, step: Step) -> Tensor:
        """Mean of ``|s - t| ** power``, warmed up over the first half of the epochs."""
        warm = min(1.0, (step.epoch + 1) / max(1, step.epochs // 2))
        return warm * (output.logits - self.teacher(batch).logits).abs().pow(self.power).mean()


class Bank(Method):
    """A feature method with a memory over the data set: the teacher's last pooled feature of every image."""

    name = "bank"

    def __init__(self, pair: Pair, *, weight: float = 1.0, momentum: float = 0.5) -> None:
        super().__init__(pair, weight=weight)
        self.momentum = momentum
        [self.heard] = self.teachers
        self.feature = pair.teacher_feature("", teacher=self.heard)
        self.own = pair.student_feature("")
        channels = pair.teachers[self.heard][self.feature].channels
        self.project = nn.Linear(pair.student[self.own].channels, channels)
        self.memory: Tensor
        self.register_buffer("memory", torch.zeros(0, channels))
        self.seen = 0

    @property
    def needs(self) -> Needs:
        """One feature map, and a place for every image."""
        return Needs(features={self.heard: (self.feature,)}, memory=True)

    def prepare(self, samples: Sequence[Sample]) -> None:
        """Make the places."""
        self.memory = torch.zeros(len(samples), self.memory.shape[1])

    def loss(self, output: ModelOutput, batch: Batch, step: Step) -> Tensor:
        """Distance to the running mean of the teacher's pooled feature of the same image."""
        now = self.teacher(batch).features[self.feature].float().mean((2, 3))
        kept = self.memory[batch.indices] * self.momentum + now * (1 - self.momentum)
        self.memory[batch.indices] = kept.detach()
        return F.mse_loss(self.project(output.features[self.own].float().mean((2, 3))), kept)


QUANTIZER = replace(ort.QUANTIZER, name="own")
