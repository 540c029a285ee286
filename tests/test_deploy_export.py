import numpy as np
import onnx
import onnxruntime
import openvino
import pytest
import torch
from deploy_fixture import CALIBRATION, SETTINGS, SIZE, SPEC, Deployed, build_deployed, images, tiny_detector

from deploy.onnx_graph import OPSET, export_onnx, export_openvino
from deploy.quantizers import QUANTIZERS
from distill.errors import EdgeproofError
from distill.evaluation.calibration import Calibration
from distill.files import sha256
from distill.task import BINARY, MultiClass

THREE = MultiClass(labels=("real", "gan", "diffusion"))


@pytest.fixture(scope="session")
def deployed(tmp_path_factory) -> Deployed:
    return build_deployed(tmp_path_factory.getbasetemp())


def test_graph_holds_normalization_calibration_and_sigmoid(deployed: Deployed) -> None:
    session = onnxruntime.InferenceSession(deployed.folder / "fp32.onnx")
    found = [session.run(["probability", "logit"], {"image": image[None]}) for image in deployed.pixels]
    assert deployed.logits.std() > 0.1, "the fixture must tell images apart"
    np.testing.assert_allclose([logit[0] for _, logit in found], deployed.logits, atol=1e-4)
    np.testing.assert_allclose([value[0] for value, _ in found], deployed.probabilities, atol=1e-5)


def test_openvino_says_the_same(deployed: Deployed) -> None:
    compiled = openvino.Core().compile_model(
        deployed.folder / "fp32.xml", "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
    )
    found = [compiled({"image": image[None]})["probability"][0] for image in deployed.pixels]
    np.testing.assert_allclose(found, deployed.probabilities, atol=1e-5)


def test_file_is_static_uint8_and_alone(deployed: Deployed) -> None:
    model = onnx.load(deployed.folder / "fp32.onnx", load_external_data=False)
    (entry,) = model.graph.input
    shape = [dimension.dim_value for dimension in entry.type.tensor_type.shape.dim]
    assert (entry.name, shape) == ("image", [1, SIZE, SIZE, 3])
    assert entry.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    assert [output.name for output in model.graph.output] == ["probability", "logit"]
    assert [(item.domain, item.version) for item in model.opset_import] == [("", OPSET)]
    assert all(not tensor.external_data for tensor in model.graph.initializer)
    assert not list(deployed.folder.glob("*.data"))


def test_batch_norm_is_folded_and_no_path_leaks(deployed: Deployed) -> None:
    path = deployed.folder / "fp32.onnx"
    operators = [node.op_type for node in onnx.load(path).graph.node]
    assert "BatchNormalization" not in operators
    assert operators.count("Conv") == 2
    assert b".py" not in path.read_bytes()


def test_openvino_file_keeps_fp32_weights(deployed: Deployed) -> None:
    operations = openvino.Core().read_model(deployed.folder / "fp32.xml").get_ops()
    kinds = {op.get_element_type().get_type_name() for op in operations if op.get_type_name() == "Constant"}
    assert "f32" in kinds
    assert not kinds & {"f16", "bf16", "i8", "u8"}


def test_equal_models_are_equal_files(tmp_path, deployed: Deployed) -> None:
    """However many models the process has made before."""
    export_onnx(
        deployed.model, preprocess=SPEC, calibration=CALIBRATION, task=BINARY, path=tmp_path / "fp32.onnx"
    )
    export_openvino(tmp_path / "fp32.onnx", path=tmp_path / "fp32.xml")
    for name, suffix in (("ort", ".onnx"), ("nncf", ".xml")):
        QUANTIZERS[name].quantize(
            source=tmp_path / f"fp32{suffix}", output=tmp_path / f"int8{suffix}", images=images(16, seed=1),
            settings=SETTINGS[name],
        )  # fmt: skip
    made = sorted(path.name for path in tmp_path.iterdir())
    assert made == ["fp32.bin", "fp32.onnx", "fp32.xml", "int8.bin", "int8.onnx", "int8.xml"]
    for name in made:
        assert sha256(tmp_path / name) == sha256(deployed.folder / name), name


def test_multiclass_graph(tmp_path, deployed: Deployed) -> None:
    model = tiny_detector(num_logits=3).train()
    model.norm.eval()
    path = tmp_path / "multi.onnx"
    export_onnx(model, preprocess=SPEC, calibration=Calibration(temperature=2.0), task=THREE, path=path)
    assert model.training and model.deep.training and not model.norm.training, "modes are given back"
    session = onnxruntime.InferenceSession(path)
    assert [(value.name, value.shape) for value in session.get_outputs()] == [
        ("probabilities", [1, 3]),
        ("logits", [1, 3]),
    ]
    probabilities, logits = session.run(None, {"image": deployed.pixels[:1]})
    normalized = torch.from_numpy(SPEC.normalize(deployed.pixels[:1])).permute(0, 3, 1, 2)
    with torch.no_grad():
        expected = model.eval()(normalized).logits.numpy() / 2.0
    np.testing.assert_allclose(logits, expected, atol=1e-4)
    np.testing.assert_allclose(probabilities, np.exp(expected) / np.exp(expected).sum(), atol=1e-5)


def test_bias_has_no_meaning_for_several_classes(tmp_path) -> None:
    with pytest.raises(EdgeproofError, match=r"calibration.bias: found -0.4 for 3 classes, expected 0"):
        export_onnx(
            tiny_detector(3), preprocess=SPEC, calibration=CALIBRATION, task=THREE, path=tmp_path / "m.onnx"
        )


def test_openvino_names_a_file_it_cannot_read(tmp_path) -> None:
    (tmp_path / "broken.onnx").write_bytes(b"not a model")
    with pytest.raises(EdgeproofError, match=r"broken\.onnx: openvino cannot convert it"):
        export_openvino(tmp_path / "broken.onnx", path=tmp_path / "model.xml")
    assert not (tmp_path / "model.xml").exists()
