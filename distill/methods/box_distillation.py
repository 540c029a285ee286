"""Face-box distillation: a small head on a student's feature map learns where the teacher sees a face.

Hinted localisation, as FitNets (arXiv 1412.6550) hints at features; GIoU: Rezatofighi et al. 2019 (arXiv 1902.09630).
The head is the teacher's own kind of localiser. It belongs to the objective and is never saved with the student.
"""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from distill.errors import EdgeproofError
from distill.methods.face_box import giou_loss
from distill.methods.method import Method, Needs
from distill.methods.objective import Batch, Step
from distill.methods.pair import Pair
from distill.methods.soft_bce import soft_bce
from students.output import ModelOutput
from teachers.face_localiser import FaceLocaliser

_CHANNELS = 32


def box_loss(
    boxes: Tensor, logits: Tensor, teacher_boxes: Tensor, teacher_logits: Tensor, *, confidence: float
) -> Tensor:
    """KL divergence of the confidences ``[N]``, plus the GIoU loss of the boxes ``[N, 4]`` where the teacher is confident.

    Both are averaged over the images that take part; where the teacher is nowhere confident, the first alone is left.
    """
    total = soft_bce(logits, teacher_logits, temperature=1.0)
    sure = teacher_logits.sigmoid() >= confidence
    return total + giou_loss(boxes[sure], teacher_boxes[sure]) if sure.any() else total


class FaceBoxDistillation(Method):
    """Learn the teacher's face box and its confidence from one feature map of the student, by default the deepest.

    Raises:
        EdgeproofError: a teacher without a localiser, or one that sees another part of the image.
    """

    name = "face_box"

    def __init__(
        self,
        pair: Pair,
        *,
        weight: float = 1.0,
        student_feature: str = "",
        confidence: Annotated[float, Field(ge=0, le=1)] = 0.5,
    ) -> None:
        super().__init__(pair, weight=weight)
        self.asked = pair.boxes_of(self.teachers[0])
        self.student_feature = pair.student_feature(student_feature)
        self.confidence, self.scale = confidence, _scale(pair, self.teachers[0])
        channels = pair.student[self.student_feature].channels
        self.reduce = nn.Sequential(nn.Conv2d(channels, _CHANNELS, 1), nn.ReLU())
        self.head = FaceLocaliser(_CHANNELS)

    @property
    def needs(self) -> Needs:
        """The box and its confidence."""
        return Needs(features={self.teachers[0]: self.asked})

    def loss(self, output: ModelOutput, batch: Batch, step: Step) -> Tensor:
        """Scalar loss."""
        boxes, logits = (self.read(batch, name) for name in self.asked)
        height, width = batch.images.shape[2:]
        with torch.autocast(
            output.logits.device.type, enabled=False
        ):  # coordinates need more digits than bf16 has
            level = self.reduce(output.features[self.student_feature].float())
            found = self.head({self.student_feature: level}, (height, width))
            return box_loss(
                found.boxes, found.box_logits, boxes * self.scale, logits, confidence=self.confidence
            )


def _scale(pair: Pair, teacher: str) -> float:
    """Pixels of the student's input per pixel of the teacher's."""
    own, theirs = pair.sees.get(""), pair.sees.get(teacher)
    if own is None or theirs is None:
        return 1.0
    if (own.policy, own.size) != (theirs.policy, theirs.size) and {own.policy, theirs.policy} != {"resize"}:
        raise EdgeproofError(
            f"distillation.methods: face_box: {teacher} sees {theirs.policy} at {theirs.size} pixels and the student "
            f"{own.policy} at {own.size}, so that a box is elsewhere; expected the same, or resize for both"
        )
    return own.size / theirs.size
