"""What a training minimises: named parts, each a scalar, that sum to the loss."""

from collections.abc import Mapping
from typing import NamedTuple

from torch import Tensor, nn

from students.output import ModelOutput


class Batch(NamedTuple):
    """One training batch.

    Attributes:
        images: normalized float ``[N, 3, H, W]``.
        labels: float ``[N]``, the class's number (1 = generated in the binary task); -1 = unknown.
        boxes: ``[N, 4]`` face boxes in pixels of the input; a row of zeros: known to have no face;
            a row of NaN: unknown.
        indices: long ``[N]``, the samples' numbers in the training data, for memory over the data set.
        teachers: teacher's name → what it said of these very views; empty where no teacher is listened to.
        views: teacher's name → uint8 ``[N, H, W, 3]`` images for a teacher that is asked now and sees others.
    """

    images: Tensor
    labels: Tensor
    boxes: Tensor
    indices: Tensor
    teachers: Mapping[str, ModelOutput] = {}
    views: Mapping[str, Tensor] = {}


class Step(NamedTuple):
    """How far a training is, for warm-ups and schedules: epoch of epochs and the optimizer's step of steps (from 0)."""

    epoch: int
    epochs: int
    step: int
    steps: int = 1

    @property
    def share(self) -> float:
        """Share of the training that is done, below 1."""
        return self.step / self.steps


class Objective(nn.Module):
    """One term of the loss. Its own parameters (a hint's projection) train, but are no part of the model."""

    name = "objective"

    def __init__(self, *, weight: float = 1.0) -> None:
        super().__init__()
        self.weight = weight

    def loss(self, output: ModelOutput, batch: Batch, step: Step) -> Tensor:
        """The unweighted scalar."""
        raise NotImplementedError

    def forward(self, output: ModelOutput, batch: Batch, step: Step) -> Tensor:
        """The weighted scalar."""
        return self.weight * self.loss(output, batch, step)
