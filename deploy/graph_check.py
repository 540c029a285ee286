"""Whether a model file keeps the contract: static, one file, pixels in, probability and logit out, nothing to train.

Torch-free.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from deploy.artifact import MODEL_FILES, Manifest
from deploy.openvino_ir import openvino_core
from distill.optional import require

_TRAINING = {"Dropout", "Gradient", "Adam", "Momentum", "Adagrad"}
Shapes = Mapping[str, tuple[str, list[int]]]


def graph_problems(folder: Path, manifest: Manifest, runtime: str) -> list[str]:
    """What is wrong with the artifact's model for ``runtime``, a line each.

    Raises:
        EdgeproofError: the package that reads the file is not installed.
    """
    path = folder / MODEL_FILES[runtime][0]
    return list(_onnx_problems(path, manifest) if runtime == "onnxruntime" else _ir_problems(path, manifest))


def _onnx_problems(path: Path, manifest: Manifest) -> Iterator[str]:
    onnx = require("onnx")
    try:
        model = onnx.load(path, load_external_data=False)
        onnx.checker.check_model(model)
    except Exception as error:  # the parser and the checker raise types of their own C++ layers
        yield f"{path.name} is no valid ONNX file ({' '.join(str(error).split())[:200]})"
        return
    names = {entry.domain or "ai.onnx" for entry in model.opset_import}
    if names != {"ai.onnx"}:
        yield f"operators of {', '.join(sorted(names - {'ai.onnx'}))}, expected standard ones alone"
    if any(tensor.data_location == onnx.TensorProto.EXTERNAL for tensor in model.graph.initializer):
        yield "weights are in another file, expected one file"
    for node in model.graph.node:
        modes = [item.i for item in node.attribute if item.name == "training_mode"]
        if node.op_type in _TRAINING or any(modes):
            yield f"{node.op_type} is for training, expected none"
    yield from _contract(
        _onnx_values(onnx, model.graph.input), _onnx_values(onnx, model.graph.output), manifest
    )


def _onnx_values(onnx: Any, values: Any) -> Shapes:
    found = {}
    for value in values:
        tensor = value.type.tensor_type
        kind = onnx.TensorProto.DataType.Name(tensor.elem_type).lower()
        found[value.name] = (kind, [item.dim_value or -1 for item in tensor.shape.dim])
    return found


def _ir_problems(path: Path, manifest: Manifest) -> Iterator[str]:
    try:
        model = openvino_core().read_model(path)
    except RuntimeError as error:
        yield f"{path.name} cannot be read ({' '.join(str(error).split())[:200]})"
        return
    kinds = {"u8": "uint8", "f32": "float"}

    def values(ports: Any) -> Shapes:
        return {
            port.get_any_name(): (
                kinds.get(port.get_element_type().get_type_name(), port.get_element_type().get_type_name()),
                [item.get_length() if item.is_static else -1 for item in port.get_partial_shape()],
            )
            for port in ports
        }

    yield from _contract(values(model.inputs), values(model.outputs), manifest)


def _contract(inputs: Shapes, outputs: Shapes, manifest: Manifest) -> Iterator[str]:
    scores = [1] if manifest.task == "binary" else [1, len(manifest.labels)]
    expected = {
        "input": (inputs, {"image": ("uint8", list(manifest.input.shape))}),
        "output": (outputs, {name: ("float", scores) for name in manifest.outputs}),
    }
    for kind, (found, wanted) in expected.items():
        if dict(found) != wanted:
            yield f"{kind}s are {_told(found)}, expected {_told(wanted)}"


def _told(values: Shapes) -> str:
    return ", ".join(f"{name} {kind} {shape}" for name, (kind, shape) in values.items()) or "none"
