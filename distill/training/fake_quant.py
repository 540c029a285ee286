"""Training with quantization in the loop: layers compute as their INT8 form would, while their weights stay float.

Quantization-aware training (Jacob et al. 2018, arXiv 1712.05877), with the gradient passed straight through the
rounding (Bengio et al. 2013, arXiv 1308.3432). What post-training tools do is imitated layer by layer: one scale for a
layer's input, from the extremes that the float network shows on calibration images; one for each output channel of its
weights. So batch normalization needs no folding here: it scales whole output channels, which leaves quantized weights
as they are. What is trained are the plain network's own weights, which any tool then quantizes: its files are as small
and as fast as without this training.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from distill.preprocess import PreprocessSpec
from distill.probe import evaluating
from distill.training.normalize import normalize
from students.output import ModelOutput

LAYERS = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)
RECALIBRATE = 50  # steps; ranges move slowly at the small learning rates that this is for
_INPUT = "input_quantizer"
_BATCH = 64
_TINY = torch.finfo(torch.float32).tiny


class InputQuantizer(nn.Module):
    """8 bits, asymmetric, one scale. While ``observing`` it lets values through and widens its range to hold them."""

    low: Tensor
    high: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("low", torch.zeros(()))
        self.register_buffer("high", torch.zeros(()))
        self.observing = False

    def forward(self, values: Tensor) -> Tensor:
        """Any shape, rounded to 256 steps between the smallest and the largest value (0 is one of them)."""
        if self.observing:
            low, high = torch.aminmax(values.detach().float())
            self.low.copy_(torch.minimum(self.low, low))
            self.high.copy_(torch.maximum(self.high, high))
            return values
        scale = ((self.high - self.low) / 255).clamp_min(_TINY)
        zero = (-self.low / scale).round().clamp(0, 255).to(torch.int32)
        rounded = torch.fake_quantize_per_tensor_affine(values.float(), scale, zero, 0, 255)
        return rounded.to(values.dtype)

    def observe(self, on: bool) -> None:
        """Start to observe, forgetting the range that was, or stop."""
        self.observing = on
        if on:
            self.low.zero_()
            self.high.zero_()


class WeightQuantizer(nn.Module):
    """8 bits, symmetric, one scale for each output channel.

    Args:
        axis: of the output channels.
        largest: largest integer: 127, or 63 where weights keep to 7 bits.
    """

    def __init__(self, *, axis: int, largest: int) -> None:
        super().__init__()
        self.axis, self.largest, self.observing = axis, largest, False

    def forward(self, weight: Tensor) -> Tensor:
        """``weight``, every output channel rounded to ``2 * largest + 1`` steps."""
        if self.observing:
            return weight
        others = [axis for axis in range(weight.ndim) if axis != self.axis]
        scale = (weight.detach().float().abs().amax(others) / self.largest).clamp_min(_TINY)
        zero = torch.zeros_like(scale, dtype=torch.int32)
        return torch.fake_quantize_per_channel_affine(
            weight, scale, zero, self.axis, -self.largest, self.largest
        )

    def observe(self, on: bool) -> None:
        """Let the float weights through, or no more."""
        self.observing = on


class FakeQuantized(nn.Module):
    """A network whose convolutions and linear layers compute as in INT8, until :meth:`plain` gives it back.

    Args:
        network: normalized float ``[N, 3, S, S]`` → ``ModelOutput``; it is changed in place.
        images: calibration images, uint8 ``[N, S, S, 3]``.
        spec: how they become its input.
        reduce_range: weights to 7 bits, which an x86 CPU without VNNI needs.
    """

    images: Tensor

    def __init__(
        self, network: nn.Module, *, images: Tensor, spec: PreprocessSpec, reduce_range: bool = False
    ) -> None:
        super().__init__()
        self.network, self.spec = network, spec
        self.register_buffer("images", images, persistent=False)
        self._mode, self._steps = not self.training, 0
        for layer in list(_layers(network)):
            axis = 1 if isinstance(layer, nn.ConvTranspose2d) else 0
            quantizer = WeightQuantizer(axis=axis, largest=63 if reduce_range else 127)
            parametrize.register_parametrization(layer, "weight", quantizer)
            layer.add_module(_INPUT, InputQuantizer())
            layer.register_forward_pre_hook(_quantize_input)

    def forward(self, images: Tensor) -> ModelOutput:
        """What the INT8 form would answer."""
        if self._mode != self.training:  # an epoch never rests on the ranges of the one before
            self._mode, self._steps = self.training, 0
        if self._steps == 0 or (self.training and self._steps % RECALIBRATE == 0):
            self.calibrate()
        self._steps += 1
        output: ModelOutput = self.network(images)
        return output

    @torch.no_grad()
    def calibrate(self) -> None:
        """Take the ranges that a post-training tool would find now: those of the float network, in evaluation."""
        quantizers = [m for m in self.modules() if isinstance(m, InputQuantizer | WeightQuantizer)]
        for quantizer in quantizers:
            quantizer.observe(True)
        with evaluating(self.network), torch.autocast(self.images.device.type, enabled=False):
            for batch in torch.split(self.images, _BATCH):
                self.network(normalize(batch, spec=self.spec))
        for quantizer in quantizers:
            quantizer.observe(False)

    def plain(self) -> nn.Module:
        """The network with the float weights that were trained, as it was otherwise; this wrapper is of no use after."""
        for layer in list(_layers(self.network)):
            parametrize.remove_parametrizations(layer, "weight", leave_parametrized=False)
            delattr(layer, _INPUT)
            for key, hook in list(layer._forward_pre_hooks.items()):
                if hook is _quantize_input:
                    del layer._forward_pre_hooks[key]
        return self.network


def _layers(network: nn.Module) -> Iterator[nn.Module]:
    return (module for module in network.modules() if isinstance(module, LAYERS))


def _quantize_input(layer: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    # reads the quantizer off the layer it is called for: a copy of the network has its own
    return (getattr(layer, _INPUT)(inputs[0]), *inputs[1:])
