"""A trained model → one static ONNX file (uint8 pixels in, calibrated probability out) → OpenVINO IR.

Normalization, calibration and sigmoid are part of the graph, so that no caller can get them wrong.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from deploy.artifact import OUTPUTS
from deploy.float_parts import mark
from deploy.folding import fold
from deploy.openvino_ir import export_openvino
from distill.errors import EdgeproofError
from distill.evaluation.calibration import Calibration
from distill.files import write_bytes
from distill.preprocess import PreprocessSpec
from distill.probe import device_of, evaluating
from distill.task import Task
from distill.wrapped import deployed_form

if TYPE_CHECKING:
    import onnx

__all__ = ["DeployGraph", "export_onnx", "export_openvino"]

OPSET = 20
MAX_PROTO_BYTES = 2_000_000_000  # protobuf's own limit for one file


class DeployGraph(nn.Module):
    """uint8 ``[1, S, S, 3]`` → ``(probability, logit)``, each ``[1]``; K classes: ``[1, K]``.

    The logit is the calibrated one, ``model's logit / temperature + bias``, so that
    ``probability = sigmoid(logit)`` (K classes: softmax; calibration there has no bias). Of generator families the
    model's logit is the log-odds of all of them together.
    """

    mean: Tensor
    scale: Tensor

    def __init__(
        self, model: nn.Module, *, preprocess: PreprocessSpec, calibration: Calibration, task: Task
    ) -> None:
        super().__init__()
        if task.kind == "multiclass" and calibration.bias != 0.0:
            raise EdgeproofError(
                f"calibration.bias: found {calibration.bias} for {task.num_logits} classes, expected 0"
            )
        self.model = model
        self.task = task
        self.temperature = calibration.temperature
        self.shift = calibration.bias * calibration.temperature
        mean = torch.tensor(preprocess.mean, dtype=torch.float64).reshape(1, 3, 1, 1)
        std = torch.tensor(preprocess.std, dtype=torch.float64).reshape(1, 3, 1, 1)
        self.register_buffer("mean", (mean * 255).float())
        self.register_buffer("scale", (1 / (std * 255)).float())

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """See the class; ``image`` is uint8 RGB."""
        # Bytes are transposed before they become floats: 4x less memory, 2x faster in ONNX Runtime. And it is
        # Sub/Mul/Div, never Add: ONNX Runtime's quantizer quantizes every Add, as it must residual ones. What can be
        # folded of it into the layers is folded afterwards (deploy.folding).
        planes = image.permute(0, 3, 1, 2).contiguous().float()
        raw = self.model((planes - self.mean) * self.scale).logits
        logit = (self.task.deployed(raw) - (-self.shift)) / self.temperature
        probability = torch.sigmoid(logit) if logit.ndim == 1 else torch.softmax(logit, dim=1)
        return probability, logit


def export_onnx(
    model: nn.Module, *, preprocess: PreprocessSpec, calibration: Calibration, task: Task, path: Path
) -> None:
    """Write ``model`` (float NCHW → ``ModelOutput``) as one static ONNX file; see :class:`DeployGraph`.

    The model's deployed form (:func:`distill.wrapped.deployed_form`) is exported in eval mode on its own device; the model
    is left as it was found.

    Raises:
        EdgeproofError: the model cannot be exported, or the file is not what was asked for.
    """
    graph = DeployGraph(deployed_form(model), preprocess=preprocess, calibration=calibration, task=task)
    device = device_of(model)
    graph.mean, graph.scale = graph.mean.to(device), graph.scale.to(device)
    image = torch.zeros(1, preprocess.size, preprocess.size, 3, dtype=torch.uint8, device=device)
    outputs = OUTPUTS[task.kind]
    try:
        with evaluating(graph), torch.no_grad():
            program = torch.onnx.export(
                graph,
                (image,),
                None,
                input_names=["image"],
                output_names=list(outputs),
                opset_version=OPSET,
                dynamo=True,
                external_data=False,
                verbose=False,
            )
    except OSError:
        raise
    except Exception as error:  # whatever a module does that cannot be traced
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise EdgeproofError(
            f"{path.name}: {type(model).__name__} cannot be exported at {preprocess.size}x{preprocess.size} ({reason})"
        ) from error
    if program is None:
        raise EdgeproofError(f"{path}: torch.onnx.export returned no program for {type(model).__name__}")
    proto = program.model_proto
    mark(
        proto,
        scopes=[name for name, part in graph.named_modules() if getattr(part, "computes_in_float", False)],
    )
    _strip(proto)
    fold(proto)
    _check(proto, path=path, size=preprocess.size, task=task)
    write_bytes(path, proto.SerializeToString())


def _strip(proto: "onnx.ModelProto") -> None:
    # The exporter records stack traces with the paths of the machine that exported: megabytes, and private.
    graph = proto.graph
    for part in (
        proto,
        graph,
        *graph.node,
        *graph.input,
        *graph.output,
        *graph.value_info,
        *graph.initializer,
    ):
        del part.metadata_props[:]
        part.doc_string = ""


def _check(proto: "onnx.ModelProto", *, path: Path, size: int, task: Task) -> None:
    import onnx

    if proto.ByteSize() > MAX_PROTO_BYTES:
        raise EdgeproofError(f"{path}: {proto.ByteSize()} bytes, at most {MAX_PROTO_BYTES} fit one ONNX file")
    onnx.checker.check_model(proto, full_check=True)
    opsets = {entry.domain: entry.version for entry in proto.opset_import}
    if opsets != {"": OPSET}:
        raise EdgeproofError(f"{path}: exported with opsets {opsets}, expected {{'': {OPSET}}}")
    training = sorted({node.op_type for node in proto.graph.node if _trains(node)})
    if training:
        raise EdgeproofError(
            f"{path}: {', '.join(training)} in training form, expected a graph for inference"
        )
    if any(tensor.data_location == onnx.TensorProto.EXTERNAL for tensor in proto.graph.initializer):
        raise EdgeproofError(f"{path}: weights are in another file, expected one file")
    outputs = OUTPUTS[task.kind]
    scores = [1] if task.kind == "binary" else [1, len(task.labels)]
    expected = {"image": [1, size, size, 3], outputs[0]: scores, outputs[1]: scores}
    found = {
        value.name: [dimension.dim_value for dimension in value.type.tensor_type.shape.dim]
        for value in (*proto.graph.input, *proto.graph.output)
    }
    if found != expected:
        raise EdgeproofError(f"{path}: exported shapes are {found}, expected {expected}")


def _trains(node: "onnx.NodeProto") -> bool:
    """A node that answers otherwise from call to call, or from batch to batch."""
    mode = any(item.name == "training_mode" and item.i for item in node.attribute)
    return node.op_type in {"Dropout", "RandomUniformLike", "RandomNormalLike", "Bernoulli"} or mode
