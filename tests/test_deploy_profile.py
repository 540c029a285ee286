from pathlib import Path

import numpy as np
import onnx
import pytest
from deploy_fixture import Deployed, build_deployed, images
from onnx import TensorProto, helper, numpy_helper
from onnxruntime import quantization as ort

from deploy.artifact import write_artifact
from deploy.profile import Profile, explain_slow, profile_artifact, profile_lines, summarize
from deploy.profilers import Operator, profile_operators
from deploy.quantizers import QUANTIZERS
from distill.errors import EdgeproofError
from distill.evaluation.calibration import Calibration
from distill.preprocess import PreprocessSpec

SIZE = 96


@pytest.fixture(scope="session")
def deployed(tmp_path_factory) -> Deployed:
    return build_deployed(tmp_path_factory.getbasetemp())


class Reader(ort.CalibrationDataReader):
    def __init__(self) -> None:
        random = np.random.default_rng(0)
        self.left = iter(random.integers(0, 256, (2, 1, SIZE, SIZE, 3), dtype=np.uint8))

    def get_next(self):
        image = next(self.left, None)
        return None if image is None else {"image": image}


def plain_qdq(folder: Path, *, fused: bool, normalize: bool) -> Path:
    """Two 1×1 convolutions in ONNX Runtime's plain QDQ form; ``fused`` quantizes what they give, too."""
    random = np.random.default_rng(1)
    weights = {
        "mean": np.full((1, 3, 1, 1), 100, np.float32),
        "scale": np.full((1, 3, 1, 1), 0.02, np.float32),
        "w1": random.normal(size=(16, 3, 1, 1)).astype(np.float32),
        "w2": random.normal(size=(16, 16, 1, 1)).astype(np.float32),
        "axes": np.array([1, 2, 3]),
    }
    steps = ["Sub planes mean", "Mul centred scale"] if normalize else ["Relu planes", "Relu centred"]
    active = "Relu" if fused else "LeakyRelu"  # of the latter nothing is quantized, so a layer ends in float
    spelled = [
        ("Transpose image", "bytes"), ("Cast bytes", "planes"), (steps[0], "centred"), (steps[1], "pixels"),
        ("Conv pixels w1", "a"), (f"{active} a", "b"), ("Conv b w2", "c"), (f"{active} c", "d"),
        ("ReduceMean d axes", "logit"), ("Sigmoid logit", "probability"),
    ]  # fmt: skip
    more = {
        "Transpose": {"perm": [0, 3, 1, 2]},
        "Cast": {"to": TensorProto.FLOAT},
        "ReduceMean": {"keepdims": 0},
    }
    nodes = [
        helper.make_node(kind, inputs, [output], name=f"n_{output}", **more.get(kind, {}))
        for text, output in spelled
        for kind, *inputs in [text.split()]
    ]
    graph = helper.make_graph(
        nodes, "planted",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, [1, SIZE, SIZE, 3])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in ("probability", "logit")],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    folder.mkdir()
    onnx.save(model, folder / "float.onnx")
    ort.quantize_static(
        folder / "float.onnx", folder / "model.onnx", Reader(), op_types_to_quantize=["Conv", "Relu"],
        activation_type=ort.QuantType.QUInt8, weight_type=ort.QuantType.QInt8, per_channel=True,
        extra_options={} if fused else {"OpTypesToExcludeOutputQuantization": ["Conv", "Relu"]},
    )  # fmt: skip
    write_artifact(
        folder / "artifact", name="planted", files={"model.onnx": folder / "model.onnx"},
        preprocess=PreprocessSpec(size=SIZE), threshold=0.5, calibration=Calibration(), precision="int8",
    )  # fmt: skip
    return folder / "artifact"


def of_onnxruntime(folder: Path) -> Profile:
    return profile_artifact(folder, runtime="onnxruntime", calls=10)


def test_a_planted_broadcast_is_the_cause(tmp_path) -> None:
    found = of_onnxruntime(plain_qdq(tmp_path / "slow", fused=True, normalize=True))
    assert found.float_layers == ()
    assert found.layers == 2
    assert found.causes[0].text == (
        "the input's normalization runs as a broadcast over 3 channels (Mul, Sub)"
    ), found
    assert found.causes[0].share > 0.3
    text = explain_slow(found, has_int8_dot=True)
    assert text.startswith("the input's normalization runs as a broadcast over 3 channels (Mul, Sub) (")


def test_pairs_that_are_not_fused_are_the_cause(tmp_path) -> None:
    found = of_onnxruntime(plain_qdq(tmp_path / "slow", fused=False, normalize=False))
    texts = [cause.text for cause in found.causes]
    assert "2 of 2 convolutions and matrix products run in float" in texts, found
    assert any(
        text.endswith("are not fused into layers (DequantizeLinear, QuantizeLinear)") for text in texts
    )
    assert not any("broadcast" in text for text in texts)
    assert (len(found.float_layers), found.int8_share) == (2, 0)


def test_openvino_tells_which_layers_run_in_float(deployed: Deployed, tmp_path) -> None:
    quantizer, source = QUANTIZERS["nncf"], deployed.folder / "fp32.xml"
    left = quantizer.find_layers(source)[1:2]
    quantizer.quantize(
        source=source, output=tmp_path / "model.xml", images=images(4, seed=1), float_layers=left
    )
    write_artifact(
        tmp_path / "artifact", name="tiny",
        files={name: tmp_path / name for name in ("model.xml", "model.bin")},
        preprocess=PreprocessSpec(size=32), threshold=0.5, calibration=Calibration(), precision="int8",
    )  # fmt: skip
    found = {
        name: profile_artifact(folder, runtime="openvino", calls=5)
        for name, folder in {"one": tmp_path / "artifact", "fp32": deployed.folder / "fp32"}.items()
    }
    assert len(found["one"].float_layers) == 1
    assert found["one"].int8_share > 0
    assert found["fp32"].int8_share == 0
    assert len(found["fp32"].float_layers) == found["fp32"].layers
    assert abs(sum(row.share for row in found["one"].kinds) - 1) < 1e-6


def test_shares_decide_and_each_operator_counts_once() -> None:
    wide, bias = (1, 24, 24, 3), (1, 1, 1, 3)
    found = summarize(
        [
            Operator("a", "Sub", 30, shapes=(wide, bias)),
            Operator("b", "QLinearConv", 25, layer="int8", shapes=(wide, (16, 3, 3, 3))),
            Operator("c", "QLinearConv", 20, layer="int8", shapes=((1, 12, 12, 16), (16, 16, 3, 3))),
            Operator("d", "Transpose", 15),
            Operator("e", "Gemm", 5, layer="float"),
            Operator("f", "Mul", 5, shapes=((1, 16, 12, 12), (1, 16, 12, 12))),
        ],
        runtime="onnxruntime",
    )
    assert [round(cause.share, 2) for cause in found.causes] == [0.30, 0.25, 0.15]
    assert explain_slow(found, has_int8_dot=True) == (
        "the input's normalization runs as a broadcast over 3 channels (Sub) (30% of the time); the first convolution "
        "reads 3 channels, for which there is no fast INT8 kernel (25% of the time); layout and type are changed between "
        "layers (Transpose) (15% of the time)"
    )
    assert (found.layers, found.float_layers, found.int8_share) == (3, ("e",), 0.45)
    assert profile_lines(found, most=1) == [" 45.0%        45 µs    2 × QLinearConv"]


def test_a_cpu_without_dot_products_is_the_first_cause() -> None:
    found = summarize([Operator("a", "QLinearConv", 10, layer="int8")], runtime="onnxruntime")
    assert explain_slow(found, has_int8_dot=False) == "this CPU has no INT8 dot products (VNNI, AMX)"
    assert explain_slow(found, has_int8_dot=True).startswith("nothing stands out: 100% of the time")


def test_a_runtime_that_is_not_there_is_named(tmp_path) -> None:
    folder = plain_qdq(tmp_path / "one", fused=True, normalize=True)
    pixels = np.zeros((1, SIZE, SIZE, 3), np.uint8)
    with pytest.raises(EdgeproofError, match="holds models for onnxruntime, not for openvino"):
        profile_operators(folder, runtime="openvino", pixels=pixels)
