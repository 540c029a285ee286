"""Artifacts that come with the package: whole, small, and what `predict` takes without being told."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from cli import edgeproof, one_line_error
from PIL import Image

from deploy.artifact import verify
from deploy.runtime import Detector
from deploy.selftest import check_folder
from deploy.shipped import DEFAULT, find_artifact, shipped_artifacts
from distill.errors import EdgeproofError

FOLDERS = [
    pytest.param(folder, id=f"{name}-{runtime}")
    for name, folders in shipped_artifacts().items()
    for runtime, folder in folders.items()
]
LIMIT = 1_500_000  # bytes, for each runtime


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("photos") / "photo.jpg"
    pixels = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    Image.fromarray(pixels).resize((200, 160)).save(path, quality=90)
    return path


@pytest.mark.parametrize("folder", FOLDERS)
def test_each_is_whole_small_and_answers_as_where_it_was_made(folder: Path) -> None:
    manifest = verify(folder)
    assert (manifest.precision, manifest.data, manifest.runtimes) == ("int8", "simulated", (folder.name,))
    assert sum(file.stat().st_size for file in folder.iterdir()) < LIMIT
    assert "simulated" in (folder / "README.md").read_text()
    report = check_folder(folder, runtime=folder.name)
    assert len(report.answers) == 8
    if report.cpu_model == report.expected_cpu_model:
        assert report.status == "ok", report.reason
    else:  # what INT8 says may depend on the processor; then the self-test must say so
        assert report.status == "ok" or report.cpu_model in report.reason


@pytest.mark.parametrize("name", list(shipped_artifacts()))
def test_both_runtimes_give_the_same_verdict(name: str, photo: Path) -> None:
    answers = [Detector.load(name, runtime=runtime).predict(photo) for runtime in shipped_artifacts()[name]]
    assert {*shipped_artifacts()[name]} == {"onnxruntime", "openvino"}
    assert abs(answers[0].probability - answers[1].probability) < 0.1
    assert all(answer.threshold is not None for answer in answers)


def test_a_name_means_what_is_shipped_unless_a_folder_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_artifact(DEFAULT, runtime="onnxruntime") == shipped_artifacts()[DEFAULT]["onnxruntime"]
    assert find_artifact(DEFAULT) == shipped_artifacts()[DEFAULT]["openvino"]
    Path(DEFAULT).mkdir()
    assert find_artifact(DEFAULT) == Path(DEFAULT)
    assert find_artifact("no-such") == Path("no-such")


def test_a_runtime_that_a_shipped_artifact_lacks_is_named() -> None:
    with pytest.raises(EdgeproofError, match="holds models for onnxruntime, openvino, .* is tflite"):
        find_artifact(DEFAULT, runtime="tflite")


def test_predict_needs_nothing_but_a_photo(photo: Path) -> None:
    told = edgeproof("predict", photo, "--json")
    assert told.returncode == 0, told.stderr
    [answer] = json.loads(told.stdout)
    expected = Detector.load(DEFAULT).predict(photo)
    assert answer["probability"] == pytest.approx(expected.probability)
    assert "simulated" in told.stderr and "simulated" in answer["caution"]
    folder = edgeproof("predict", photo.parent, "--json")
    assert json.loads(folder.stdout)[0]["probability"] == answer["probability"]
    named = edgeproof("predict", "simulated-64", photo, "--json")
    assert json.loads(named.stdout)[0]["probability"] != answer["probability"]


def test_what_may_be_meant_as_either_is_refused_in_words(photo: Path, tmp_path: Path) -> None:
    assert "simulated-64" in one_line_error(edgeproof("predict", photo.parent, photo))
    missing = one_line_error(edgeproof("predict", tmp_path / "none", photo))
    assert "no such file" in missing and DEFAULT in missing
    assert "holds no photos" in one_line_error(edgeproof("predict", tmp_path))


def test_the_names_are_listed_without_torch() -> None:
    code = (
        "import sys; sys.modules['torch'] = None; sys.argv = ['edgeproof', 'list', 'artifacts'];"
        "from distill.__main__ import main; main()"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.split() == sorted(shipped_artifacts())


def test_the_self_test_knows_the_names() -> None:
    assert "self-test ok" in edgeproof("selftest", "simulated-64").stdout
