"""What a network gives: its feature maps and further parts, found by one pass of zeros, so that none declares them."""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from typing import NamedTuple

import torch
from torch import Tensor, nn

from students.options import OptionError
from students.output import ModelOutput

ATTENTION = "attention."  # and a level's name: how its attention map is asked for
BOXES, BOX_LOGITS = "boxes", "box_logits"


class FeatureMap(NamedTuple):
    """The shape of one feature map.

    Attributes:
        channels: how many.
        size: its side in cells, at the model's own input size.
        stride: pixels of the input from cell to cell: the power of two nearest to input size / size, so that a
            convolution without padding is no other stride.
    """

    channels: int
    size: int
    stride: int


@dataclass(frozen=True)
class Parts:
    """What a network gives beside its logits.

    Attributes:
        features: name → feature map, shallow to deep.
        attention: ``attention.<level>`` → the map of a network with spatial attention.
        boxes: whether it has a face localiser.
        size: side in pixels of the input that this holds for.
        logits: of one image.
    """

    features: Mapping[str, FeatureMap] = field(default_factory=dict)
    attention: Mapping[str, FeatureMap] = field(default_factory=dict)
    boxes: bool = False
    size: int = 0
    logits: int = 1


def parts_of(module: nn.Module, *, size: int) -> Parts:
    """One pass of zeros through a module that returns a :class:`ModelOutput`; its mode stays what it was.

    Args:
        module: on any device, the meta device included.
        size: side in pixels of the input.

    Raises:
        OptionError: it cannot take images of that size, or gives a feature that is no map.
    """
    said = probe(module, size=size)
    for layer, value in said.features.items():
        if not isinstance(value, Tensor) or value.ndim != 4:
            shape = list(value.shape) if isinstance(value, Tensor) else type(value).__name__
            raise OptionError(f"layer {layer!r} gives {shape}, expected a feature map [N, C, H, W]")
    return Parts(
        features={layer: feature_map(value, size=size) for layer, value in said.features.items()},
        attention={
            ATTENTION + level: feature_map(value, size=size)
            for level, value in (said.attention or {}).items()
        },
        boxes=said.boxes is not None and said.box_logits is not None,
        size=size,
        logits=1 if said.logits.ndim == 1 else int(said.logits.shape[1]),
    )


def device_of(module: nn.Module) -> torch.device:
    """Where a module's weights are; one may have buffers alone, or nothing at all."""
    tensor = next(chain(module.parameters(), module.buffers()), None)
    return torch.device("cpu") if tensor is None else tensor.device


def feature_map(value: Tensor, *, size: int) -> FeatureMap:
    """The shape of ``[N, C, h, w]`` of images of ``size`` pixels."""
    side = max(value.shape[2:])
    return FeatureMap(int(value.shape[1]), side, 2 ** max(0, round(math.log2(size / side))))


def probe(module: nn.Module, *, size: int) -> ModelOutput:
    """What a module says of two images of zeros; raises as :func:`parts_of`."""
    parameter = next(module.parameters(), torch.zeros(()))
    images = torch.zeros(2, 3, size, size, device=parameter.device)
    try:
        with evaluating(module), torch.no_grad():
            output: ModelOutput = module(images)
    except (RuntimeError, AssertionError, ValueError) as error:
        if parameter.is_meta or isinstance(
            error, OptionError
        ):  # shapes alone were asked for: real tensors may do
            raise
        reason = str(error).partition("\n")[0]
        own = getattr(module, "module", module)  # within a Wrapped
        raise OptionError(
            f"{type(own).__name__} cannot take images of {size}x{size} pixels ({reason})"
        ) from None
    return output


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Evaluation mode inside the block, and afterwards what each module was in: a frozen part stays frozen."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
