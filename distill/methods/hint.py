"""Hints: Romero et al. 2015, FitNets (arXiv 1412.6550). A 1×1 projection meets the teacher's feature map."""

from torch import Tensor, nn
from torch.nn import functional as F

from distill.methods.method import Method, Needs, Pair
from distill.methods.objective import Batch, Step
from students.output import ModelOutput


def hint_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """MSE of two ``[N, C, H, W]`` maps, each scaled to unit norm over channels; the larger map is pooled down."""
    height, width = (min(a, b) for a, b in zip(student.shape[2:], teacher.shape[2:], strict=True))
    student, teacher = (F.adaptive_avg_pool2d(map_, (height, width)) for map_ in (student, teacher))
    # unit norm: the loss's size must not depend on how large either network's activations happen to be
    difference = F.normalize(student, dim=1) - F.normalize(teacher, dim=1)
    return difference.square().sum(dim=1).mean()


class Hint(Method):
    """Match one student feature map to one of the teacher's; by default the deepest of both.

    The projection belongs to the objective, so it is trained beside the student and never saved with it.
    """

    name = "hint"

    def __init__(
        self, pair: Pair, *, weight: float = 1.0, student_feature: str = "", teacher_feature: str = ""
    ) -> None:
        super().__init__(pair, weight=weight)
        teacher = self.teachers[0]
        self.student_feature = pair.student_feature(student_feature)
        self.teacher_feature = pair.teacher_feature(teacher_feature, teacher=teacher)
        outputs = pair.teachers[teacher][self.teacher_feature]
        self.projection = nn.Conv2d(pair.student[self.student_feature], outputs, kernel_size=1)

    @property
    def needs(self) -> Needs:
        """One feature map."""
        return Needs(features={self.teachers[0]: (self.teacher_feature,)})

    def loss(self, output: ModelOutput, batch: Batch, step: Step) -> Tensor:
        """Scalar loss."""
        features = self.teacher(batch).features
        if self.teacher_feature not in features:
            raise ValueError(
                f"hint needs the feature {self.teacher_feature!r} of {self.teachers[0]}, but the batch holds {[*features]}"
            )
        projected = self.projection(output.features[self.student_feature])
        return hint_loss(projected.float(), features[self.teacher_feature].float())
