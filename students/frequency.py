"""A branch that reads an image's frequencies: mean log-magnitudes of its 8×8 block DCT.

Upsampling leaves its traces in the spectrum, where a linear model already finds them: Frank et al. 2020 (arXiv 2003.08685).
A convolution with fixed weights computes the DCT, so that the branch exports as any other layer.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

_SMALLEST = 1e-3  # below it a coefficient is rounding: half a grey level is about 0.01 after normalization


class FrequencyBranch(nn.Module):
    """Normalized images ``[N, 3, H, W]`` → ``[N, block²]``, batch-normalized, row by row of the coefficients.

    Args:
        block: side of a block in pixels.
        stride: pixels from block to block; less than ``block`` makes them overlap.

    """

    computes_in_float = True  # in 8 bits its small coefficients are lost

    def __init__(self, *, block: int = 8, stride: int = 4) -> None:
        super().__init__()
        self.stride = stride
        self.channels = block**2
        self.register_buffer("basis", dct_basis(block), persistent=False)  # no weight: never in a checkpoint
        self.norm = nn.BatchNorm1d(self.channels)

    def forward(self, images: Tensor) -> Tensor:
        """Of the mean of the three channels."""
        basis = self.basis
        if not isinstance(basis, Tensor):
            raise TypeError("basis is no tensor")
        with torch.autocast(images.device.type, enabled=False):  # bf16 would round the fine coefficients away
            grey = images.float().mean(1, keepdim=True)
            coefficients = functional.conv2d(grey, basis, stride=self.stride)
            found: Tensor = self.norm((coefficients.abs() + _SMALLEST).log().mean((2, 3)))
        return found


def dct_basis(size: int) -> Tensor:
    """The orthonormal DCT-II of ``size × size`` blocks as weights of a convolution, ``[size², 1, size, size]``."""
    position = torch.arange(size, dtype=torch.float64)
    waves = torch.cos(math.pi / size * (position[None] + 0.5) * position[:, None]) * math.sqrt(2 / size)
    waves[0] /= math.sqrt(2)
    return torch.einsum("ux,vy->uvxy", waves, waves).reshape(size**2, 1, size, size).float()
