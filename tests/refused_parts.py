"""A user's own network with an operator that ONNX Runtime has and OpenVINO lacks: ``refused_parts:Volume``."""

import torch
from torch import Tensor, nn

from students.output import ModelOutput


class Volume(nn.Module):
    """Tells images by the volume that its channels span: the determinant of their second moments."""

    feature_channels = {"block2": 4}

    def __init__(self, *, num_logits: int = 1) -> None:
        super().__init__()
        self.block2 = nn.Conv2d(3, 4, 3, stride=2, padding=1)
        self.head = nn.Linear(5, num_logits)

    def forward(self, x: Tensor) -> ModelOutput:
        """``[N, 3, S, S]`` → logits ``[N]``."""
        maps = torch.relu(self.block2(x))
        flat = maps.flatten(2).float()
        moments = flat @ flat.transpose(1, 2) / flat.shape[2] + torch.eye(4)
        volume = torch.linalg.det(moments)
        logits = self.head(torch.cat([flat.mean(2), volume[:, None]], dim=1)).flatten()
        return ModelOutput(logits, {"block2": maps})
