"""Supervision of the teacher's face localiser where boxes are known: FCOS (Tian et al. 2019), simplified.

Images whose box is unknown take no part: there the classification loss alone moves the localiser.
"""

import torch
from torch import Tensor
from torch.nn import functional as F
from torchvision.ops import generalized_box_iou_loss

from distill.methods.objective import Batch, Objective, Step
from students.output import ModelOutput


class FaceBox(Objective):
    """GIoU + confidence of the chosen box, and the per-cell confidence and box maps if the teacher gives them."""

    name = "box"

    def loss(self, output: ModelOutput, batch: Batch, step: Step) -> Tensor:
        """Scalar loss; zero when no box is known."""
        known = ~batch.boxes.isnan().any(dim=1)
        if output.boxes is None or output.box_logits is None or not known.any():
            return output.logits.float().sum() * 0.0
        target = batch.boxes[known]
        present = (target[:, 2] > target[:, 0]).float()
        total = F.binary_cross_entropy_with_logits(output.box_logits[known].float(), present)
        faces = present.bool()
        if faces.any():
            total = total + giou_loss(output.boxes[known][faces].float(), target[faces])
        return total + self._maps(output.auxiliary or {}, known, target, size=batch.images.shape[-1])

    def _maps(self, auxiliary: dict[str, Tensor], known: Tensor, target: Tensor, *, size: int) -> Tensor:
        total = target.new_zeros(())
        for name, confidence in auxiliary.items():
            if not name.startswith("confidence_map_"):
                continue
            confidence = confidence[known].float()
            inside = _cells_inside(target, height=confidence.shape[-2], width=confidence.shape[-1], size=size)
            total = total + F.binary_cross_entropy_with_logits(confidence, inside.float())
            boxes = auxiliary[name.replace("confidence", "box")][known].float().permute(0, 2, 3, 1)
            if inside.any():
                wanted = target[:, None, None, :].expand_as(boxes)
                total = total + giou_loss(boxes[inside], wanted[inside])
        return total


def giou_loss(boxes: Tensor, target: Tensor) -> Tensor:
    """Mean of ``1 - GIoU`` of ``[N, 4]`` boxes, x1, y1, x2, y2 (Rezatofighi et al. 2019, arXiv 1902.09630)."""
    loss: Tensor = generalized_box_iou_loss(boxes, target, reduction="mean")
    return loss


def _cells_inside(boxes: Tensor, *, height: int, width: int, size: int) -> Tensor:
    """Whether each cell's centre lies in the central half of the box: ``[N, height, width]`` bool."""
    ys = (torch.arange(height, device=boxes.device) + 0.5) * size / height
    xs = (torch.arange(width, device=boxes.device) + 0.5) * size / width
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2
    reach = (boxes[:, 2:] - boxes[:, :2]) / 4
    across = (xs[None, :] - centre[:, :1]).abs() <= reach[:, :1]
    down = (ys[None, :] - centre[:, 1:]).abs() <= reach[:, 1:]
    return (down[:, :, None] & across[:, None, :]) & (reach[:, 0] > 0)[:, None, None]
