"""An exponential moving average of a network's weights (Polyak & Juditsky 1992; Tarvainen & Valpola 2017, arXiv 1703.01780)."""

import copy

import torch
from torch import Tensor, nn


class Average(nn.Module):
    """A copy of a network that follows it; BatchNorm's statistics follow like the weights that made them.

    Lightning's callback averages whatever is trained (a hint's projection too) and starts at the full decay, with
    which the untrained weights would be most of a short training's average.

    Args:
        model: the network; not changed.
        decay: what the average keeps of itself at a step, once there were many.
    """

    def __init__(self, model: nn.Module, *, decay: float) -> None:
        super().__init__()
        self.module = copy.deepcopy(model).requires_grad_(False)
        self.decay = decay

    @torch.no_grad()
    def update(self, model: nn.Module, *, step: int) -> None:
        """Follow ``model`` after the optimizer's step number ``step``, from 0; the first ones count for more."""
        weight = 1 - min(self.decay, (1 + step) / (10 + step))
        pairs = list(zip(_tensors(self.module), _tensors(model), strict=True))
        floats = [pair for pair in pairs if pair[0].is_floating_point()]
        torch._foreach_lerp_([kept for kept, _ in floats], [now for _, now in floats], weight)
        for kept, now in pairs:
            if not kept.is_floating_point():  # BatchNorm's count of batches
                kept.copy_(now)


def _tensors(module: nn.Module) -> list[Tensor]:
    return [tensor.detach() for tensor in (*module.parameters(), *module.buffers())]
