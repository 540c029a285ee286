"""How much a model computes, and how many bytes it cannot do without moving. Torch-free."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from deploy.compute_layers import ComputeLayer, compute_layers


class Traffic(NamedTuple):
    """Of one image: multiply-accumulates, bytes of weights, bytes of activations."""

    macs: int
    weight_bytes: int
    activation_bytes: int

    def moved_bytes(self, batch: int = 1) -> int:
        """Of one call: weights come once, activations with each image."""
        return self.weight_bytes + batch * self.activation_bytes


def model_traffic(path: Path, *, float_bytes: int = 4) -> Traffic:
    """What the model file ``path`` (``.onnx`` or ``.xml``) computes and moves; see :func:`traffic`.

    Raises:
        EdgeproofError: no such file, or what reads it is not installed.
    """
    return traffic(compute_layers(path), float_bytes=float_bytes)


def traffic(layers: Iterable[ComputeLayer], *, float_bytes: int = 4) -> Traffic:
    """Sums over convolutions and matrix products, of the bytes that the best engine would still move.

    Counted are each layer's weights once, at the precision in which they are stored, each activation that it reads, one
    byte a number where it is quantized, and what it writes, one byte where it is quantized next. Not counted: biases and
    scales, and activation functions, pooling and normalization, which an engine can compute on the way.

    Args:
        layers: of one model.
        float_bytes: of a number that is not quantized: 4, or 2 where the engine computes in BF16.
    """
    macs = weights = activations = 0
    for layer in layers:
        macs += layer.macs
        weights += layer.elements * (1 if layer.int8_weights else float_bytes)
        activations += layer.inputs * (1 if layer.int8 else float_bytes)
        activations += layer.output_elements * (1 if layer.int8_output else float_bytes)
    return Traffic(macs, weights, activations)
