from pathlib import Path

import numpy as np
import onnx
import openvino
import pytest
from onnx import TensorProto, helper, numpy_helper

from bench.limit.convolutions import ConvolutionShape, convolution_chain
from bench.limit.traffic import Traffic, model_traffic, traffic
from deploy.compute_layers import compute_layers
from distill.errors import EdgeproofError

# Two convolutions on an image of 8 × 8: 3 → 8 channels by 3 × 3, then 8 → 4 by 1 × 1.
MACS = 8 * 3 * 9 * 64 + 4 * 8 * 64
WEIGHTS = 8 * 3 * 9 + 4 * 8
ACTIVATIONS = (3 + 8) * 64 + (8 + 4) * 64


def float_model(path: Path) -> Path:
    weights = {"w1": (8, 3, 3, 3), "w2": (4, 8, 1, 1)}
    nodes = [
        helper.make_node("Conv", ["x", "w1"], ["a"], pads=[1] * 4),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Conv", ["b", "w2"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes, "two",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4, 8, 8])],
        [numpy_helper.from_array(np.ones(shape, np.float32), name) for name, shape in weights.items()],
    )  # fmt: skip
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), path)
    return path


def as_ir(path: Path) -> Path:
    openvino.save_model(openvino.convert_model(path), path.with_suffix(".xml"), compress_to_fp16=False)
    return path.with_suffix(".xml")


def test_moved_bytes_of_two_convolutions_are_those_counted_by_hand(tmp_path) -> None:
    path = float_model(tmp_path / "two.onnx")
    expected = Traffic(MACS, 4 * WEIGHTS, 4 * ACTIVATIONS)
    assert model_traffic(path) == expected
    assert model_traffic(as_ir(path)) == expected
    assert model_traffic(path, float_bytes=2) == Traffic(MACS, 2 * WEIGHTS, 2 * ACTIVATIONS)
    assert expected.moved_bytes() == 4 * (WEIGHTS + ACTIVATIONS)
    assert expected.moved_bytes(batch=3) == 4 * (WEIGHTS + 3 * ACTIVATIONS)


def test_quantized_numbers_are_one_byte(tmp_path) -> None:
    shape = ConvolutionShape(4, 3, 6)
    path = tmp_path / "chain.onnx"
    path.write_bytes(convolution_chain(shape, int8=True, depth=2))
    expected = Traffic(2 * 4 * 4 * 9 * 36, 2 * 4 * 4 * 9, 2 * 2 * 4 * 36)
    assert 2 * shape.macs == expected.macs
    assert model_traffic(path) == expected
    assert model_traffic(as_ir(path)) == expected


def test_a_layer_whose_result_stays_float_writes_four_bytes(tmp_path) -> None:
    path = tmp_path / "chain.onnx"
    path.write_bytes(convolution_chain(ConvolutionShape(4, 1, 2), int8=True, depth=2))
    model = onnx.load(path)
    del model.graph.node[-2:]  # the last pair of quantization
    model.graph.node[-1].output[0] = "y"
    onnx.save(model, path)
    first, second = compute_layers(path)
    assert (first.int8, first.int8_output) == (True, True)
    assert (second.int8, second.int8_output) == (True, False)
    assert traffic([second]).activation_bytes == 16 + 4 * 16


def test_what_is_no_model_is_named(tmp_path) -> None:
    with pytest.raises(EdgeproofError, match=r"none\.onnx: no such file"):
        compute_layers(tmp_path / "none.onnx")
    (tmp_path / "model.txt").write_text("", encoding="utf-8")
    with pytest.raises(EdgeproofError, match=r"found suffix '\.txt', expected \.onnx or \.xml"):
        compute_layers(tmp_path / "model.txt")
