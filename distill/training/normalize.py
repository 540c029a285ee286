"""Pixels → a network's input, on the device where it runs."""

import torch
from torch import Tensor

from distill.preprocess import PreprocessSpec


def normalize(images: Tensor, *, spec: PreprocessSpec) -> Tensor:
    """``uint8 [N, H, W, 3]`` → normalized float ``[N, 3, H, W]``, channels-last in memory at no cost."""
    mean = torch.tensor(spec.mean, device=images.device) * 255
    scale = 1 / (torch.tensor(spec.std, device=images.device) * 255)
    return ((images.float() - mean) * scale).permute(0, 3, 1, 2)
