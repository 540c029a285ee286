import sys
from dataclasses import replace

import numpy as np
import onnx
import onnxruntime
import pytest
from deploy_fixture import CALIBRATION, SETTINGS, SPEC, Deployed, build_deployed, images
from onnx import TensorProto, helper

from deploy.int8_check import inspect_int8
from deploy.onnx_graph import export_onnx, export_openvino
from deploy.quantization_record import FloatLayer
from deploy.quantizers import QUANTIZERS
from deploy.runtime import Detector
from distill.errors import EdgeproofError
from distill.task import BINARY

SOURCES = {"ort": "fp32.onnx", "nncf": "fp32.xml"}


@pytest.fixture(scope="session")
def deployed(tmp_path_factory) -> Deployed:
    return build_deployed(tmp_path_factory.getbasetemp())


def _weights(path) -> list[np.ndarray]:
    graph = onnx.load(path).graph
    arrays = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    return [array for array in arrays.values() if array.dtype == np.int8 and array.size > 16]


def test_table_says_what_each_backend_is_for() -> None:
    assert {name: quantizer.runtime for name, quantizer in QUANTIZERS.items()} == {
        "inc": "openvino",
        "nncf": "openvino",
        "ort": "onnxruntime",
    }


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_int8_still_says_what_fp32_says(deployed: Deployed, runtime: str) -> None:
    logits = Detector.load(deployed.folder / "int8", runtime=runtime, threads=1).run(deployed.pixels)
    assert np.corrcoef(logits, deployed.logits)[0, 1] > 0.98
    assert np.abs(logits - deployed.logits).max() < 0.5 * deployed.logits.std()
    assert len(np.unique(logits)) == len(logits), "the score itself is not rounded to 256 steps"


@pytest.mark.parametrize("name", SOURCES)
def test_record_tells_how_it_was_made(deployed: Deployed, name: str) -> None:
    record = deployed.records[name]
    assert (record.name, record.tool) == (name, name)
    assert (record.runtime, record.samples) == (QUANTIZERS[name].runtime, 16)
    assert set(record.versions) == set(QUANTIZERS[name].packages)
    assert record.settings["calibration"] == "minmax"
    assert "reduce_range" not in record.settings


def test_qdq_quantizes_the_first_convolution_and_leaves_both_ends_float(deployed: Deployed) -> None:
    graph = onnx.load(deployed.folder / "int8.onnx").graph
    producers = {name: node for node in graph.node for name in node.output}
    by_type = {
        kind: [node for node in graph.node if node.op_type == kind] for kind in ("Conv", "Cast", "Sub")
    }
    assert len(by_type["Conv"]) == 2
    assert all(producers[node.input[0]].op_type == "DequantizeLinear" for node in by_type["Conv"])
    assert producers[by_type["Cast"][0].input[0]].op_type == "Transpose"
    for node in by_type["Sub"]:  # normalization and calibration
        assert "DequantizeLinear" not in {producers[i].op_type for i in node.input if i in producers}
    assert {entry.domain for entry in onnx.load(deployed.folder / "int8.onnx").opset_import} == {""}


def test_reduce_range_keeps_weights_to_seven_bits(deployed: Deployed, tmp_path) -> None:
    largest = {}
    for reduce_range in (True, False):
        record = QUANTIZERS["ort"].quantize(
            source=deployed.folder / "fp32.onnx",
            output=tmp_path / "int8.onnx",
            images=images(2, seed=1),
            settings={"reduce_range": reduce_range, **SETTINGS["ort"]},
        )
        assert record.reduce_range is reduce_range
        largest[reduce_range] = max(
            int(np.abs(array.astype(int)).max()) for array in _weights(tmp_path / "int8.onnx")
        )
    assert largest == {True: 64, False: 127}


def test_percentile_calibration_of_onnxruntime(deployed: Deployed, tmp_path) -> None:
    settings = {"calibration": "percentile", "percentile": 99.9, **SETTINGS["ort"]}
    output = tmp_path / "int8.onnx"
    QUANTIZERS["ort"].quantize(
        source=deployed.folder / "fp32.onnx", output=output, images=images(16, seed=1), settings=settings
    )
    session = onnxruntime.InferenceSession(output)
    logits = [session.run(["logit"], {"image": image[None]})[0][0] for image in deployed.pixels]
    assert np.corrcoef(logits, deployed.logits)[0, 1] > 0.9
    assert output.read_bytes() != (deployed.folder / "int8.onnx").read_bytes()


@pytest.mark.parametrize("name", SOURCES)
def test_a_graph_without_layers_is_an_error(tmp_path, name: str) -> None:
    pixels = helper.make_tensor_value_info("image", TensorProto.UINT8, [1, 32, 32, 3])
    outputs = [helper.make_tensor_value_info(key, TensorProto.FLOAT, [1]) for key in ("probability", "logit")]
    nodes = [
        helper.make_node("Cast", ["image"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMax", ["float"], ["most"], keepdims=0),
        helper.make_node("Reshape", ["most", "one"], ["logit"]),
        helper.make_node("Sigmoid", ["logit"], ["probability"]),
    ]
    one = helper.make_tensor("one", TensorProto.INT64, [1], [1])
    graph = helper.make_graph(nodes, "empty", [pixels], outputs, [one])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.save(model, tmp_path / "empty.onnx")
    export_openvino(tmp_path / "empty.onnx", path=tmp_path / "empty.xml")
    suffix = SOURCES[name].removeprefix("fp32")
    with pytest.raises(EdgeproofError, match=rf"empty{suffix}: {name} matched no layer"):
        QUANTIZERS[name].quantize(
            source=tmp_path / f"empty{suffix}", output=tmp_path / f"int8{suffix}", images=images(2, seed=1)
        )


@pytest.mark.parametrize("name", SOURCES)
def test_mistakes_are_named(deployed: Deployed, tmp_path, name: str) -> None:
    source = deployed.folder / SOURCES[name]

    def fails(match: str, **changes) -> None:
        arguments = {
            "source": source,
            "output": tmp_path / source.name,
            "images": images(2, seed=1),
            **changes,
        }
        with pytest.raises(EdgeproofError, match=match) as caught:
            QUANTIZERS[name].quantize(**arguments)
        assert "\n" not in str(caught.value)

    fails(
        rf"quantizer {name}: presett: found 'mixed'.*settings: .*calibration", settings={"presett": "mixed"}
    )
    fails(r"calibration: found 'magic'", settings={"calibration": "magic"})
    fails(r"calibration images: found 0, expected at least 1", images=[])
    fails(
        r"calibration image 0: found float32 \[1, 32, 32, 3\]", images=[np.zeros((1, 32, 32, 3), np.float32)]
    )
    fails(r"absent\.onnx: no such file", source=tmp_path / "absent.onnx")
    assert not list(tmp_path.iterdir())


def test_missing_package_names_the_extra(deployed: Deployed, tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "nncf", None)
    with pytest.raises(EdgeproofError, match=r"package nncf cannot be imported .*edgeproof\[quantize\]"):
        QUANTIZERS["nncf"].quantize(
            source=deployed.folder / "fp32.xml", output=tmp_path / "int8.xml", images=images(2, seed=1)
        )


@pytest.mark.parametrize("name", SOURCES)
def test_layers_are_found_by_structure_and_left_in_float(deployed: Deployed, tmp_path, name: str) -> None:
    quantizer, source = QUANTIZERS[name], deployed.folder / SOURCES[name]
    layers = quantizer.find_layers(source)
    shapes = [layer.shape[::-1] if layer.shape == (16, 1) else layer.shape for layer in layers]
    assert shapes == [(16, 3, 3, 3), (16, 16, 3, 3), (1, 16)]
    output = tmp_path / source.name
    record = quantizer.quantize(
        source=source,
        output=output,
        images=images(4, seed=1),
        settings=SETTINGS[name],
        float_layers=layers[1:2],
    )
    assert record.float_layers == layers[1:2]
    left = inspect_int8(output, fp32_path=source)
    work = [layer.macs for layer in layers]
    assert left.int8_mac_share == pytest.approx((work[0] + work[2]) / sum(work))
    assert left.int8_weight_share == pytest.approx((16 * 27 + 16) / (16 * 27 + 16 * 16 * 9 + 16))


@pytest.mark.parametrize("name", SOURCES)
def test_layers_are_the_same_at_every_size(deployed: Deployed, tmp_path, name: str) -> None:
    larger = SPEC.model_copy(update={"size": 48})
    export_onnx(
        deployed.model, preprocess=larger, calibration=CALIBRATION, task=BINARY, path=tmp_path / "fp32.onnx"
    )
    export_openvino(tmp_path / "fp32.onnx", path=tmp_path / "fp32.xml")
    find = QUANTIZERS[name].find_layers
    here, there = find(tmp_path / SOURCES[name]), find(deployed.folder / SOURCES[name])
    assert len(here) == len(there) == 3
    assert all(layer.is_same(other) for layer, other in zip(here, there, strict=True))
    assert [layer.macs > other.macs for layer, other in zip(here, there, strict=True)] == [True, True, False]


@pytest.mark.parametrize("name", SOURCES)
def test_a_layer_that_is_not_there_is_an_error(deployed: Deployed, tmp_path, name: str) -> None:
    quantizer, source = QUANTIZERS[name], deployed.folder / SOURCES[name]
    other = FloatLayer(position=7, kind="Conv", shape=(9, 9))
    with pytest.raises(EdgeproofError, match=r"layer 7 is none, expected Conv \[9, 9\] to leave in float"):
        quantizer.quantize(
            source=source, output=tmp_path / "x", images=images(2, seed=1), float_layers=[other]
        )


def test_a_tool_that_cannot_leave_layers_out_says_so(deployed: Deployed, tmp_path) -> None:
    quantizer = replace(QUANTIZERS["ort"], name="own", find_layers=None)
    layer = FloatLayer(position=0, kind="Conv", shape=(16, 3, 3, 3))
    with pytest.raises(EdgeproofError, match="quantizer own: cannot leave layers in float"):
        quantizer.quantize(
            source=deployed.folder / "fp32.onnx",
            output=tmp_path / "x",
            images=images(2, seed=1),
            float_layers=[layer],
        )
