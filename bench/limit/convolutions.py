"""Chains of equal convolutions as ONNX files: what a runtime's best speed is measured on. Torch-free.

Dense convolutions are what the students are made of. A chain is long enough for what surrounds it, quantizing at either
end and a change of layout, to be small against it.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from distill.optional import require

DEPTH = 8


@dataclass(frozen=True)
class ConvolutionShape:
    """``channels`` in and out, a square kernel, a square image; batch 1, stride 1, as much padding as keeps the size."""

    channels: int
    kernel: int
    size: int

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one such convolution."""
        return (self.channels * self.kernel * self.size) ** 2

    def __str__(self) -> str:
        k, c, s = self.kernel, self.channels, self.size
        return f"{k}×{k} convolution, {c} → {c} channels, at {s}×{s}"


# From the last stages of a small network at 224², each of 29 million multiply-accumulates, and a pointwise one.
SHAPES = (
    ConvolutionShape(256, 3, 7),
    ConvolutionShape(128, 3, 14),
    ConvolutionShape(64, 3, 28),
    ConvolutionShape(256, 1, 14),
)


def convolution_chain(shape: ConvolutionShape, *, int8: bool, depth: int = DEPTH) -> bytes:
    """An ONNX file: ``x``, float ``[1, C, S, S]`` → ``depth`` convolutions, each with a ReLU → ``y``, the same shape.

    ``int8`` puts quantization as the quantizers leave it: unsigned activations, signed weights in 8 bits with a scale for
    each channel.

    Raises:
        EdgeproofError: onnx is not installed.
    """
    helper = require("onnx").helper
    chain = _Chain(helper=helper, int8=int8)
    last = chain.quantized("x")
    for _ in range(depth):
        last = chain.quantized(chain.node("Relu", chain.convolution(last, shape)))
    chain.nodes[-1].output[0] = "y"
    sides = [1, shape.channels, shape.size, shape.size]
    values = [helper.make_tensor_value_info(name, 1, sides) for name in ("x", "y")]
    graph = helper.make_graph(
        chain.nodes, "convolutions", values[:1], values[1:], _constants(shape, int8=int8)
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    return bytes(model.SerializeToString())


def sample_input(shape: ConvolutionShape) -> npt.NDArray[np.float32]:
    """What goes into such a chain: numbers as ReLU leaves them, so that none is special."""
    sides = (1, shape.channels, shape.size, shape.size)
    return np.random.default_rng(0).uniform(0, 4, sides).astype(np.float32)


@dataclass
class _Chain:
    """Nodes as they come, each with one output of its own name."""

    helper: Any
    int8: bool

    def __post_init__(self) -> None:
        self.nodes: list[Any] = []

    def node(self, kind: str, *inputs: str, **attributes: Any) -> str:
        name = f"t{len(self.nodes)}"
        self.nodes.append(self.helper.make_node(kind, inputs, [name], name=f"{kind}_{name}", **attributes))
        return name

    def quantized(self, name: str) -> str:
        if not self.int8:
            return name
        constants = ("activation_scale", "activation_zero")
        return self.node("DequantizeLinear", self.node("QuantizeLinear", name, *constants), *constants)

    def convolution(self, name: str, shape: ConvolutionShape) -> str:
        weights = "weights"
        if self.int8:
            weights = self.node("DequantizeLinear", "weights", "weight_scale", "weight_zero", axis=0)
        return self.node("Conv", name, weights, pads=[shape.kernel // 2] * 4, kernel_shape=[shape.kernel] * 2)


def _constants(shape: ConvolutionShape, *, int8: bool) -> list[Any]:
    """One set of weights for all convolutions of a chain, drawn so that numbers neither vanish nor grow along it."""
    random, channels = np.random.default_rng(1), shape.channels
    sides = (channels, channels, shape.kernel, shape.kernel)
    wide = np.sqrt(2 / (channels * shape.kernel**2))
    weights = random.normal(0, wide, sides).astype(np.float32)
    found: dict[str, npt.NDArray[Any]] = {"weights": weights}
    if int8:
        scale = np.float32(wide / 40)
        found = {
            "weights": (weights / scale).round().clip(-127, 127).astype(np.int8),
            "weight_scale": np.full(channels, scale, np.float32),
            "weight_zero": np.zeros(channels, np.int8),
            "activation_scale": np.array(0.02, np.float32),
            "activation_zero": np.array(0, np.uint8),
        }
    to_tensor = require("onnx").numpy_helper.from_array
    return [to_tensor(value, name) for name, value in found.items()]
