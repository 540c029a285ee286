"""The examples are run as they stand, by processes of their own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from deploy import Detector
from deploy.shipped import find_artifact

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"


def run(*arguments: object, cwd: Path) -> str:
    result = subprocess.run(
        [sys.executable, *map(str, arguments)], cwd=cwd, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "MPLBACKEND": "agg"},
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, random = tmp_path_factory.mktemp("examples"), np.random.default_rng(0)
    for label, scale in (("real", 1), ("fake", 2)):
        for number in range(20):
            pixels = random.integers(0, 256, (70, 90, 3), dtype=np.uint8) // scale
            (folder / label).mkdir(exist_ok=True)
            Image.fromarray(pixels).save(folder / label / f"{number}.png")
    return folder


def test_predict_photos(photos: Path) -> None:
    paths = [photos / "real/0.png", photos / "fake/0.png"]
    told = run(EXAMPLES / "predict_photos.py", *paths, "--artifact", "simulated-64", cwd=photos).splitlines()
    assert "int8" in told[0] and "simulated" in told[0]
    for path, line in zip(paths, told[1:], strict=True):
        assert line.startswith(f"{path}: ")
        assert f"{Detector.load('simulated-64').predict(path).probability:.3f}" in line


def test_onnx_alone_says_what_the_detector_says(photos: Path) -> None:
    model = find_artifact("simulated-64", runtime="onnxruntime") / "model.onnx"
    path = photos / "fake/1.png"
    told = run(EXAMPLES / "onnx_alone.py", model, path, cwd=photos)
    expected = Detector.load("simulated-64", runtime="onnxruntime").predict(path)
    assert f"{expected.label} (probability of generated {expected.probability:.4f}" in told
    source = (EXAMPLES / "onnx_alone.py").read_text()
    assert "import deploy" not in source and "from deploy" not in source


def test_distil_own_network(photos: Path, tmp_path: Path) -> None:
    told = run(EXAMPLES / "distil_own_network.py", photos, tmp_path, "--epochs", 1, cwd=tmp_path)
    assert (tmp_path / "int8/manifest.json").is_file()
    assert "int8" in told and "openvino" in told


def test_the_notebook_runs_from_top_to_bottom(tmp_path: Path) -> None:
    cells = json.loads((EXAMPLES / "first_hour.ipynb").read_text())["cells"]
    assert not any(cell.get("outputs") for cell in cells)  # kept without outputs
    code = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    (tmp_path / "cells.py").write_text(f"{code}\nprint(report.passed, auc)\n")
    passed, auc = run("cells.py", cwd=tmp_path).split()[-2:]
    assert passed == "True" and float(auc) > 0.85
