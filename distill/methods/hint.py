"""Hints: Romero et al. 2015, FitNets (arXiv 1412.6550). A 1×1 projection meets the teacher's feature map."""

from torch import Tensor, nn
from torch.nn import functional as F

from distill.methods.objective import Batch, Objective
from students.output import ModelOutput


def hint_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """MSE of two ``[N, C, H, W]`` maps, each scaled to unit norm over channels; the larger map is pooled down."""
    height, width = (min(a, b) for a, b in zip(student.shape[2:], teacher.shape[2:], strict=True))
    student, teacher = (F.adaptive_avg_pool2d(map_, (height, width)) for map_ in (student, teacher))
    # unit norm: the loss's size must not depend on how large either network's activations happen to be
    difference = F.normalize(student, dim=1) - F.normalize(teacher, dim=1)
    return difference.square().sum(dim=1).mean()


class Hint(Objective):
    """Match one student feature map to one of the teacher's.

    The projection belongs to the objective, so it is trained beside the student and never saved with it.
    """

    name = "hint"

    def __init__(
        self,
        *,
        student_feature: str,
        teacher_feature: str,
        student_channels: int,
        teacher_channels: int,
        weight: float = 1.0,
    ) -> None:
        super().__init__(weight=weight)
        self.student_feature = student_feature
        self.teacher_feature = teacher_feature
        self.projection = nn.Conv2d(student_channels, teacher_channels, kernel_size=1)

    def loss(self, output: ModelOutput, batch: Batch) -> Tensor:
        """Scalar loss."""
        if batch.teacher_features is None or self.teacher_feature not in batch.teacher_features:
            raise ValueError(
                f"hint needs the teacher's feature {self.teacher_feature!r}, but the batch has none"
            )
        projected = self.projection(output.features[self.student_feature])
        return hint_loss(projected.float(), batch.teacher_features[self.teacher_feature].float())
