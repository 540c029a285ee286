"""A network with an operator that OpenVINO really lacks, in a real run: its other runtime stays."""

import json
import shutil
from pathlib import Path

from cli import edgeproof

from deploy.artifact import read_manifest
from deploy.parity import ParityRecord
from deploy.runtime import Detector
from distill.recipe import load_recipe

ADDED = ("name='refused_parts:Volume'", "epochs=1", "batch_size=32", "seeds=[0]", "int8=false")


def test_the_forms_for_the_other_runtime_stay(run_copy: Path, tmp_path: Path) -> None:
    shutil.copy(Path(__file__).parent / "refused_parts.py", tmp_path)
    changes = [f"students.volume.{change}" for change in ADDED]
    changes += ["bench.like_for_like_size=32", "training.processes=1"]  # which saves interpreters
    given = [part for change in changes for part in ("--set", change)]
    done = edgeproof("verify", run_copy, *given, cwd=tmp_path, root=True)
    assert done.returncode == 0, done.stderr
    [told] = [line for line in done.stderr.splitlines() if "warning: left out" in line]
    assert (
        "left out artifacts/volume-openvino-fp32" in told
        and "openvino cannot convert it" in told
        and "Det" in told
    )
    made = {folder.name for folder in (run_copy / "artifacts").iterdir() if folder.name.startswith("volume")}
    assert made == {"volume-onnxruntime-fp32"}
    assert Detector.load(run_copy / "artifacts/volume-onnxruntime-fp32", threads=1).runtime == "onnxruntime"
    pairs = ParityRecord.read(run_copy / "parity.json").pairs
    assert {(pair.a, pair.b) for pair in pairs if pair.model == "volume"} == {("torch", "onnxruntime-fp32")}
    kept = load_recipe(str(run_copy / "recipe.toml"))
    [(form, reason)] = kept.forms_left_out.items()
    assert form == "artifacts/volume-openvino-fp32" and reason in told and not kept.left_out
    stages = json.loads((run_copy / "stages.json").read_text())["stages"]
    assert "artifacts/small_cnn-openvino-fp32/manifest.json" in str(stages["export:small_cnn@32"]["files"])


def test_a_module_that_openvino_refuses_is_exported_for_the_other(tmp_path: Path) -> None:
    shutil.copy(Path(__file__).parent / "refused_parts.py", tmp_path)
    done = edgeproof("export", "refused_parts:Volume", "--size", 32, "--out", "a", cwd=tmp_path, root=True)
    assert done.returncode == 0 and "without OpenVINO's form" in done.stderr and "Det" in done.stderr
    assert read_manifest(tmp_path / "a").runtimes == ("onnxruntime",)
