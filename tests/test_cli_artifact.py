import json
import shutil
from pathlib import Path

import pytest
from artifact_fixture import timer, write_photos
from deploy_fixture import Deployed, build_deployed
from typer.testing import CliRunner

from deploy import auto
from deploy import verify as verifying
from deploy.artifact import read_manifest
from deploy.auto_record import AutoRecord
from deploy.verify_record import VerifyReport
from distill.cli.app import app
from distill.errors import EdgeproofError


@pytest.fixture(scope="session")
def deployed(tmp_path_factory) -> Deployed:
    return build_deployed(tmp_path_factory.getbasetemp())


@pytest.fixture(scope="session")
def photos(deployed: Deployed, tmp_path_factory) -> Path:
    return write_photos(tmp_path_factory.mktemp("photos"), deployed)


@pytest.fixture(autouse=True)
def _nothing_is_timed(monkeypatch) -> None:
    monkeypatch.setattr(auto, "_race", timer(ort=0.5, nncf=0.5))
    monkeypatch.setattr(verifying, "_race", lambda contestants, _: timer(artifact=0.5)(contestants))


def run(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, list(map(str, arguments)))
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout


def quantize(deployed: Deployed, photos: Path, out: Path, *more: object) -> tuple[int, str]:
    given = ("--calibration", photos, "--runtime", "onnxruntime", "--out", out, "--samples", 8)
    return run("quantize", deployed.folder / "fp32", *given, *more)


def test_quantize_an_artifact(deployed: Deployed, photos: Path, tmp_path) -> None:
    limits = ("--max-drop", "auc=1", "--max-drop", "tpr_at_5fpr=1", "--max-drop", "drift=1")
    code, text = quantize(deployed, photos, tmp_path / "out", *limits)
    assert code == 0
    assert "kept: ort" in text and "0.50" in text
    assert read_manifest(tmp_path / "out").precision == "int8"


def test_quantize_fails_a_gate_with_the_table_as_json(deployed: Deployed, photos: Path, tmp_path) -> None:
    code, text = quantize(deployed, photos, tmp_path / "out", "--max-drop", "drift=0", "--json")
    assert code == 1
    record = AutoRecord.parse(json.loads(text), origin="stdout")
    assert (record.passed, record.kept) == (False, "fp32")
    assert record == AutoRecord.read(tmp_path / "out" / "auto.json")


def test_options_of_the_other_kind_are_refused(deployed: Deployed, photos: Path, tmp_path) -> None:
    artifact = deployed.folder / "fp32"
    with pytest.raises(EdgeproofError, match=r"--set: is for recipes and run folders, .*fp32 is an artifact"):
        run("quantize", artifact, "--set", "seed=1")
    with pytest.raises(EdgeproofError, match=r"--calibration: is for artifacts, and demo is none"):
        run("quantize", "demo", "--calibration", photos)
    with pytest.raises(EdgeproofError, match=r"fp32 is an artifact: expected --runtime, --out too"):
        run("quantize", artifact, "--calibration", photos)
    with pytest.raises(EdgeproofError, match="unknown runtime 'tensorrt'"):
        run("quantize", artifact, "--calibration", photos, "--runtime", "tensorrt", "--out", tmp_path / "x")


def test_a_recipe_is_still_a_recipe(tmp_path) -> None:
    with pytest.raises(EdgeproofError, match="unknown recipe|nowhere"):
        run("quantize", "nowhere", "--out", tmp_path / "run")


def verify(deployed: Deployed, *more: object) -> tuple[int, str]:
    return run("verify", deployed.folder / "int8", "--against", deployed.folder / "fp32", *more)


def test_verify_an_artifact(deployed: Deployed, photos: Path, tmp_path) -> None:
    code, text = verify(deployed, "--data", photos, "--out", tmp_path / "out")
    assert code == 0, text
    assert "INT8, openvino" in text and "passed: " in text
    report = VerifyReport.read(tmp_path / "out" / "verify.json")
    assert report.data.startswith("16 images of ")


def test_verify_fails_with_its_report_as_json(deployed: Deployed, tmp_path) -> None:
    folder = Path(shutil.copytree(deployed.folder / "int8", tmp_path / "broken"))
    (folder / "model.bin").write_bytes(b"other")
    code, text = run("verify", folder, "--json")
    assert code == 1
    report = VerifyReport.parse(json.loads(text), origin="stdout")
    assert report.failed and report.checks[0].name == "digests"


def test_verify_of_a_folder_that_is_nothing(tmp_path) -> None:
    with pytest.raises(
        EdgeproofError, match=r"--data: is for artifacts, and .* is none: expected a folder with"
    ):
        run("verify", tmp_path, "--data", tmp_path)
    with pytest.raises(EdgeproofError, match="--set: is for recipes"):
        (tmp_path / "manifest.json").write_text("{}")
        run("verify", tmp_path, "--set", "seed=1")
    with pytest.raises(EdgeproofError, match="schema_version is None"):
        run("verify", tmp_path)


def test_sensitivity_of_an_artifact(deployed: Deployed, photos: Path, tmp_path) -> None:
    given = ("--calibration", photos, "--quantizer", "nncf", "--samples", 4, "--out", tmp_path / "out")
    code, text = run("sensitivity", deployed.folder / "fp32", *given)
    assert code == 0
    assert "all layers in INT8: mean error" in text
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"sensitivity.json", "sensitivity.png"}
