"""Artifacts that are not what they say: other numbers, no numbers, fields that are gone, weights from elsewhere."""

import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from manifest_edit import edit, fields, write_fields
from onnx import TensorProto, helper, numpy_helper

from deploy.artifact import MANIFEST_NAME, read_manifest, write_artifact
from deploy.manifest_digest import found_digest, true_digest, with_digest
from deploy.predict import answers_for, tell
from deploy.runtime import Detector
from deploy.shipped import shipped_artifacts
from distill.errors import EdgeproofError
from distill.evaluation.calibration import Calibration
from distill.files import sha256, write_json
from distill.preprocess import PreprocessSpec

SIZE = 16
SHIPPED = [folder for runtimes in shipped_artifacts().values() for folder in runtimes.values()]
PIXELS = np.full((SIZE, SIZE, 3), 200, np.uint8)


def artifact(
    folder: Path,
    *,
    image: int = TensorProto.UINT8,
    logit: int = TensorProto.FLOAT,
    value: float = 0.0,
    divide: bool = False,
) -> Path:
    """A model that answers ``value`` for every image; with ``divide`` it fails at run time."""
    kind = helper.tensor_dtype_to_np_dtype(logit)
    nodes = [
        helper.make_node("Cast", ["image"], ["numbers"], to=logit),
        helper.make_node("ReduceMax", ["numbers"], ["most"], keepdims=0),
        helper.make_node("Mul", ["most", "zero"], ["nothing"]),
        helper.make_node("Add", ["nothing", "value"], ["logit"]),
        helper.make_node("Identity", ["logit"], ["probability"]),
    ]
    constants = [
        numpy_helper.from_array(np.array([0], kind), "zero"),
        numpy_helper.from_array(np.array([value], kind), "value"),
    ]
    if divide:
        nodes[-2:-2] = [helper.make_node("Gather", ["value", "far"], ["found"])]
        nodes[-2] = helper.make_node("Add", ["nothing", "found"], ["logit"])
        nodes[0:0] = [helper.make_node("Cast", ["image"], ["whole"], to=TensorProto.INT64),
                      helper.make_node("ReduceMax", ["whole"], ["far_0"], keepdims=0),
                      helper.make_node("Reshape", ["far_0", "one"], ["far"])]  # fmt: skip
        constants.append(numpy_helper.from_array(np.array([1], np.int64), "one"))
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("image", image, [1, SIZE, SIZE, 3])],
        [helper.make_tensor_value_info(name, logit, [1]) for name in ("probability", "logit")], constants,
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    return packed(folder, model)


def packed(folder: Path, model: onnx.ModelProto) -> Path:
    source = folder.parent / "source.onnx"
    onnx.save(model, source)
    write_artifact(
        folder, name="own", files={"model.onnx": source}, preprocess=PreprocessSpec(size=SIZE), threshold=0.5,
        calibration=Calibration(), precision="fp32",
    )  # fmt: skip
    return folder


# --- answers --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_model_that_answers_no_number_is_no_verdict(tmp_path: Path, value: float, capsys) -> None:
    detector = Detector.load(artifact(tmp_path / "a", value=value))
    with pytest.raises(
        EdgeproofError, match=r"/a: the model answers \[-?(nan|inf)\], expected finite numbers"
    ):
        detector.predict(PIXELS)
    photo = tmp_path / "a.png"
    from PIL import Image

    Image.fromarray(PIXELS).save(photo)
    told = tell(answers_for(detector, [photo]), form="json", csv=None, classes=())
    answer = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)[0]
    assert told.counts["error"] == 1 and answer["answer"] is None and "expected finite" in answer["error"]


@pytest.mark.parametrize(
    "kinds", [{"image": TensorProto.FLOAT}, {"logit": TensorProto.DOUBLE}, {"logit": TensorProto.INT64}]
)
def test_other_types_are_refused_at_load(tmp_path: Path, kinds: dict[str, int]) -> None:
    with pytest.raises(
        EdgeproofError, match=r"model\.onnx: the model's (image|logit) is tensor\(\w+\), expected tensor"
    ):
        Detector.load(artifact(tmp_path / "a", **kinds), runtime="onnxruntime")


def test_other_types_are_refused_at_load_by_openvino(tmp_path: Path) -> None:
    from deploy.openvino_ir import export_openvino
    from deploy.sessions import EngineOptions, open_session

    artifact(tmp_path / "a", image=TensorProto.FLOAT)
    export_openvino(tmp_path / "source.onnx", path=tmp_path / "model.xml")
    with pytest.raises(EdgeproofError, match=r"model\.xml: the model's image is f32, expected u8"):
        open_session(tmp_path, runtime="openvino", output="logit", options=EngineOptions())


def test_a_model_that_fails_at_run_time_is_one_line(tmp_path: Path) -> None:
    detector = Detector.load(artifact(tmp_path / "a", divide=True), runtime="onnxruntime")
    for run in (lambda: detector.predict(PIXELS), lambda: detector.run(PIXELS[None])):
        with pytest.raises(EdgeproofError, match=r"/a: onnxruntime cannot run the model \(") as caught:
            run()
        assert "\n" not in str(caught.value)
    assert detector.predict(np.zeros_like(PIXELS)).logit == 0, "and goes on with the next"


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_no_numbers_are_refused(tmp_path: Path, value: float) -> None:
    import torch
    from safetensors.torch import save_file

    from distill.training.checkpoint import load_weights
    from students.options import OptionError
    from students.weights import load_state

    model = torch.nn.Linear(3, 2)
    state = {"weight": torch.full((2, 3), value), "bias": torch.zeros(2)}
    save_file(state, tmp_path / "a.safetensors")
    with pytest.raises(EdgeproofError, match=r"a\.safetensors: weight 'weight' holds NaN or infinity"):
        load_weights(model, tmp_path / "a.safetensors")
    with pytest.raises(OptionError, match="here: weight weight holds NaN or infinity"):
        load_state(model, state, source="here", head=())
    assert model.weight.isfinite().all()


# --- the manifest ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("folder", SHIPPED, ids=lambda folder: f"{folder.parent.name}-{folder.name}")
def test_shipped_artifacts_hold_every_field(folder: Path) -> None:
    assert read_manifest(folder).labels[0] == "real"


@pytest.mark.parametrize("version", [1, 2, 3, 4])
@pytest.mark.parametrize(
    "key", ["preprocess.policy", "preprocess.mean", "input.layout", "calibration.bias", "threshold", "labels"]
)
def test_what_decides_an_answer_has_no_default(tmp_path: Path, version: int, key: str) -> None:
    shutil.copytree(SHIPPED[0], tmp_path / "a")
    raw = {**fields(tmp_path / "a"), "schema_version": version}
    write_fields(tmp_path / "a", raw)
    read_manifest(tmp_path / "a")
    *parents, last = key.split(".")
    part = raw
    for parent in parents:
        part = part[parent]
    del part[last]
    write_fields(tmp_path / "a", raw)
    with pytest.raises(EdgeproofError, match=rf"manifest\.json: .*{key}"):
        read_manifest(tmp_path / "a")


@pytest.mark.parametrize("key", ["band", "selftest", "metrics", "data", "quantizer"])
def test_a_manifest_of_this_version_has_every_field(tmp_path: Path, key: str) -> None:
    shutil.copytree(SHIPPED[0], tmp_path / "a")
    raw = fields(tmp_path / "a")
    del raw[key]
    write_fields(tmp_path / "a", raw)
    with pytest.raises(EdgeproofError, match=rf"{key}: "):
        read_manifest(tmp_path / "a")


def test_labels_that_were_exchanged_are_refused(tmp_path: Path) -> None:
    shutil.copytree(SHIPPED[0], tmp_path / "a")
    edit(tmp_path / "a", labels=["generated", "real"])
    with pytest.raises(
        EdgeproofError, match=r"labels are \['generated', 'real'\], expected \['real', 'generated'\]"
    ):
        read_manifest(tmp_path / "a")


@pytest.mark.parametrize("change", [
    {"threshold": 0.9}, {"preprocess": {"policy": "resize"}}, {"data": "mine"}, {"digest": "0" * 64},
    {"digest": None}, {"digest": "0" * 63}, {"more": 1}, {"schema_version": 3},
])  # fmt: skip
def test_a_manifest_that_was_changed_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    shutil.copytree(SHIPPED[0], tmp_path / "a")
    path = tmp_path / "a" / MANIFEST_NAME
    raw = json.loads(path.read_text())
    path.write_text(json.dumps(raw, ensure_ascii=False, indent="\t"))
    read_manifest(tmp_path / "a")  # laid out anew it says the same
    path.write_text(json.dumps({**raw, **change}, ensure_ascii=False))
    with pytest.raises(EdgeproofError, match=r"manifest\.json: (was changed after it was written|digest: )"):
        read_manifest(tmp_path / "a")


def test_a_digest_is_that_of_any_text(tmp_path: Path) -> None:
    for value in ({}, {"a": 'ü "\\" \n  ,x', "b": [1.5e-7, None]}, {"digest": "old"}, {"\udcff": "\udcff"}):
        write_json(tmp_path / "a.json", with_digest(value))
        content = (tmp_path / "a.json").read_bytes()
        assert found_digest(content) == true_digest(content)
        assert found_digest(content[:-3]) is None


@pytest.mark.parametrize("listed", [False, True])
def test_weights_in_another_file_are_not_loaded(tmp_path: Path, listed: bool) -> None:
    folder = artifact(tmp_path / "a")
    model = onnx.load(folder / "model.onnx")
    for tensor in model.graph.initializer:
        tensor.raw_data = tensor.raw_data * 1
    onnx.save(
        model, folder / "model.onnx", save_as_external_data=True, location="weights.bin", size_threshold=0
    )
    raw = fields(folder)
    for name in ("model.onnx", *(["weights.bin"] if listed else [])):
        raw["files"][name] = {"sha256": sha256(folder / name), "bytes": (folder / name).stat().st_size}
    write_fields(folder, raw)
    assert (folder / "weights.bin").stat().st_size > 0
    with pytest.raises(EdgeproofError, match=r"model\.onnx: weights are in another file"):
        Detector.load(folder, runtime="onnxruntime")
