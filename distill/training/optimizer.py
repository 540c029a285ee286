"""What changes the weights at every step: AdamW or SGD, and the learning rate over the steps."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import nn

from distill.training.settings import Schedule

_MOMENTUM = 0.9
_START, _END = 1 / 25, 1 / 25e4  # of one cycle, as torch and fast.ai have it


def make_optimizer(
    parameters: Iterable[nn.Parameter], *, schedule: Schedule, scales: Mapping[int, float] | None = None
) -> torch.optim.Optimizer:
    """AdamW (fused), or SGD with Nesterov momentum; norms and biases have no weight decay.

    Args:
        parameters: all; those that need no gradient are left out.
        schedule: which, and how.
        scales: ``id`` of a parameter → its share of the learning rate, where that is not 1.
    """
    groups = _groups(parameters, schedule=schedule, scales=scales or {})
    if schedule.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=schedule.learning_rate, momentum=_MOMENTUM, nesterov=True)
    # a fused optimizer unscales gradients itself, too late for Lightning to clip them
    return torch.optim.AdamW(groups, lr=schedule.learning_rate, fused=not schedule.clip)


def _groups(
    parameters: Iterable[nn.Parameter], *, schedule: Schedule, scales: Mapping[int, float]
) -> list[dict[str, Any]]:
    found: dict[tuple[float, bool], list[nn.Parameter]] = {(1.0, True): [], (1.0, False): []}
    for parameter in parameters:
        if parameter.requires_grad:
            found.setdefault((scales.get(id(parameter), 1.0), parameter.ndim > 1), []).append(parameter)
    return [
        {
            "params": members,
            "weight_decay": schedule.weight_decay if decayed else 0.0,
            "lr": scale * schedule.learning_rate,
        }
        for (scale, decayed), members in found.items()
    ]


def rate(step: int, *, total: int, schedule: Schedule) -> float:
    """Share of the highest learning rate at a step of ``total``.

    ``cosine``: linear warm-up, cosine decay to zero (Loshchilov & Hutter 2017, arXiv 1608.03983). ``one_cycle``: from a
    25th up and down to a 250,000th, both along a cosine (Smith & Topin 2018, arXiv 1708.07120); momentum stays as it is.
    """
    warmup = max(1, round(total * schedule.warmup))
    rising = step < warmup
    if schedule.schedule == "cosine" and rising:
        return (step + 1) / warmup
    done = step / warmup if rising else min(1.0, (step - warmup) / max(1, total - warmup))
    if schedule.schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * done))
    start, end = (_START, 1.0) if rising else (1.0, _END)
    return end + (start - end) * 0.5 * (1 + math.cos(math.pi * done))
