"""A branch that reads an image's frequencies: mean log-magnitudes of its 8×8 block DCT, or of learned bands of it.

Upsampling leaves its traces in the spectrum, where a linear model already finds them: Frank et al. 2020 (arXiv 2003.08685).
Filters that learn which frequencies to look at together: Qian et al. 2020 (arXiv 2007.09355). A convolution with fixed weights
computes the DCT, so that the branch exports as any other layer.
"""

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

Frequency = bool | Literal["bands"]
"""No branch, one of every coefficient, or one of learned bands."""

BANDS = 16
_SMALLEST = 1e-3  # below it a coefficient is rounding: half a grey level is about 0.01 after normalization
_SHARP = 4.0  # of the filters at the start: neighbouring bands overlap by about half


class FrequencyBranch(nn.Module):
    """Normalized images ``[N, 3, H, W]`` → ``[N, channels]``, batch-normalized.

    Without ``bands`` the channels are the ``block²`` coefficients, row by row: the mean over the blocks of the logarithm of
    each one's magnitude. With them it is that of each band's energy, a sum of the squared coefficients with positive
    weights that are learned; at the start they are rings from low to high frequencies.

    Args:
        block: side of a block in pixels.
        stride: pixels from block to block; less than ``block`` makes them overlap.
        bands: how many; 0 = every coefficient by itself.

    """

    computes_in_float = True  # in 8 bits its small coefficients are lost

    def __init__(self, *, block: int = 8, stride: int = 4, bands: int = 0) -> None:
        super().__init__()
        self.stride = stride
        self.channels = bands or block**2
        self.register_buffer("basis", dct_basis(block), persistent=False)  # no weight: never in a checkpoint
        self.bands = nn.Parameter(ring_filters(block, bands)) if bands else None
        self.norm = nn.BatchNorm1d(self.channels)

    def forward(self, images: Tensor) -> Tensor:
        """Of the mean of the three channels."""
        basis = self.basis
        if not isinstance(basis, Tensor):
            raise TypeError("basis is no tensor")
        with torch.autocast(images.device.type, enabled=False):  # bf16 would round the fine coefficients away
            grey = images.float().mean(1, keepdim=True)
            coefficients = functional.conv2d(grey, basis, stride=self.stride)
            found: Tensor = self.norm(self._log_magnitudes(coefficients).mean((2, 3)))
        return found

    def _log_magnitudes(self, coefficients: Tensor) -> Tensor:
        if self.bands is None:
            return (coefficients.abs() + _SMALLEST).log()
        filters = functional.softplus(self.bands.float())[:, :, None, None]
        return (functional.conv2d(coefficients.square(), filters) + _SMALLEST**2).log() / 2


def make_branch(frequency: Frequency) -> FrequencyBranch | None:
    """The branch that a network's option asks for."""
    if not frequency:
        return None
    return FrequencyBranch(bands=BANDS if frequency == "bands" else 0)


def dct_basis(size: int) -> Tensor:
    """The orthonormal DCT-II of ``size × size`` blocks as weights of a convolution, ``[size², 1, size, size]``."""
    position = torch.arange(size, dtype=torch.float64)
    waves = torch.cos(math.pi / size * (position[None] + 0.5) * position[:, None]) * math.sqrt(2 / size)
    waves[0] /= math.sqrt(2)
    return torch.einsum("ux,vy->uvxy", waves, waves).reshape(size**2, 1, size, size).float()


def ring_filters(size: int, bands: int) -> Tensor:
    """``[bands, size²]``, whose softplus is near 1 on the ring of each band, of equal width, and falls off beside it."""
    along = torch.arange(size) / (size - 1)
    radius = (torch.hypot(along[:, None], along[None]) / math.sqrt(2)).reshape(1, -1)
    centre = (torch.arange(bands) / (bands - 1)).reshape(-1, 1) if bands > 1 else torch.zeros(1, 1)
    return 0.54 + _SHARP * (1 - (bands * (radius - centre)).abs()).clamp(min=-2.0).clamp(max=0.0)
