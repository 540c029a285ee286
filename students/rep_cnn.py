"""Plain 3×3 net for INT8 whose convolutions may have branches while training: RepVGG and a quantization-friendly form.

RepVGG: Ding et al. 2021, arXiv 2101.03697. QARepVGG: Chu et al. 2022, arXiv 2212.01593. The branches of a convolution are
one linear map in evaluation, so :meth:`RepCNN.deployed` adds them up: what is deployed is a stack of 3×3 convolutions
with ReLU whatever it was trained as.
"""

import copy
from typing import Annotated, Literal, Self

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_weights

from students.frequency import Frequency, make_branch
from students.head import linear_head
from students.options import Dropout, NumLogits, OptionError
from students.output import ModelOutput, squeeze_binary

Branches = Literal["plain", "repvgg", "qarepvgg"]
Width = Annotated[int, Field(ge=16, le=1024, multiple_of=16)]
Depth = Annotated[int, Field(ge=1, le=16)]
_PATCHES = {"patch2": 2, "patch4": 4, "patch8": 8}


class RepCNN(nn.Module):
    """A stem, then stages of dense 3×3 convolutions, the first of each with stride 2; channels in multiples of 16.

    The features are the stem's output and every stage's, shallow to deep.

    Args:
        num_logits: 1 for the binary task, K for K classes.
        stem: ``conv``, a 3×3 convolution with stride 2, or ``patch4``: a 4×4 one with stride 4 (2 and 8 likewise), which
            is faster and loses the traces that live in single pixels.
        stem_width: channels of the stem.
        widths: channels of each stage.
        depths: convolutions of each stage.
        branches: what a convolution is while training. ``plain``: itself and batch normalization. ``repvgg``: beside it
            a 1×1 one, and the identity where shapes allow, each with batch normalization. ``qarepvgg``: the same
            without normalization on the side branches, and one after their sum, which keeps ranges narrow for INT8.
        classifier_layers: linear layers after global average pooling.
        dropout: probability of dropping a pooled feature while training.
        frequency: a branch that reads the image's frequencies: ``true`` for every DCT coefficient, ``bands`` for learned bands.

    """

    def __init__(
        self,
        *,
        num_logits: NumLogits = 1,
        stem: Literal["conv", "patch2", "patch4", "patch8"] = "conv",
        stem_width: Width = 16,
        widths: tuple[Width, ...] = (32, 64, 128, 256),
        depths: tuple[Depth, ...] = (1, 1, 1, 1),
        branches: Branches = "plain",
        classifier_layers: Annotated[int, Field(ge=1, le=4)] = 2,
        dropout: Dropout = 0.0,
        frequency: Frequency = False,
    ) -> None:
        super().__init__()
        if not widths or len(widths) != len(depths):
            raise OptionError(
                f"rep_cnn: widths are {list(widths)} and depths {list(depths)}, expected one of each for every stage"
            )
        self.feature_channels = {"stem": stem_width}
        self.feature_channels |= {f"stage{i}": width for i, width in enumerate(widths, start=1)}
        patch = _PATCHES.get(stem)
        first = _patch(stem_width, patch) if patch else RepConv(3, stem_width, stride=2, branches=branches)
        self.stages = nn.ModuleDict({"stem": first})
        inputs = stem_width
        for i, (width, depth) in enumerate(zip(widths, depths, strict=True), start=1):
            self.stages[f"stage{i}"] = _stage(inputs, width, depth=depth, branches=branches)
            inputs = width
        self.frequency = make_branch(frequency)
        inputs += self.frequency.channels if self.frequency else 0
        self.classifier = linear_head(
            inputs, layers=classifier_layers, dropout=dropout, num_logits=num_logits
        )

    def forward(self, images: Tensor) -> ModelOutput:
        """Normalized ``[N, 3, H, W]`` → logits, and the output of the stem and of every stage."""
        features = {}
        x = images
        for name, stage in self.stages.items():
            x = features[name] = stage(x)
        pooled = x.mean((2, 3))
        if self.frequency is not None:
            pooled = torch.cat([pooled, self.frequency(images).to(pooled.dtype)], dim=1)
        return ModelOutput(logits=squeeze_binary(self.classifier(pooled)), features=features)

    def deployed(self) -> Self:
        """A copy in evaluation mode whose every :class:`RepConv` is one 3×3 convolution with bias; says the same."""
        copied = copy.deepcopy(self).eval()
        for parent in list(copied.modules()):
            for name, child in parent.named_children():
                if isinstance(child, RepConv):
                    setattr(parent, name, child.fused())
        return copied


class RepConv(nn.Module):
    """3×3 convolution + normalization + ReLU, with branches that :meth:`fused` adds up; see :class:`RepCNN`."""

    def __init__(self, inputs: int, outputs: int, *, stride: int, branches: Branches) -> None:
        super().__init__()
        same = inputs == outputs and stride == 1
        self.stride = stride
        self.dense = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.dense_norm = nn.BatchNorm2d(outputs)
        self.point = None if branches == "plain" else nn.Conv2d(inputs, outputs, 1, bias=False)
        self.point_norm = nn.BatchNorm2d(outputs) if branches == "repvgg" else None
        self.identity = same and branches != "plain"
        self.identity_norm = nn.BatchNorm2d(outputs) if self.identity and branches == "repvgg" else None
        self.norm = nn.BatchNorm2d(outputs) if branches == "qarepvgg" else None

    def forward(self, x: Tensor) -> Tensor:
        """``[N, C, H, W]`` → ``[N, D, H / stride, W / stride]``."""
        total: Tensor = self.dense_norm(self.dense(x))
        if self.point is not None:
            # not a convolution with stride: torch 2.15 corrupts memory in the backward pass of a 1×1 one with stride 2
            # over 3 channels in channels-last FP32
            side = self.point(x[:, :, :: self.stride, :: self.stride])
            total = total + (side if self.point_norm is None else self.point_norm(side))
        if self.identity:
            total = total + (x if self.identity_norm is None else self.identity_norm(x))
        return functional.relu(total if self.norm is None else self.norm(total), inplace=True)

    @torch.no_grad()
    def fused(self) -> nn.Sequential:
        """One convolution with bias, and ReLU; the running statistics of normalization become part of it."""
        weight, bias = _fold(self.dense.weight, None, self.dense_norm)
        if self.point is not None:
            centred = functional.pad(self.point.weight, (1, 1, 1, 1))
            side, shift = _fold(centred, None, self.point_norm)
            weight, bias = weight + side, bias + shift
        if self.identity:
            one = nn.init.dirac_(torch.zeros_like(self.dense.weight))
            side, shift = _fold(one, None, self.identity_norm)
            weight, bias = weight + side, bias + shift
        weight, bias = _fold(weight, bias, self.norm)
        one_convolution = nn.Conv2d(
            self.dense.in_channels, self.dense.out_channels, 3, stride=self.stride, padding=1
        ).to(weight)
        one_convolution.load_state_dict({"weight": weight, "bias": bias})
        return nn.Sequential(one_convolution, nn.ReLU(inplace=True))


def _fold(weight: Tensor, bias: Tensor | None, norm: nn.BatchNorm2d | None) -> tuple[Tensor, Tensor]:
    """A convolution's weight and bias with the normalization behind it, as it is in evaluation, folded in."""
    if norm is None or norm.running_mean is None or norm.running_var is None:
        return weight, weight.new_zeros(len(weight)) if bias is None else bias
    return fuse_conv_bn_weights(
        weight, bias, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias
    )


def _stage(inputs: int, outputs: int, *, depth: int, branches: Branches) -> nn.Sequential:
    first = RepConv(inputs, outputs, stride=2, branches=branches)
    return nn.Sequential(
        first, *(RepConv(outputs, outputs, stride=1, branches=branches) for _ in range(depth - 1))
    )


def _patch(outputs: int, side: int) -> nn.Sequential:
    convolution = nn.Conv2d(3, outputs, side, stride=side, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))
