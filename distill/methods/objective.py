"""What a training minimises: named parts, each a scalar, that sum to the loss."""

from typing import NamedTuple

from torch import Tensor, nn

from students.output import ModelOutput


class Batch(NamedTuple):
    """One training batch.

    Attributes:
        images: normalized float ``[N, 3, H, W]``.
        labels: float ``[N]`` in {0, 1} for the binary task, long ``[N]`` for K classes; -1 = unknown.
        boxes: ``[N, 4]`` face boxes in pixels of the input; a row of zeros: known to have no face;
            a row of NaN: unknown.
        teacher_logits: cached, ``[N]`` or ``[N, K]``; ``None`` where no teacher is listened to.
        teacher_features: cached, name → ``[N, C, H, W]``.
    """

    images: Tensor
    labels: Tensor
    boxes: Tensor
    teacher_logits: Tensor | None = None
    teacher_features: dict[str, Tensor] | None = None


class Objective(nn.Module):
    """One term of the loss. Its own parameters (a hint's projection) train, but are no part of the model."""

    name = "objective"

    def __init__(self, *, weight: float = 1.0) -> None:
        super().__init__()
        self.weight = weight

    def loss(self, output: ModelOutput, batch: Batch) -> Tensor:
        """The unweighted scalar."""
        raise NotImplementedError

    def forward(self, output: ModelOutput, batch: Batch) -> Tensor:
        """The weighted scalar."""
        return self.weight * self.loss(output, batch)


def require_teacher_logits(batch: Batch, *, method: str) -> Tensor:
    """The teacher's logits, or an error that names the method which wants them."""
    if batch.teacher_logits is None:
        raise ValueError(f"{method} needs the teacher's logits, but the batch has none")
    return batch.teacher_logits
