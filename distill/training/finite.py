"""Finds the batch in which the loss stopped being a number."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

_EVERY = 50


class Bad(NamedTuple):
    """A batch with a loss that is not finite: its number in the epoch from 1, its images, its named parts."""

    batch: int
    indices: list[int]
    parts: list[tuple[str, float]]


class FiniteWatch:
    """Looks at every step's losses: at once on a CPU, and in bulk on an accelerator.

    There a look waits until everything that was asked for is computed, which at every step would keep the device
    idle; the last steps' losses wait for a common look instead, and the batch is named all the same.
    """

    def __init__(self) -> None:
        self._waiting: list[tuple[int, Tensor, tuple[str, ...], Tensor]] = []

    def add(self, batch: int, *, indices: Tensor, losses: Sequence[tuple[str, Tensor]]) -> Bad | None:
        """Note the losses of batch number ``batch``, from 0; the first bad batch, if a look was due."""
        names, values = zip(*losses, strict=True)
        stacked = torch.stack([value.detach().float() for value in values])
        self._waiting.append((batch, indices, names, stacked))
        due = stacked.device.type == "cpu" or len(self._waiting) >= _EVERY
        return self.look() if due else None

    def look(self) -> Bad | None:
        """The first bad one of those that wait; none wait afterwards."""
        waiting, self._waiting = self._waiting, []
        if not waiting or bool(torch.stack([values.sum() for *_, values in waiting]).isfinite().all()):
            return None
        for batch, indices, names, values in waiting:
            if not bool(values.sum().isfinite()):
                parts = list(zip(names, values.tolist(), strict=True))
                return Bad(batch=batch + 1, indices=indices.tolist(), parts=parts)
        return None
