"""Which layers of a quantized model to leave in float: as few as hold the score, the most sensitive first.

One procedure for every tool that can leave layers out: it needs no gradients and no names, only what the model answers.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from deploy.int8_check import MIN_MAC_SHARE, MIN_WEIGHT_SHARE, Int8Evidence
from deploy.quantization_record import FloatLayer

Tried = TypeVar("Tried")
Chosen = tuple[FloatLayer, ...]


@dataclass(frozen=True)
class Found(Generic[Tried]):
    """The layers that were chosen, what came of them, and whether that is good enough."""

    layers: Chosen
    tried: Tried
    passed: bool


def rank_layers(layers: Sequence[FloatLayer], *, drift: Callable[[Chosen], float]) -> Chosen:
    """The layers whose return to float brings the logits nearer to FP32, the most helpful first.

    Args:
        layers: all that are quantized.
        drift: of the logits from FP32's, with some layers in float.
    """
    before = drift(())
    gains = {layer: before - drift((layer,)) for layer in layers}
    return tuple(sorted((layer for layer in layers if gains[layer] > 0), key=lambda layer: -gains[layer]))


def still_int8(ranked: Sequence[FloatLayer], *, among: Sequence[FloatLayer], plain: Int8Evidence) -> Chosen:
    """As many of ``ranked`` as may be float together in what :mod:`deploy.int8_check` calls INT8; too large ones are skipped.

    Args:
        ranked: the most wanted first.
        among: all layers of the model.
        plain: of the form in which none of them was asked to be float; a form that leaves its first convolution in float for
            speed has spent a part already.
    """
    macs, weights = sum(layer.macs for layer in among), sum(map(_elements, among))
    spare_macs = macs * plain.int8_mac_share - macs * MIN_MAC_SHARE
    spare_weights = weights * plain.int8_weight_share - weights * MIN_WEIGHT_SHARE
    return tuple(_fitting(ranked, macs=spare_macs, weights=spare_weights))


def _fitting(ranked: Sequence[FloatLayer], *, macs: float, weights: float) -> Iterator[FloatLayer]:
    for layer in ranked:
        if layer.macs <= macs and _elements(layer) <= weights:
            macs, weights = macs - layer.macs, weights - _elements(layer)
            yield layer


def fewest(ranked: Chosen, *, attempt: Callable[[Chosen], tuple[Tried, bool]]) -> Found[Tried]:
    """The fewest layers, from the front of ``ranked``, that ``attempt`` calls good enough; all of them if none are.

    The search halves: it takes for granted that more layers in float do no harm.
    """
    tried, passed = attempt(ranked)
    best = Found(ranked, tried, passed)
    low, high = 1, len(ranked) if passed else 0
    while low < high:
        middle = (low + high) // 2
        tried, passed = attempt(ranked[:middle])
        if passed:
            best, high = Found(ranked[:middle], tried, True), middle
        else:
            low = middle + 1
    return best


def _elements(layer: FloatLayer) -> int:
    return math.prod(layer.shape) if layer.shape else 0
