"""The classifier of the project's own nets: linear layers after global average pooling."""

from torch import nn


def linear_head(inputs: int, *, layers: int, dropout: float, num_logits: int) -> nn.Sequential:
    """``[N, inputs]`` → ``[N, num_logits]``; hidden layers are as wide as the input, with ReLU."""
    hidden = [layer for _ in range(layers - 1) for layer in (nn.Linear(inputs, inputs), nn.ReLU())]
    return nn.Sequential(nn.Dropout(dropout), *hidden, nn.Linear(inputs, num_logits))
