"""Variants of an artifact: what they take, that they say the same, and what is refused."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from deploy_fixture import SIZE, THRESHOLD, Deployed, build_deployed
from typer.testing import CliRunner

from deploy.artifact import verify, write_artifact
from deploy.openvino_ir import openvino_core
from deploy.runtime import Detector
from deploy.variants import VARIANT, Changes, VariantRecord, write_variant
from deploy.variants.check import FP16_LIMIT, LIMIT
from deploy.variants.graph import rewrite
from distill.cli.app import app
from distill.errors import EdgeproofError
from distill.files import sha256


@pytest.fixture(scope="session")
def deployed(tmp_path_factory) -> Deployed:
    return build_deployed(tmp_path_factory.getbasetemp())


def logits(path: Path, pixels: np.ndarray) -> np.ndarray:
    """What a variant's file answers, by the runtime's own interface."""
    import onnxruntime

    return onnxruntime.InferenceSession(str(path)).run(["logit"], {"image": pixels})[0]


@pytest.mark.parametrize("precision", ["fp32", "int8"])
@pytest.mark.parametrize(
    ("changes", "shape"),
    [
        ({"batch": 4}, (4, SIZE, SIZE, 3)),
        ({"batch": None}, ("N", SIZE, SIZE, 3)),
        ({"input": "float-nchw"}, (1, 3, SIZE, SIZE)),
        ({"input": "rgbx"}, (1, SIZE, SIZE, 4)),
        ({"input": "rgbx", "batch": None}, ("N", SIZE, SIZE, 4)),
        ({"input": "float-nchw", "batch": 2, "ort_format": True}, (2, 3, SIZE, SIZE)),
    ],
)
def test_onnx_variants_say_what_the_artifact_says(
    deployed: Deployed, tmp_path: Path, precision: str, changes: dict, shape: tuple
) -> None:
    artifact, out = deployed.folder / precision, tmp_path / "out"
    record = write_variant(artifact, Changes(**changes), out=out)
    assert record == VariantRecord.read(out / VARIANT)
    assert record.input.shape == shape
    assert 0 <= record.agreement.largest_difference <= record.agreement.limit == LIMIT
    assert record.threshold == THRESHOLD and record.labels == ("real", "generated")
    assert record.parent.manifest_sha256 == sha256(artifact / "manifest.json")
    assert {path.name for path in out.iterdir()} == {*record.files, VARIANT}
    for name, found in record.files.items():
        assert found.sha256 == sha256(out / name)

    pixels = deployed.pixels[: shape[0] if isinstance(shape[0], int) else 5]
    expected = Detector.load(artifact, runtime="onnxruntime", threads=1).run(pixels)
    fed = pixels
    if record.input.layout == "NCHW":
        fed = pixels.transpose(0, 3, 1, 2).astype(np.float32)
    elif record.input.color == "RGBX":
        fed = np.concatenate([pixels, 255 - pixels[..., :1]], axis=3)
    found = logits(out / ("model.ort" if record.format == "ort" else "model.onnx"), fed)
    np.testing.assert_allclose(found, expected, rtol=LIMIT, atol=LIMIT)
    if len(pixels) > 1:  # images that all get one answer would prove nothing
        assert expected.std() > 10 * LIMIT


def test_fp16_weights_are_halved(deployed: Deployed, tmp_path: Path) -> None:
    record = write_variant(deployed.folder / "fp32", Changes(fp16_weights=True), out=tmp_path / "out")
    assert (record.runtime, record.format) == ("openvino", "openvino")
    assert 0 < record.agreement.largest_difference <= record.agreement.limit == FP16_LIMIT
    before = verify(deployed.folder / "fp32").files["model.bin"].bytes
    assert record.files["model.bin"].bytes < 0.6 * before
    compiled = openvino_core().compile_model(str(tmp_path / "out" / "model.xml"), "CPU")
    assert tuple(compiled.input("image").shape) == (1, SIZE, SIZE, 3)


def test_fp16_weights_of_a_batch_come_from_the_onnx_file(deployed: Deployed, tmp_path: Path) -> None:
    changes = Changes(batch=3, fp16_weights=True)
    record = write_variant(deployed.folder / "fp32", changes, out=tmp_path / "out")
    assert record.changes == ("batch 3", "float weights in FP16")
    compiled = openvino_core().compile_model(str(tmp_path / "out" / "model.xml"), "CPU")
    assert tuple(compiled.input("image").shape) == (3, SIZE, SIZE, 3)


def test_ort_format_lists_the_operators_and_names_no_folder(deployed: Deployed, tmp_path: Path) -> None:
    out = tmp_path / "out"
    write_variant(deployed.folder / "int8", Changes(ort_format=True), out=out)
    text = (out / "required_operators.config").read_text()
    assert "QLinearConv" in text and "Sigmoid" in text
    assert str(tmp_path) not in text and "/" not in text.replace("ai.onnx", "")


def test_a_variant_is_no_artifact(deployed: Deployed, tmp_path: Path) -> None:
    write_variant(deployed.folder / "fp32", Changes(batch=2), out=tmp_path / "out")
    with pytest.raises(EdgeproofError, match=r"manifest\.json: no such file"):
        Detector.load(tmp_path / "out")


def test_a_variant_that_says_something_else_is_not_written(deployed: Deployed, tmp_path: Path) -> None:
    """An artifact whose two runtimes disagree: FP16 of one is compared with that one, so the ONNX file is broken."""
    model = onnx.load(deployed.folder / "fp32.onnx")
    bias = next(item for item in model.graph.initializer if item.name.endswith("head.bias"))
    bias.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(bias) + 1, bias.name))
    onnx.save(model, tmp_path / "other.onnx")
    manifest = verify(deployed.folder / "fp32")
    write_artifact(
        tmp_path / "artifact",
        name="two answers",
        files={
            "model.onnx": tmp_path / "other.onnx",
            "model.xml": deployed.folder / "fp32.xml",
            "model.bin": deployed.folder / "fp32.bin",
        },
        preprocess=manifest.preprocess,
        threshold=manifest.threshold,
        calibration=manifest.calibration,
        precision="fp32",
    )
    with pytest.raises(
        EdgeproofError, match=r"batch 2 and float weights in FP16 changes a logit by [\d.]+, expected"
    ):
        write_variant(tmp_path / "artifact", Changes(batch=2, fp16_weights=True), out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_changed_is_refused(deployed: Deployed, tmp_path: Path) -> None:
    with pytest.raises(EdgeproofError, match="nothing is changed"):
        Changes()
    with pytest.raises(EdgeproofError, match="ort-format and fp16-weights: expected one"):
        Changes(ort_format=True, fp16_weights=True)
    model = onnx.load(deployed.folder / "fp32.onnx")
    rewrite(model, Changes(input="float-nchw"))
    with pytest.raises(EdgeproofError, match="opens with none, expected one Transpose to NCHW and one Cast"):
        rewrite(model, Changes(input="float-nchw"))
    manifest = verify(deployed.folder / "fp32")
    write_artifact(
        tmp_path / "ir",
        name="IR alone",
        files={name: deployed.folder / f"fp32.{name[6:]}" for name in ("model.xml", "model.bin")},
        preprocess=manifest.preprocess,
        threshold=manifest.threshold,
        calibration=manifest.calibration,
        precision="fp32",
    )
    with pytest.raises(
        EdgeproofError, match=r"holds models for openvino, expected model\.onnx to make batch 2"
    ):
        write_variant(tmp_path / "ir", Changes(batch=2), out=tmp_path / "out")


def run(*arguments: object) -> str:
    result = CliRunner().invoke(app, list(map(str, arguments)))
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout


def test_variants_on_the_command_line(deployed: Deployed, tmp_path: Path) -> None:
    artifact = deployed.folder / "fp32"
    text = run("export", artifact, "--dynamic-batch", "--out", tmp_path / "one")
    assert "dynamic batch; logits within" in text
    found = json.loads(run("export", artifact, "--input", "rgbx", "--json", "--out", tmp_path / "two"))
    assert found == json.loads((tmp_path / "two" / VARIANT).read_text())
    for given, message in (
        (["--out", tmp_path / "x"], "nothing is changed"),
        (["--batch", 2], "fp32 is an artifact: expected --out or --hub too"),
        (
            ["--batch", 2, "--dynamic-batch", "--out", tmp_path / "x"],
            "--dynamic-batch: does not go with --batch",
        ),
        (["--batch", 2, "--hub", tmp_path / "x"], "--batch: does not go with --hub"),
        (["--license", "mit", "--out", tmp_path / "x"], "--license: does not go with --out"),
        (["--input", "bgr", "--out", tmp_path / "x"], "unknown input 'bgr'; choose one of: float-nchw, rgbx"),
    ):
        with pytest.raises(EdgeproofError, match=message):
            run("export", artifact, *given)
    with pytest.raises(EdgeproofError, match="--batch: is for artifacts, and demo is none"):
        run("export", "demo", "--batch", 2)
    assert not (tmp_path / "x").exists()
