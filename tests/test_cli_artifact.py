import json
from pathlib import Path

import pytest
from artifact_fixture import timer, write_photos
from deploy_fixture import Deployed, build_deployed
from typer.testing import CliRunner

from deploy import auto
from deploy.artifact import read_manifest
from deploy.auto_record import AutoRecord
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
