"""An ONNX file alone tells how it is used, and what it says is what the manifest says."""

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from deploy_fixture import CALIBRATION, SETTINGS, SPEC, images, tiny_detector

from deploy.artifact import read_manifest, verify
from deploy.interface import export, quantize, rewrite
from deploy.metadata import OnnxMetadata, read_metadata, write_metadata
from distill.errors import EdgeproofError


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("metadata")
    export(
        tiny_detector(), SPEC, out={"onnxruntime": folder / "fp32"}, calibration=CALIBRATION, threshold=0.37,
        name="tiny", data="simulated", parent="ab" * 32,
    )  # fmt: skip
    pixels = [image[0] for image in images(4, seed=1)]
    quantize(folder / "fp32", pixels, out=folder / "int8", tool="ort", settings=SETTINGS["ort"])
    return {precision: folder / precision for precision in ("fp32", "int8")}


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_the_file_says_what_the_manifest_says(artifacts: dict[str, Path], precision: str) -> None:
    manifest = verify(artifacts[precision])
    found = read_metadata(artifacts[precision] / "model.onnx")
    assert found.precision == precision
    assert found.input == "image: uint8 RGB [1, 32, 32, 3]"
    for field in ("name", "task", "labels", "threshold", "preprocess", "calibration", "data", "parent"):
        assert getattr(found, field) == getattr(manifest, field), field


def test_any_tool_can_read_it(artifacts: dict[str, Path]) -> None:
    session = onnxruntime.InferenceSession(artifacts["int8"] / "model.onnx")
    told = session.get_modelmeta().custom_metadata_map
    assert all(key.startswith("edgeproof.") for key in told), "no note of another tool, no path"
    assert told["edgeproof.data"] == "simulated"
    assert json.loads(told["edgeproof.labels"]) == ["real", "generated"]
    assert json.loads(told["edgeproof.threshold"]) == 0.37
    assert json.loads(told["edgeproof.preprocess"])["policy"] == SPEC.policy


def test_another_threshold_is_told_by_both(artifacts: dict[str, Path], tmp_path) -> None:
    before = read_manifest(artifacts["int8"]).files["model.onnx"].sha256
    rewrite(artifacts["int8"], tmp_path / "again", threshold=0.61)
    manifest = verify(tmp_path / "again")
    assert manifest.threshold == read_metadata(tmp_path / "again" / "model.onnx").threshold == 0.61
    assert manifest.files["model.onnx"].sha256 != before
    pixels = np.concatenate(images(1, seed=3))
    said = [
        onnxruntime.InferenceSession(folder / "model.onnx").run(None, {"image": pixels})
        for folder in (artifacts["int8"], tmp_path / "again")
    ]
    np.testing.assert_array_equal(said[0], said[1])


def test_what_says_nothing_or_nonsense_is_named(artifacts: dict[str, Path], tmp_path) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(b"not a model")
    with pytest.raises(EdgeproofError, match=r"m\.onnx: not readable as ONNX"):
        read_metadata(path)
    source = artifacts["fp32"] / "model.onnx"
    model = onnx.load(source)
    del model.metadata_props[:]
    onnx.save(model, path)
    with pytest.raises(EdgeproofError, match=r"m\.onnx: metadata edgeproof\.name: Field required"):
        read_metadata(path)
    told = read_metadata(source)
    write_metadata(path, told)
    assert read_metadata(path) == told
    write_metadata(path, OnnxMetadata.model_construct(**{**dict(told), "threshold": None, "parent": None}))
    assert (read_metadata(path).threshold, read_metadata(path).parent) == (None, None)
    model = onnx.load(path)
    model.metadata_props.add(key="edgeproof.threshold", value="a third")
    onnx.save(model, path)
    with pytest.raises(EdgeproofError, match=r"m\.onnx: metadata is no JSON"):
        read_metadata(path)
