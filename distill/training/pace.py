"""FP32 or bf16: whichever trains this very network faster here, measured once and kept.

Weights depend on the choice, so that it must not differ between a training that was killed and the same one resumed,
nor between a student that is distilled and the same one alone: they share one file.
"""

import copy
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from distill.optional import require
from distill.record import Record
from distill.training.unfinished import hash_of

Measure = Callable[[nn.Module], dict[str, float]]
_GAIN = 1.1  # below, noise would decide
_ROUNDS, _SECONDS = 30, 5.0


class Pace(Record):
    """``precision.json``: the format chosen, seconds of a step in each, and the hash of what was measured."""

    precision: str
    seconds: dict[str, float]
    key: str


def choose_faster(model: nn.Module, *, file: Path, batch_size: int, size: int, measure: Measure) -> str:
    """``bf16`` if a step takes a tenth less in it than in ``fp32``; what ``file`` says if it is of such a network.

    Args:
        model: the network, not changed.
        file: where the choice is kept.
        batch_size: images of a step.
        size: their height and width in pixels.
        measure: seconds of a step in each format.
    """
    shapes = [(name, tuple(value.shape)) for name, value in model.state_dict().items()]
    key = hash_of([type(model).__qualname__, shapes, batch_size, size])
    file.parent.mkdir(parents=True, exist_ok=True)
    with require("filelock").FileLock(file.with_name(f".{file.stem}.lock")):  # trainings start side by side
        if file.is_file() and (kept := Pace.read(file)).key == key:
            return kept.precision
        seconds = measure(model)
        faster = "bf16" if seconds["bf16"] * _GAIN < seconds["fp32"] else "fp32"
        Pace(precision=faster, seconds=seconds, key=key).write(file)
    return faster


def step_seconds(
    model: nn.Module,
    *,
    batch_size: int,
    size: int,
    device: torch.device,
    clock: Callable[[], float] = time.perf_counter,
    budget: float = _SECONDS,
) -> dict[str, float]:
    """Seconds of one forward and backward pass of a copy, in turns, the best of those that fit into
    ``budget`` seconds (three at least): ``fp32`` and ``bf16``.
    """
    network = copy.deepcopy(model).to(device)
    noise = torch.rand(batch_size, size, size, 3, generator=torch.Generator().manual_seed(0))
    images = noise.permute(0, 3, 1, 2).to(device)
    best = {"fp32": float("inf"), "bf16": float("inf")}
    start = clock()
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):  # dropout draws
        for turn in range(_ROUNDS + 1):
            for name in best:
                seconds = _step(network, images, in_bf16=name == "bf16", clock=clock)
                if turn:  # the first is a warm-up
                    best[name] = min(best[name], seconds)
            if turn >= 2 and clock() - start > budget:
                break
    return best


def _step(network: nn.Module, images: torch.Tensor, *, in_bf16: bool, clock: Callable[[], float]) -> float:
    start = clock()
    with torch.autocast(images.device.type, dtype=torch.bfloat16, enabled=in_bf16, cache_enabled=False):
        loss = network(images).logits.float().sum()
    if loss.requires_grad:  # what is fitted has no backward pass
        loss.backward()
    if images.device.type == "cuda":
        torch.cuda.synchronize(images.device)
    return clock() - start
