"""Plain convolutional net made for INT8 on a CPU: the project's own small student.

The shape follows VGG (Simonyan & Zisserman 2014, arXiv 1409.1556) with batch normalization (Ioffe & Szegedy
2015, arXiv 1502.03167) and all-convolutional downsampling (Springenberg et al. 2014, arXiv 1412.6806).
"""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn
from torchvision.ops import Conv2dNormActivation

from students.frequency import Frequency, make_branch
from students.head import linear_head
from students.options import Dropout, NumLogits
from students.output import ModelOutput, squeeze_binary

MAX_CHANNELS = 256


class SmallCNN(nn.Module):
    """Blocks of dense 3×3 convolution + BN + ReLU; each block halves the image and doubles the channels.

    Only dense convolutions, ReLU and channels in multiples of 16: on VNNI and AMX such a net beats a
    depthwise one in INT8 at several times its multiply-accumulates.

    Args:
        num_logits: 1 for the binary task, K for K classes.
        blocks: number of blocks; the last feature map is ``input / 2**blocks``.
        base_channels: channels of the first block; doubled by each block up to 256.
        convs_per_block: convolutions in a block; the first has stride 2.
        classifier_layers: linear layers after global average pooling.
        dropout: probability of dropping a pooled feature while training.
        frequency: a branch that reads the image's frequencies: ``true`` for every DCT coefficient, ``bands`` for learned bands.

    """

    def __init__(
        self,
        *,
        num_logits: NumLogits = 1,
        blocks: Annotated[int, Field(ge=1, le=8)] = 4,
        base_channels: Annotated[int, Field(ge=16, le=MAX_CHANNELS, multiple_of=16)] = 16,
        convs_per_block: Annotated[int, Field(ge=1, le=8)] = 2,
        classifier_layers: Annotated[int, Field(ge=1, le=4)] = 2,
        dropout: Dropout = 0.0,
        frequency: Frequency = False,
    ) -> None:
        super().__init__()
        widths = [min(base_channels * 2**i, MAX_CHANNELS) for i in range(blocks)]
        self.feature_channels = {f"block{i}": width for i, width in enumerate(widths, start=1)}
        self.blocks = nn.ModuleDict()
        inputs = 3
        for name, width in self.feature_channels.items():
            self.blocks[name] = _block(inputs, width, convs_per_block)
            inputs = width
        self.frequency = make_branch(frequency)
        inputs += self.frequency.channels if self.frequency else 0
        self.classifier = linear_head(
            inputs, layers=classifier_layers, dropout=dropout, num_logits=num_logits
        )

    def forward(self, images: Tensor) -> ModelOutput:
        """Normalized ``[N, 3, H, W]`` → logits and the output of every block."""
        features = {}
        x = images
        for name, block in self.blocks.items():
            x = features[name] = block(x)
        pooled = x.mean((2, 3))
        if self.frequency is not None:
            pooled = torch.cat([pooled, self.frequency(images).to(pooled.dtype)], dim=1)
        return ModelOutput(logits=squeeze_binary(self.classifier(pooled)), features=features)


def _block(inputs: int, outputs: int, convolutions: int) -> nn.Sequential:
    first = Conv2dNormActivation(inputs, outputs, 3, stride=2)
    return nn.Sequential(first, *(Conv2dNormActivation(outputs, outputs, 3) for _ in range(convolutions - 1)))
