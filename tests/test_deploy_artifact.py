import hashlib
import json

import pytest
from manifest_edit import edit

from deploy import artifact
from deploy.artifact import QuantizationRecord, read_manifest, verify, write_artifact
from distill.errors import EdgeproofError
from distill.evaluation.calibration import Calibration
from distill.preprocess import PreprocessSpec

CONTENT = {"model.onnx": b"an onnx model", "model.xml": b"<net/>", "model.bin": b"\x00\x01\x02"}


@pytest.fixture
def sources(tmp_path):
    (tmp_path / "sources").mkdir()
    for name, content in CONTENT.items():
        (tmp_path / "sources" / name).write_bytes(content)
    return {name: tmp_path / "sources" / name for name in CONTENT}


@pytest.fixture
def write(sources):
    def _write(folder, **changes):
        fields = {
            "name": "small_cnn",
            "files": sources,
            "preprocess": PreprocessSpec(size=64),
            "threshold": 0.4,
            "calibration": Calibration(temperature=1.5, bias=0.1),
            "precision": "fp32",
        }
        return write_artifact(folder, **{**fields, **changes})

    return _write


def test_manifest_has_the_fields_of_the_contract(tmp_path, write) -> None:
    record = QuantizationRecord(
        name="ort-percentile",
        tool="ort",
        runtime="onnxruntime",
        samples=8,
        seconds=0.5,
        reduce_range=True,
        settings={},
        versions={},
    )
    written = write(
        tmp_path / "a",
        metrics={"auc": 0.9},
        parent="ab" * 32,
        quantizer=record,
        precision="int8",
        data="faces",
    )
    raw = json.loads((tmp_path / "a" / "manifest.json").read_text())
    assert set(raw) == set(
        "schema_version name task labels input outputs preprocess threshold band calibration precision files "
        "metrics parent quantizer versions data selftest digest".split()
    )
    assert raw["input"] == {
        "name": "image",
        "dtype": "uint8",
        "layout": "NHWC",
        "shape": [1, 64, 64, 3],
        "color": "RGB",
    }
    assert raw["labels"] == ["real", "generated"] and raw["task"] == "binary"
    assert (raw["quantizer"]["name"], raw["quantizer"]["tool"]) == ("ort-percentile", "ort")
    assert raw["outputs"] == ["probability", "logit"]
    assert raw["calibration"] == {"temperature": 1.5, "bias": 0.1}
    assert raw["files"]["model.bin"] == {"sha256": hashlib.sha256(b"\x00\x01\x02").hexdigest(), "bytes": 3}
    assert verify(tmp_path / "a") == written == read_manifest(tmp_path / "a")
    assert written.runtimes == ("openvino", "onnxruntime")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "sources"]


def test_flipped_byte_names_file_and_both_hashes(tmp_path, write) -> None:
    write(tmp_path / "a")
    path = tmp_path / "a" / "model.onnx"
    data = bytearray(path.read_bytes())
    data[3] ^= 1
    path.write_bytes(data)
    with pytest.raises(EdgeproofError) as caught:
        verify(tmp_path / "a")
    message = str(caught.value)
    assert str(path) in message and "\n" not in message
    assert f"found 13 bytes with sha256 {hashlib.sha256(data).hexdigest()}" in message
    assert f"expected 13 bytes with sha256 {hashlib.sha256(CONTENT['model.onnx']).hexdigest()}" in message


def test_size_and_absence_are_noticed(tmp_path, write) -> None:
    write(tmp_path / "a")
    (tmp_path / "a" / "model.xml").write_bytes(b"")
    with pytest.raises(EdgeproofError, match=r"model\.xml: found 0 bytes .* expected 6 bytes"):
        verify(tmp_path / "a")
    (tmp_path / "a" / "model.xml").unlink()
    with pytest.raises(EdgeproofError, match=r"model\.xml: missing, expected 6 bytes"):
        verify(tmp_path / "a")


@pytest.mark.parametrize("version", [5, 0, "1", None, True])
def test_another_schema_version(tmp_path, write, version) -> None:
    write(tmp_path / "a")
    edit(tmp_path / "a", schema_version=version)
    with pytest.raises(EdgeproofError, match=rf"schema_version is {version!r}, expected 1, 2, 3 or 4"):
        verify(tmp_path / "a")


@pytest.mark.parametrize("version", [1, 2])
def test_an_artifact_of_a_version_before_is_still_read(tmp_path, write, version) -> None:
    made = {"name": "ort", "tool": "ort", "runtime": "onnxruntime", "samples": 8, "seconds": 1.0}
    write(tmp_path / "a")
    edit(
        tmp_path / "a",
        schema_version=version,
        quantizer={**made, "reduce_range": False, "settings": {}, "versions": {}},
    )
    manifest = verify(tmp_path / "a")
    assert manifest.quantizer is not None and manifest.selftest is None
    assert (manifest.quantizer.float_layers, manifest.quantizer.repair) == ((), None)


@pytest.mark.parametrize("name", ["../model.onnx", "/etc/passwd", "a/b", "a\\b", "..", ".hidden", "c:x", ""])
def test_file_names_cannot_leave_the_folder(tmp_path, write, name) -> None:
    manifest = write(tmp_path / "a")
    files = manifest.model_dump(mode="json")["files"]
    edit(tmp_path / "a", files={**files, name: files["model.xml"]})
    with pytest.raises(EdgeproofError, match=r"manifest\.json: files\."):
        verify(tmp_path / "a")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"colour": "RGB"}, r"colour: found 'RGB', Extra inputs"),
        ({"threshold": 1.5}, r"threshold: found 1.5"),
        ({"threshold": "NaN"}, r"threshold: found 'NaN'"),
        ({"precision": "int7"}, r"precision: found 'int7'"),
        ({"outputs": ["logit", "probability"]}, r"outputs are .* expected \['probability', 'logit'\]"),
        ({"labels": ["a", "b", "c"]}, r"3 labels, expected 2"),
        ({"calibration": {"temperature": 0, "bias": 0}}, r"calibration\.temperature: found 0"),
        (
            {"files": {"readme.txt": {"sha256": "0" * 64, "bytes": 1}}},
            r"expected model\.xml and model\.bin or",
        ),
    ],
)
def test_wrong_fields_are_named(tmp_path, write, change, message) -> None:
    write(tmp_path / "a")
    edit(tmp_path / "a", **change)
    with pytest.raises(EdgeproofError, match=message) as caught:
        read_manifest(tmp_path / "a")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"{", "not readable as JSON"), (b"\xff\xfe", "not readable as JSON"), (b"[]", "found list")],
)
def test_manifest_that_is_no_json_object(tmp_path, content, message) -> None:
    (tmp_path / "manifest.json").write_bytes(content)
    with pytest.raises(EdgeproofError, match=message):
        read_manifest(tmp_path)


def test_folder_without_manifest(tmp_path) -> None:
    with pytest.raises(EdgeproofError, match=r"manifest\.json: no such file, expected an artifact folder"):
        read_manifest(tmp_path)


def test_an_older_artifact_is_replaced_whole(tmp_path, write, sources) -> None:
    write(tmp_path / "a")
    write(tmp_path / "a", files={"model.onnx": sources["model.onnx"]}, name="newer")
    assert verify(tmp_path / "a").name == "newer"
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == ["manifest.json", "model.onnx"]


def test_failure_leaves_the_older_artifact(tmp_path, write, monkeypatch) -> None:
    write(tmp_path / "a")

    def full(*_args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(artifact.shutil, "copyfile", full)
    with pytest.raises(OSError, match="No space left"):
        write(tmp_path / "a", name="newer")
    assert verify(tmp_path / "a").name == "small_cnn"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "sources"]


def test_foreign_folders_are_left_alone(tmp_path, write) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "mine.jpg").write_bytes(b"dear")
    with pytest.raises(EdgeproofError, match=r"photos: holds files but no manifest\.json"):
        write(tmp_path / "photos")
    assert (tmp_path / "photos" / "mine.jpg").read_bytes() == b"dear"
    with pytest.raises(EdgeproofError, match=r"mine\.jpg: is a file"):
        write(tmp_path / "photos" / "mine.jpg")


def test_mistakes_of_the_writer(tmp_path, write, sources) -> None:
    with pytest.raises(EdgeproofError, match=r"nowhere\.onnx: no such file"):
        write(tmp_path / "a", files={"model.onnx": tmp_path / "nowhere.onnx"})
    with pytest.raises(EdgeproofError, match=r"found 'fp31'"):
        write(tmp_path / "a", precision="fp31")
    with pytest.raises(
        EdgeproofError, match=r"files are \['model\.xml'\], expected model\.xml and model\.bin"
    ):
        write(tmp_path / "a", files={"model.xml": sources["model.xml"]})
    assert not (tmp_path / "a").exists()
