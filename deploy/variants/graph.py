"""Rewrites of an artifact's ONNX graph, in place: another batch, another input."""

from collections.abc import Iterator
from typing import Any

from deploy.variants.changes import Changes
from distill.errors import EdgeproofError
from distill.optional import require

_CHANNELS = 3
_BATCH = "N"


def rewrite(model: Any, changes: Changes) -> None:
    """Change ``model`` (an ``onnx.ModelProto`` of an artifact).

    Raises:
        EdgeproofError: the graph has a form that cannot be changed so.
    """
    onnx = require("onnx")
    if changes.input == "float-nchw":
        _take_floats(model.graph)
    elif changes.input == "rgbx":
        _take_rgbx(model.graph)
    if changes.batch != 1:
        _batch(model.graph, changes.batch)
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        reason = " ".join(str(error).split())[:200]
        raise EdgeproofError(
            f"the graph does not allow {' and '.join(changes.described)} ({reason})"
        ) from None


def _take_floats(graph: Any) -> None:
    """The input becomes what its Transpose and Cast gave."""
    given = graph.input[0]
    opening = list(_opening(graph))
    permutations = [list(node.attribute[0].ints) for node in opening if node.op_type == "Transpose"]
    if len(opening) != 2 or permutations != [[0, 3, 1, 2]]:
        found = ", ".join(node.op_type for node in opening) or "none"
        raise EdgeproofError(
            f"input float-nchw: the graph opens with {found}, expected one Transpose to NCHW and one Cast to float"
        )
    _rename(graph, opening[-1].output[0], given.name)
    for node in opening:
        graph.node.remove(node)
    batch, height, width, channels = (item.dim_value for item in given.type.tensor_type.shape.dim)
    _set_type(given, require("onnx").TensorProto.FLOAT, (batch, channels, height, width))


def _opening(graph: Any) -> Iterator[Any]:
    """The first nodes as long as they only move or cast the input, and nothing else reads it."""
    float32 = require("onnx").TensorProto.FLOAT
    tensor = graph.input[0].name
    while True:
        readers = [node for node in graph.node if tensor in node.input]
        moves = len(readers) == 1 and (
            readers[0].op_type == "Transpose"
            or (readers[0].op_type == "Cast" and readers[0].attribute[0].i == float32)
        )
        if not moves:
            return
        yield readers[0]
        tensor = readers[0].output[0]


def _take_rgbx(graph: Any) -> None:
    """The fourth byte of each pixel is cut off."""
    onnx = require("onnx")
    given, inner = graph.input[0], "image_rgb"
    _rename(graph, given.name, inner)
    bounds = {"rgb_start": 0, "rgb_end": _CHANNELS, "rgb_axis": 3}
    for name, value in bounds.items():
        graph.initializer.append(onnx.helper.make_tensor(name, onnx.TensorProto.INT64, [1], [value]))
    graph.node.insert(0, onnx.helper.make_node("Slice", [given.name, *bounds], [inner], name="cut_x"))
    given.type.tensor_type.shape.dim[3].dim_value = _CHANNELS + 1


def _batch(graph: Any, batch: int | None) -> None:
    """Every input and output has another first dimension, and no Reshape insists on 1."""
    for value in (*graph.input, *graph.output):
        first = value.type.tensor_type.shape.dim[0]
        if batch is None:
            first.dim_param = _BATCH
        else:
            first.dim_value = batch
    del graph.value_info[:]
    carried = _carried(graph)
    for node in graph.node:
        if node.op_type == "Reshape" and node.input[0] in carried:
            _free_first(graph, node)


def _carried(graph: Any) -> set[str]:
    """The tensors that depend on the input; nodes stand in the order in which they compute."""
    found = {graph.input[0].name}
    for node in graph.node:
        if found.intersection(node.input):
            found.update(node.output)
    return found


def _free_first(graph: Any, node: Any) -> None:
    """Let a Reshape to ``[1, ...]`` take any batch: -1 is whatever is left over, 0 what the input has."""
    onnx = require("onnx")
    shape = next((item for item in graph.initializer if item.name == node.input[1]), None)
    if shape is None:  # computed by the graph itself; whether that suits the batch, the check tells
        return
    wanted = onnx.numpy_helper.to_array(shape).tolist()
    if wanted[:1] != [1]:
        return
    wanted[0] = 0 if -1 in wanted else -1
    name = f"{node.output[0]}_shape"
    graph.initializer.append(onnx.helper.make_tensor(name, onnx.TensorProto.INT64, [len(wanted)], wanted))
    node.input[1] = name
    if not any(shape.name in other.input for other in graph.node):
        graph.initializer.remove(shape)


def _rename(graph: Any, old: str, new: str) -> None:
    for node in graph.node:
        for index, name in enumerate(node.input):
            if name == old:
                node.input[index] = new


def _set_type(value: Any, element: int, shape: tuple[int, ...]) -> None:
    tensor = value.type.tensor_type
    tensor.elem_type = element
    for dimension, side in zip(tensor.shape.dim, shape, strict=True):
        dimension.dim_value = side
