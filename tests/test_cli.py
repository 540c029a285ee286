"""The command line as a stranger uses it: lists, checks, and one clear line for every mistake."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from cli import edgeproof, one_line_error
from conftest import TINY
from PIL import Image


def photos(folder: Path, *, count: int, seed: int) -> None:
    folder.mkdir(parents=True)
    random = np.random.default_rng(seed)
    for index in range(count):
        Image.fromarray(random.integers(0, 256, (24, 24, 3), dtype=np.uint8)).save(folder / f"{index}.png")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number, split in enumerate(("train", "test")):
        photos(tmp_path / "set" / split / "REAL", count=12, seed=2 * number)
        photos(tmp_path / "set" / split / "FAKE", count=12, seed=2 * number + 1)
    return tmp_path / "set"


def test_list_shows_the_tables_that_the_code_uses() -> None:
    from deploy.quantizers import QUANTIZERS
    from distill.data.layouts import LAYOUTS
    from distill.methods import METHODS
    from distill.networks import LIBRARIES
    from distill.recipe import shipped_recipes
    from students import STUDENTS

    found = json.loads(edgeproof("list", "--json").stdout)
    for name, table in (("students", [*STUDENTS, *LIBRARIES]), ("methods", METHODS), ("layouts", LAYOUTS),
                        ("quantizers", QUANTIZERS), ("recipes", shipped_recipes())):  # fmt: skip
        assert found[name] == sorted(table)


def test_doctor_finds_this_installation_sound() -> None:
    result = edgeproof("doctor", "--json", fresh=True)
    findings = {finding["name"]: finding for finding in json.loads(result.stdout)}
    assert result.returncode == 0
    assert findings["packages"]["status"] == "ok" and findings["torch pair"]["status"] == "ok"
    assert "self-test ok" in findings["runtimes"]["found"]
    assert all(finding["advice"] for finding in findings.values() if finding["status"] != "ok")


def test_inspect_counts_and_names_what_is_left_out(folder: Path) -> None:
    (folder / "train/REAL/empty.png").touch()
    found = json.loads(edgeproof("data", "inspect", folder, "--json").stdout)
    assert found["layout"] == "class_folders" and found["samples"] == 48
    assert found["splits"] == {"train": {"real": 12, "fake": 12}, "test": {"real": 12, "fake": 12}}
    assert [item["path"] for item in found["skipped"]] == ["train/REAL/empty.png"]
    assert "empty" in found["skipped"][0]["reason"]


def test_audit_passes_clean_folders_and_fails_a_duplicate(folder: Path) -> None:
    assert edgeproof("data", "audit", folder).returncode == 0
    shutil.copy(folder / "train/REAL/0.png", folder / "test/FAKE/copy.png")
    result = edgeproof("data", "audit", folder, "--json")
    checks = {check["name"]: check for check in json.loads(result.stdout)["checks"]}
    assert result.returncode == 1
    assert checks["duplicates_across_splits"]["value"] == checks["duplicates_across_classes"]["value"] == 1


def test_simulate_writes_pictures_and_says_how_many(tmp_path: Path) -> None:
    settings = "data.simulate.scenes={train=2, valid=0, test=0, heldout=0, control=1}"
    result = edgeproof("data", "simulate", tmp_path / "set", "--recipe", TINY, "--set", settings)
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("6 images")
    assert len(list((tmp_path / "set/train").rglob("*.jpg"))) == 4


def mistake(*arguments: object, **options: object) -> str:
    return one_line_error(edgeproof(*arguments, **options))  # type: ignore[arg-type]


def test_mistakes_in_a_recipe_are_named_with_value_and_choices(tmp_path: Path) -> None:
    assert "no such recipe" in mistake("run", tmp_path / "none.toml")
    assert "choose one of: attribution, cifake, compare-methods, demo, distill-128" in mistake("run", "dmeo")
    assert "did you mean 'epochs'" in mistake("run", "demo", "--set", "teacher.epoch=3")
    assert "choose one of: embed, mobilenet_v2, rep_cnn, resnet18, small_cnn, spectrum" in mistake(
        "run", "demo", "--set", "students.rep_cnn.name=big_cnn"
    )
    assert "soft_bce or logit_mse" in mistake("run", "demo", "--set", 'distillation.methods=[{name="kl"}]')
    assert "training.precision: given 'fp16' where training runs on a CPU" in mistake(
        "run", "demo", "--set", "training.precision=fp16", "--set", "training.accelerator=cpu"
    )
    assert "quantization.nncf: unknown quantizer 'tflite'; choose one of: inc, nncf, ort" in mistake(
        "run", "demo", "--set", "quantization.nncf.tool=tflite"
    )
    assert "KEY=VALUE" in mistake("run", "demo", "--set", "nonsense")
    assert "data.path" in mistake("run", "cifake")
    (tmp_path / "bad.toml").write_text("name = \n")
    assert "not a valid TOML file" in mistake("run", tmp_path / "bad.toml")


def test_bad_data_folders_are_named(tmp_path: Path, folder: Path) -> None:
    def run(path: Path, *more: str) -> str:
        return mistake("teach", "cifake", "--out", tmp_path / "run", "--set", f"data.path={path}", *more)

    assert "no such file or folder" in run(tmp_path / "missing")
    assert not (tmp_path / "run").exists(), "found out before a run folder was made"
    (tmp_path / "nothing").mkdir()
    assert "expected class folders" in run(tmp_path / "nothing", "--set", "data.layout=auto")
    shutil.rmtree(folder / "train/FAKE")
    shutil.rmtree(folder / "test/FAKE")
    assert "'fake' is empty" in run(folder)


def test_too_many_bad_images_stop_a_run_and_few_are_listed(tmp_path: Path, folder: Path) -> None:
    for index in range(6):
        (folder / f"train/REAL/{index}.png").write_bytes(b"no image")
    arguments = ("teach", "cifake", "--out", tmp_path / "run", "--set", f"data.path={folder}", "--set", "teacher.epochs=1",
                 "--set", "gates.metadata_auc=0.5", "--set", "teacher.batch_size=8")  # fmt: skip
    assert "6 of 48 files are bad" in mistake(*arguments)
    result = edgeproof(*arguments, "--set", "data.max_bad_share=0.5", "--set", "data.valid_share=0.3")
    assert result.returncode == 0, result.stderr
    assert len(json.loads((tmp_path / "run/data/summary.json").read_text())["skipped"]) == 6


def test_a_leak_stops_the_run_with_exit_code_1_unless_accepted(tmp_path: Path, folder: Path) -> None:
    for path in (folder / "train/FAKE").glob("*.png"):
        Image.open(path).save(path.with_suffix(".jpg"))
        path.unlink()
    for path in (folder / "test/FAKE").glob("*.png"):
        Image.open(path).save(path.with_suffix(".jpg"))
        path.unlink()
    arguments = ("teach", "cifake", "--out", tmp_path / "run", "--set", f"data.path={folder}",
                 "--set", "data.valid_share=0.3", "--set", "teacher.epochs=1", "--set", "teacher.batch_size=8")  # fmt: skip
    failed = re.findall(r"(\w+) = ", one_line_error(edgeproof(*arguments), code=1))
    assert {"metadata", "file_bytes", "flip_png"} <= set(failed)
    assert edgeproof(*arguments, "--set", f"gates.accept={failed}").returncode == 0


def test_predict_names_what_is_wrong_with_an_artifact(finished_run: Path, tmp_path: Path) -> None:
    Image.new("RGB", (30, 30)).save(tmp_path / "photo.png")
    assert "manifest.json" in mistake("predict", tmp_path, tmp_path / "photo.png")
    artifact = Path(
        shutil.copytree(finished_run / "artifacts/small_cnn-onnxruntime-int8-ort", tmp_path / "artifact")
    )
    assert "openvino" in mistake("predict", artifact, tmp_path / "photo.png", "--runtime", "openvino")
    data = bytearray((artifact / "model.onnx").read_bytes())
    data[len(data) // 2] ^= 1
    (artifact / "model.onnx").write_bytes(data)
    message = mistake("predict", artifact, tmp_path / "photo.png")
    assert "model.onnx" in message and "sha256" in message


def test_usage_errors_exit_with_2() -> None:
    assert edgeproof("frobnicate").returncode == 2
    assert edgeproof("run").returncode == 2
    assert "unknown list" in mistake("list", "unicorns")
