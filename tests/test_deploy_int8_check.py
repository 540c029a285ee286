import numpy as np
import onnx
import openvino
import pytest
from deploy_fixture import SETTINGS, Deployed, build_deployed, images
from onnx import helper, numpy_helper

from deploy.int8_check import inspect_int8
from deploy.macs import IR_COMPUTE, ir_macs, onnx_macs
from deploy.quantizers import QUANTIZERS
from distill.errors import EdgeproofError


@pytest.fixture(scope="session")
def deployed(tmp_path_factory) -> Deployed:
    return build_deployed(tmp_path_factory.getbasetemp())


@pytest.mark.parametrize("suffix", [".onnx", ".xml"])
def test_int8_passes_and_fp32_fails(deployed: Deployed, suffix: str) -> None:
    fp32, int8 = (deployed.folder / f"{precision}{suffix}" for precision in ("fp32", "int8"))
    evidence = inspect_int8(int8, fp32_path=fp32)
    assert evidence.passed
    assert evidence.int8_weight_share == 1.0
    assert evidence.int8_mac_share == 1.0
    original = inspect_int8(fp32, fp32_path=fp32)
    assert not original.passed
    assert (original.int8_weight_share, original.int8_mac_share) == (0.0, 0.0)
    assert original.size_ratio == 1.0
    assert "0% of the weights are stored as INT8, expected 80%" in original.reason


def test_fp32_weights_in_front_of_quantize_linear_fail(deployed: Deployed, tmp_path) -> None:
    model = onnx.load(deployed.folder / "int8.onnx")
    graph = model.graph
    constants = {tensor.name: tensor for tensor in graph.initializer}
    for node in list(graph.node):
        weight = constants.get(node.input[0])
        if node.op_type != "DequantizeLinear" or weight is None or len(weight.dims) < 2:
            continue
        values = numpy_helper.to_array(weight).astype(np.float32)
        graph.initializer.append(numpy_helper.from_array(values, f"{weight.name}_float"))
        axis = {item.name: item.i for item in node.attribute}["axis"]
        quantized = f"{weight.name}_again"
        graph.node.insert(
            0,
            helper.make_node(
                "QuantizeLinear", [f"{weight.name}_float", *node.input[1:]], [quantized], axis=axis
            ),
        )
        node.input[0] = quantized
    onnx.save(model, tmp_path / "unfolded.onnx")
    evidence = inspect_int8(tmp_path / "unfolded.onnx", fp32_path=deployed.folder / "fp32.onnx")
    assert evidence.int8_mac_share == 1.0
    assert evidence.int8_weight_share == 0.0
    assert not evidence.passed


def test_fp32_weights_behind_fake_quantize_fail(tmp_path) -> None:
    opset = openvino.opset13
    image = opset.parameter([1, 3, 8, 8], np.float32)
    bounds = [opset.constant(np.float32(value)) for value in (-1, 1, -1, 1)]
    weights = opset.constant(np.random.default_rng(0).normal(size=(4, 3, 3, 3)).astype(np.float32))
    convolution = opset.convolution(
        opset.fake_quantize(image, *bounds, 256),
        opset.fake_quantize(weights, *bounds, 255),
        [1, 1], [0, 0], [0, 0], [1, 1],
    )  # fmt: skip
    path = tmp_path / "fake.xml"
    openvino.serialize(openvino.Model([convolution], [image]), path)
    evidence = inspect_int8(path, fp32_path=path)
    assert evidence.int8_mac_share == 1.0
    assert evidence.int8_weight_share == 0.0
    assert not evidence.passed


def test_int8_weights_on_float_inputs_fail(deployed: Deployed, tmp_path) -> None:
    model = onnx.load(deployed.folder / "int8.onnx")
    for node in model.graph.node:
        if node.op_type in {"Conv", "Gemm"}:
            producer = next(other for other in model.graph.node if node.input[0] in other.output)
            node.input[0] = next(
                other for other in model.graph.node if producer.input[0] in other.output
            ).input[0]
    onnx.save(model, tmp_path / "weights_only.onnx")
    evidence = inspect_int8(tmp_path / "weights_only.onnx", fp32_path=deployed.folder / "fp32.onnx")
    assert (evidence.int8_weight_share, evidence.int8_mac_share) == (1.0, 0.0)
    assert not evidence.passed


FIRST, DEEP, LAST = 16 * 16 * 16 * 27, 16 * 16 * 16 * 144, 16  # multiply-accumulates of the fixture's layers


@pytest.mark.parametrize(("name", "suffix"), [("ort", ".onnx"), ("nncf", ".xml")])
@pytest.mark.parametrize(
    ("left", "share", "passed"),
    [(0, (DEEP + LAST) / (FIRST + DEEP + LAST), True), (1, (FIRST + LAST) / (FIRST + DEEP + LAST), False)],
)
def test_a_float_layer_is_judged_by_its_work(
    deployed: Deployed, tmp_path, name: str, suffix: str, left: int, share: float, passed: bool
) -> None:
    source, output = deployed.folder / f"fp32{suffix}", tmp_path / f"int8{suffix}"
    layers = QUANTIZERS[name].find_layers(source)
    assert [layer.macs for layer in layers] == [FIRST, DEEP, LAST]
    QUANTIZERS[name].quantize(
        source=source,
        output=output,
        images=images(4, seed=1),
        settings=SETTINGS[name],
        float_layers=[layers[left]],
    )
    evidence = inspect_int8(output, fp32_path=source)
    assert evidence.int8_mac_share == pytest.approx(share)
    assert evidence.passed is passed
    assert ("% of the work is done in INT8, expected 75%" in evidence.reason) is not passed


def test_work_of_every_kind_of_layer(tmp_path) -> None:
    """Grouped, transposed and plain convolutions, and products of matrices, counted by hand in both formats."""
    rng = np.random.default_rng(0)
    shapes = {"plain": (8, 3, 3, 3), "grouped": (8, 2, 3, 3), "spread": (8, 4, 2, 2), "inner": (10, 5)}
    weights = [
        numpy_helper.from_array(rng.normal(size=shape).astype(np.float32), name)
        for name, shape in shapes.items()
    ]
    nodes = [
        helper.make_node("Conv", ["image", "plain"], ["a"], pads=[1, 1, 1, 1], strides=[2, 2]),
        helper.make_node("Conv", ["a", "grouped"], ["b"], pads=[1, 1, 1, 1], group=4),
        helper.make_node("ConvTranspose", ["b", "spread"], ["c"], strides=[2, 2]),
        helper.make_node("MatMul", ["c", "inner"], ["d"]),
    ]
    graph = helper.make_graph(
        nodes, "kinds",
        [helper.make_tensor_value_info("image", onnx.TensorProto.FLOAT, [1, 3, 10, 10])],
        [helper.make_tensor_value_info("d", onnx.TensorProto.FLOAT, [1, 4, 10, 5])],
        weights,
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    expected = [25 * 8 * 27, 25 * 8 * 18, 25 * 8 * 16, 4 * 10 * 5 * 10]
    assert [*onnx_macs(model).values()] == expected
    onnx.save(model, tmp_path / "kinds.onnx")
    operations = openvino.Core().read_model(tmp_path / "kinds.onnx").get_ordered_ops()
    assert [ir_macs(item) for item in operations if item.get_type_name() in IR_COMPUTE] == expected


def test_what_is_no_model_is_named(deployed: Deployed, tmp_path) -> None:
    fp32 = deployed.folder / "fp32.onnx"
    with pytest.raises(EdgeproofError, match=r"absent\.onnx: no such file"):
        inspect_int8(tmp_path / "absent.onnx", fp32_path=fp32)
    (tmp_path / "model.bin").write_bytes(b"")
    with pytest.raises(EdgeproofError, match=r"found suffix '\.bin', expected \.onnx or \.xml"):
        inspect_int8(tmp_path / "model.bin", fp32_path=fp32)
