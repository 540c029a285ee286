"""CBAM, the convolutional block attention module (Woo et al. 2018, arXiv 1807.06521).

timm has one too, marked there as experimental and likely to be removed.
"""

import torch
from torch import Tensor, nn

MIN_HIDDEN = 8  # the paper's C / 16 leaves two hidden units at 32 channels, which tend to die together


class CBAM(nn.Module):
    """Weigh channels, then places: ``x * channel_attention``, then ``x * spatial_attention``.

    Channel attention is ``sigmoid(mlp(avg_pool(x)) + mlp(max_pool(x)))`` with one shared MLP, spatial
    attention ``sigmoid(conv7x7([mean over channels, max over channels]))``.
    """

    def __init__(self, channels: int, *, reduction: int = 16) -> None:
        super().__init__()
        hidden = max(channels // reduction, MIN_HIDDEN)
        self.mlp = nn.Sequential(
            nn.Conv2d(channels, hidden, 1), nn.ReLU(inplace=True), nn.Conv2d(hidden, channels, 1)
        )
        self.spatial = nn.Conv2d(2, 1, 7, padding=3, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """``[N, C, H, W]`` → the same shape."""
        return self.attend(x)[0]

    def attend(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """``[N, C, H, W]`` → the same shape, and its spatial attention ``[N, 1, H, W]`` between 0 and 1."""
        average, peak = x.mean((2, 3), keepdim=True), x.amax((2, 3), keepdim=True)
        x = x * torch.sigmoid(self.mlp(average) + self.mlp(peak))
        places = torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], dim=1)
        spatial = torch.sigmoid(self.spatial(places))
        return x * spatial, spatial
