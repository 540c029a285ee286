"""Exact folding in an exported graph: a constant that scales a layer's input or output goes into its weights.

Of the normalization ``(pixels - mean) * scale`` the scale goes into the first convolution. The mean cannot: it is
subtracted before the border is padded with zeros. Where the mean is 0, nothing is left to subtract. Of the calibration
``(logit + shift) / temperature`` all goes into the last linear layer. Only what is found by structure is folded; every other
graph stays as it is.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import onnx

Numbers = npt.NDArray[np.float64]
_SHAPES_ONLY = frozenset({"Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze"})


def fold(proto: "onnx.ModelProto") -> None:
    """Fold an FP32 model's normalization and calibration in place, where that changes nothing but rounding."""
    graph = _Graph(proto.graph)
    for node in list(proto.graph.node):
        if node.op_type == "Mul":
            _fold_scale(graph, node)
        elif node.op_type == "Sub":
            _drop_zero(graph, node)
    _fold_calibration(graph)
    graph.drop_unused()


class _Graph:
    """An ``onnx.GraphProto`` with its constants, and who makes and who reads a value."""

    def __init__(self, graph: Any) -> None:
        self.graph = graph
        self.outputs = {value.name for value in graph.output}

    def constant(self, name: str) -> Numbers | None:
        """A constant of floats, or None."""
        from onnx import numpy_helper

        found = next((tensor for tensor in self.graph.initializer if tensor.name == name), None)
        if found is None:
            return None
        values = numpy_helper.to_array(found)
        return values.astype(np.float64) if values.dtype == np.float32 else None

    def own_constant(self, name: str) -> Numbers | None:
        """The same, if one node alone reads it."""
        return self.constant(name) if len(self.readers(name)) == 1 else None

    def set_constant(self, name: str, values: Numbers) -> None:
        """Change a constant, or add one."""
        from onnx import numpy_helper

        tensor = numpy_helper.from_array(values.astype(np.float32), name)
        for found in self.graph.initializer:
            if found.name == name:
                found.CopyFrom(tensor)
                return
        self.graph.initializer.append(tensor)

    def readers(self, name: str) -> list[Any]:
        """The nodes that read a value."""
        return [node for node in self.graph.node if name in node.input]

    def only_reader(self, name: str) -> Any:
        """The node that reads it, if it is the only one and the value is no output of the graph."""
        found = self.readers(name)
        return found[0] if len(found) == 1 and name not in self.outputs else None

    def maker(self, name: str) -> Any:
        """The node that makes a value; None for constants and inputs."""
        return next((node for node in self.graph.node if name in node.output), None)

    def bypass(self, node: Any) -> None:
        """Take a node out: who read its output reads its first input."""
        for reader in self.readers(node.output[0]):
            for port, name in enumerate(reader.input):
                if name == node.output[0]:
                    reader.input[port] = node.input[0]
        self.graph.node.remove(node)

    def drop_unused(self) -> None:
        """Forget constants and shapes of what is gone."""
        used = {name for node in self.graph.node for name in (*node.input, *node.output)}
        for part in (self.graph.initializer, self.graph.value_info):
            for item in [item for item in part if item.name not in used]:
                part.remove(item)


def _fold_scale(graph: _Graph, node: Any) -> None:
    scale, reader = graph.constant(node.input[1]), graph.only_reader(node.output[0])
    if scale is None or reader is None or reader.op_type != "Conv" or reader.input[0] != node.output[0]:
        return
    weights = graph.own_constant(reader.input[1])
    groups = _attribute(reader, "group", 1)
    if weights is None or groups != 1 or weights.ndim != 4 or scale.shape != (1, weights.shape[1], 1, 1):
        return
    graph.set_constant(reader.input[1], weights * scale)
    graph.bypass(node)


def _drop_zero(graph: _Graph, node: Any) -> None:
    """Take out a subtraction of zeros, one for each channel."""
    zeros = graph.constant(node.input[1])
    if zeros is None or zeros.shape != (1, 3, 1, 1) or zeros.any() or node.output[0] in graph.outputs:
        return
    graph.bypass(node)


def _fold_calibration(graph: _Graph) -> None:
    linear, constants = _behind_logit(graph)
    if linear is None or not constants:
        return
    weights = graph.own_constant(linear.input[1])
    bias = graph.own_constant(linear.input[2]) if len(linear.input) > 2 else np.zeros(1)
    if weights is None or bias is None:
        return
    if len(linear.input) == 2:
        linear.input.append(f"{linear.input[1]}_bias")
    for node, constant in reversed(constants):  # in the order in which they compute
        if node.op_type == "Div":
            weights, bias = weights / constant, bias / constant
        else:
            bias = bias - constant
    graph.set_constant(linear.input[1], weights)
    graph.set_constant(linear.input[2], bias)
    for node, _ in constants:
        graph.maker(node.input[0]).output[0] = node.output[0]
        graph.graph.node.remove(node)


def _behind_logit(graph: _Graph) -> tuple[Any, list[tuple[Any, float]]]:
    """The ``Gemm`` that says the logit, and the subtractions and divisions after it, the last first.

    None if anything else but another shape stands between them, or if another node reads what they make.
    """
    constants: list[tuple[Any, float]] = []
    node = graph.maker(graph.graph.output[1].name)
    while node is not None and node.op_type != "Gemm":
        constant = _scalar(graph, node.input[1]) if node.op_type in {"Sub", "Div"} else None
        if constant is not None:
            constants.append((node, constant))
        elif node.op_type not in _SHAPES_ONLY:
            return None, []
        alone = graph.only_reader(node.input[0]) is not None
        node = graph.maker(node.input[0]) if alone else None
    plain = node is not None and _attribute(node, "alpha", 1.0) == 1.0 == _attribute(node, "beta", 1.0)
    return (node if plain else None), constants


def _scalar(graph: _Graph, name: str) -> float | None:
    found = graph.constant(name)
    return float(found.reshape(())) if found is not None and found.size == 1 and found.ndim < 2 else None


def _attribute(node: Any, name: str, default: float) -> float:
    from onnx import helper

    return next((helper.get_attribute_value(item) for item in node.attribute if item.name == name), default)
