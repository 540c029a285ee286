"""A model that loops for ever."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from deploy.artifact import write_artifact
from distill.evaluation.calibration import Calibration
from distill.preprocess import PreprocessSpec

SIZE = 16


def write_endless(folder: Path) -> Path:
    """An artifact that is whole in every way, and whose loop never ends where a pixel is white."""
    value, boolean = TensorProto.FLOAT, TensorProto.BOOL
    step = helper.make_graph(
        [
            helper.make_node("Identity", ["goes_on"], ["still"]),
            helper.make_node("Add", ["value", "value"], ["twice"]),
        ],
        "step",
        [
            helper.make_tensor_value_info("round", TensorProto.INT64, []),
            helper.make_tensor_value_info("goes_on", boolean, []),
            helper.make_tensor_value_info("value", value, [1]),
        ],
        [
            helper.make_tensor_value_info("still", boolean, []),
            helper.make_tensor_value_info("twice", value, [1]),
        ],
    )
    nodes = [
        helper.make_node("Cast", ["image"], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMax", ["numbers"], ["most"], keepdims=0),
        helper.make_node("Greater", ["most", "nearly_white"], ["white"]),
        helper.make_node("Loop", ["", "white", "zero"], ["logit"], body=step),
        helper.make_node("Sigmoid", ["logit"], ["probability"]),
    ]
    constants = [
        numpy_helper.from_array(np.array([0], np.float32), "zero"),
        numpy_helper.from_array(np.array(254, np.float32), "nearly_white"),
    ]
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("image", TensorProto.UINT8, [1, SIZE, SIZE, 3])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in ("probability", "logit")], constants,
    )  # fmt: skip
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8),
        folder / "endless.source",
    )
    write_artifact(
        folder / "endless", name="endless", files={"model.onnx": folder / "endless.source"},
        preprocess=PreprocessSpec(size=SIZE), threshold=0.5, calibration=Calibration(), precision="fp32", data="own",
    )  # fmt: skip
    return folder / "endless"
