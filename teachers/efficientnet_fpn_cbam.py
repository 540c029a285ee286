"""EfficientNet + FPN + CBAM with a built-in trainable face localiser: the reports' best detector.

EfficientNet: Tan & Le 2019, arXiv 1905.11946 (from timm). FPN: Lin et al. 2017, arXiv 1612.03144 (from
torchvision). CBAM: Woo et al. 2018, arXiv 1807.06521. Localiser: see ``teachers.face_localiser``.
"""

import math
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional
from torchvision.ops import Conv2dNormActivation, FeaturePyramidNetwork

from students.frequency import Frequency, make_branch
from students.options import Dropout, NumLogits, OptionError
from students.output import ModelOutput, squeeze_binary
from students.timm_models import create_backbone
from teachers.cbam import CBAM
from teachers.face_localiser import FaceLocaliser, Localisation, crop_regions


class EfficientNetFpnCbam(nn.Module):
    """Classify an image from its attended pyramid and from the face that it finds by itself.

    The classifier reads the mean of every pyramid level (the whole image) beside the mean of a convolved crop
    of the finest level (the face). Features are the attended levels, named ``p<n>`` for stride ``2**n``.

    Args:
        num_logits: 1 for the binary task, K for K classes.
        backbone: any timm model that offers a pyramid of features; ``test_efficientnet`` is a tiny one.
        levels: how many of the backbone's last feature maps make the pyramid.
        fpn_channels: channels of every pyramid level.
        fpn: top-down pathway; off, each level is only projected to ``fpn_channels``.
        cbam: attention on each level.
        localiser: the face branch; off, the whole image alone is classified.
        frequency: a branch that reads the image's frequencies: ``true`` for every DCT coefficient, ``bands`` for learned bands.
        dropout: probability of dropping a pooled feature while training.
        pretrained: timm's weights of the backbone, by its own download.
        weights: local ``.safetensors`` of the backbone with timm's tensor names; wins over ``pretrained``.

    """

    def __init__(
        self,
        *,
        num_logits: NumLogits = 1,
        backbone: str = "efficientnet_b3",
        levels: Annotated[int, Field(ge=1, le=5)] = 3,
        fpn_channels: Annotated[int, Field(ge=8, le=512, multiple_of=8)] = 128,
        fpn: bool = True,
        cbam: bool = True,
        localiser: bool = True,
        frequency: Frequency = False,
        dropout: Dropout = 0.2,
        pretrained: bool = False,
        weights: Path | None = None,
    ) -> None:
        super().__init__()
        self.backbone: Any = create_backbone(backbone, pretrained=pretrained, weights=weights)
        inputs = pyramid_channels(self.backbone, name=backbone, levels=levels)
        self.feature_channels = dict.fromkeys(inputs, fpn_channels)
        widths = list(inputs.values())
        self.pyramid: nn.Module = (
            FeaturePyramidNetwork(widths, fpn_channels, norm_layer=nn.BatchNorm2d)
            if fpn
            else _Laterals(widths, fpn_channels)
        )
        self.attention = nn.ModuleDict(
            {name: CBAM(fpn_channels) if cbam else nn.Identity() for name in inputs}
        )
        self.localiser = FaceLocaliser(fpn_channels) if localiser else None
        self.face = Conv2dNormActivation(fpn_channels, fpn_channels, 3) if localiser else None
        self.frequency = make_branch(frequency)
        pooled = fpn_channels * (len(inputs) + localiser) + (self.frequency.channels if self.frequency else 0)
        self.classifier = nn.Sequential(nn.Dropout(dropout), nn.Linear(pooled, num_logits))

    def forward(self, images: Tensor) -> ModelOutput:
        """Normalized ``[N, 3, H, W]`` → logits, levels, with CBAM its attention, and with the localiser also boxes.

        ``auxiliary`` then holds, per level, ``confidence_map_<level>`` (``[N, h, w]`` logits) and
        ``box_map_<level>`` (``[N, 4, h, w]``, x1, y1, x2, y2 in pixels, not clipped) for a box loss.
        """
        maps = self.backbone(images)[-len(self.feature_channels) :]
        if getattr(self.backbone, "output_fmt", "NCHW") == "NHWC":
            maps = [m.permute(0, 3, 1, 2) for m in maps]
        levels = self.pyramid(dict(zip(self.feature_channels, maps, strict=True)))
        # Without ReLU the mean of a level would be a linear function of the mean of its input.
        features, attention = self._attended({name: functional.relu(level) for name, level in levels.items()})
        pooled = [level.mean((2, 3)) for level in features.values()]
        found: Localisation | None = None
        if self.localiser is not None and self.face is not None:
            size = (images.shape[2], images.shape[3])
            found = self.localiser(features, size)
            finest = next(iter(features.values()))
            pooled.append(self.face(crop_regions(finest, found.regions, size).to(finest.dtype)).mean((2, 3)))
        if self.frequency is not None:
            pooled.append(self.frequency(images).to(pooled[0].dtype))
        logits = squeeze_binary(self.classifier(torch.cat(pooled, dim=1)))
        if found is None:
            return ModelOutput(logits=logits, features=features, attention=attention)
        auxiliary = {f"confidence_map_{name}": m for name, m in found.confidence_maps.items()}
        auxiliary |= {f"box_map_{name}": m for name, m in found.box_maps.items()}
        return ModelOutput(logits, features, found.boxes, found.box_logits, auxiliary, attention)

    def _attended(self, levels: dict[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor] | None]:
        """The levels weighed by attention, and its spatial maps; None without CBAM."""
        features, maps = {}, {}
        for name, level in levels.items():
            block = self.attention[name]
            if isinstance(block, CBAM):
                features[name], maps[name] = block.attend(level)
            else:
                features[name] = level
        return features, maps or None


class _Laterals(nn.Module):
    """What is left of an FPN without its top-down pathway: a projection of each level."""

    def __init__(self, inputs: list[int], channels: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            Conv2dNormActivation(width, channels, 1, activation_layer=None) for width in inputs
        )

    def forward(self, maps: dict[str, Tensor]) -> dict[str, Tensor]:
        return {name: block(maps[name]) for name, block in zip(maps, self.blocks, strict=True)}


def pyramid_channels(backbone: Any, *, name: str, levels: int) -> dict[str, int]:
    """Level name → channels of the last ``levels`` feature maps of a timm backbone, fine to coarse.

    Raises:
        OptionError: too few maps, or maps that do not get coarser (plain vision transformers).

    """
    info = backbone.feature_info
    strides, channels = list(info.reduction()), list(info.channels())
    if levels > len(strides):
        raise OptionError(f"option levels is {levels}, but backbone {name!r} has {len(strides)} feature maps")
    if strides != sorted(set(strides)):
        raise OptionError(f"backbone {name!r} has no pyramid: its feature maps have strides {strides}")
    names = [f"p{round(math.log2(stride))}" for stride in strides]
    return dict(list(zip(names, channels, strict=True))[-levels:])
