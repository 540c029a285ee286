"""Trainable face localiser: an anchor-free head on a pyramid, and a crop with a gradient to its box.

The head follows FCOS (Tian et al. 2019, arXiv 1904.01355): every cell of every level predicts its distances
to the four sides of the face, and a confidence. The crop is RoIAlign (He et al. 2017, arXiv 1703.06870)
written with bilinear sampling as in spatial transformers (Jaderberg et al. 2015, arXiv 1506.02025).
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

# Reach of a cell's box to each side, as a share of the image's side. Trained by classification alone, a box
# without a least size settles on the face and then shrinks to a point.
LEAST_REACH = 0.05
INITIAL_REACH = 0.25


class Localisation(NamedTuple):
    """What the localiser found.

    Attributes:
        boxes: ``[N, 4]``, x1, y1, x2, y2 in pixels of the input, inside the image.
        box_logits: ``[N]``, logit of "there is a face, and this is its box".
        regions: ``[N, 4]``, the boxes faded into the whole image by their confidence.
        confidence_maps: per level ``[N, h, w]``, the logit of every cell.
        box_maps: per level ``[N, 4, h, w]``, the box of every cell in pixels, not clipped to the image.

    """

    boxes: Tensor
    box_logits: Tensor
    regions: Tensor
    confidence_maps: dict[str, Tensor]
    box_maps: dict[str, Tensor]


class FaceLocaliser(nn.Module):
    """Predict one face box per image from pyramid levels that share a head.

    One box is chosen softly, so that a loss on the crop reaches every cell: with weights ``softmax`` of the
    confidence logits over all cells of all levels, the box and its logit are the weighted means of the cells'
    boxes and logits. A sharp confidence map picks one cell; two faces of equal confidence give a box between.

    Where no face is confident the region falls back to the whole image, softly again:
    ``region = c * box + (1 - c) * image`` with ``c = sigmoid(box_logit)``, which starts at one half so that
    classification alone can train the box from the first step.

    Unlike FCOS, distances are fractions of the image's sides, not strides: a face takes a similar share of an
    image at any resolution, so levels need neither their own scale nor their own range of sizes.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.tower = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.GroupNorm(8, channels),  # levels share the head, so that batch statistics would mix them
            nn.ReLU(inplace=True),
        )
        self.distances = nn.Conv2d(channels, 4, 3, padding=1)
        self.confidence = nn.Conv2d(channels, 1, 3, padding=1)
        for layer in (self.distances, self.confidence):
            nn.init.normal_(layer.weight, std=0.01)
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
        nn.init.constant_(self.distances.bias, math.log(math.expm1(INITIAL_REACH - LEAST_REACH)))  # type: ignore[arg-type]

    def forward(self, levels: dict[str, Tensor], image_size: tuple[int, int]) -> Localisation:
        """Levels ``[N, C, h, w]`` and the image's (height, width) → :class:`Localisation`."""
        confidence_maps, box_maps = {}, {}
        for name, level in levels.items():
            shared = self.tower(level)
            confidence_maps[name] = self.confidence(shared).squeeze(1).float()
            # Coordinates need more digits than bfloat16 has.
            reach = LEAST_REACH + functional.softplus(self.distances(shared).float())
            box_maps[name] = decode_boxes(reach, image_size)
        logits = torch.cat([m.flatten(1) for m in confidence_maps.values()], dim=1)
        candidates = torch.cat([m.flatten(2) for m in box_maps.values()], dim=2)
        weights = logits.softmax(dim=1)
        height, width = image_size
        whole = candidates.new_tensor([0, 0, width, height])
        boxes = (candidates * weights.unsqueeze(1)).sum(2)
        boxes = torch.minimum(boxes.clamp(min=0), whole[[2, 3, 2, 3]])
        box_logits = (logits * weights).sum(1)
        regions = whole + box_logits.sigmoid().unsqueeze(1) * (boxes - whole)
        return Localisation(boxes, box_logits, regions, confidence_maps, box_maps)


def decode_boxes(distances: Tensor, image_size: tuple[int, int]) -> Tensor:
    """Boxes in pixels of distances ``[N, 4, h, w]``: left, top, right, bottom of a cell, in image sides."""
    height, width = image_size
    rows, columns = distances.shape[-2:]
    x = _centres(columns, like=distances).expand(rows, columns)
    y = _centres(rows, like=distances).unsqueeze(1).expand(rows, columns)
    left, top, right, bottom = distances.unbind(1)
    return torch.stack(
        [(x - left) * width, (y - top) * height, (x + right) * width, (y + bottom) * height], dim=1
    )


def crop_regions(
    features: Tensor, boxes: Tensor, image_size: tuple[int, int], *, bins: int = 7, samples: int = 2
) -> Tensor:
    """RoIAlign of one box per image, with a gradient to the features *and* to the box.

    ``torchvision.ops.roi_align`` returns no gradient for its boxes, so that classification could never move
    them. This gives the same numbers as its ``aligned=True, sampling_ratio=samples``, by bilinear sampling.

    Args:
        features: ``[N, C, h, w]`` of an image.
        boxes: ``[N, 4]``, x1, y1, x2, y2 in pixels of the image, inside it.
        image_size: height and width of the image in pixels.
        bins: rows and columns of the result.
        samples: sampled points per bin and axis, which are averaged.

    Returns:
        ``[N, C, bins, bins]``.

    """
    height, width = image_size
    steps = _centres(bins * samples, like=boxes)
    x1, y1, x2, y2 = boxes.unsqueeze(2).unbind(1)
    x = (x1 + (x2 - x1) * steps) * (2 / width) - 1
    y = (y1 + (y2 - y1) * steps) * (2 / height) - 1
    size = (-1, bins * samples, bins * samples)
    grid = torch.stack([x.unsqueeze(1).expand(size), y.unsqueeze(2).expand(size)], dim=3)
    points = functional.grid_sample(features.to(grid.dtype), grid, padding_mode="border", align_corners=False)
    return functional.avg_pool2d(points, samples)


def _centres(count: int, *, like: Tensor) -> Tensor:
    """Centres of ``count`` equal parts of 0..1."""
    return (torch.arange(count, dtype=like.dtype, device=like.device) + 0.5) / count
