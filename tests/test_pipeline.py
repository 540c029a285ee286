"""The whole job in a real process on tiny settings: what stands in the files, what is kept, what is redone."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from cli import edgeproof, one_line_error
from conftest import TINY
from PIL import Image

from deploy.artifact import verify
from deploy.runtime import Detector


def read(path: Path) -> dict:
    return json.loads(path.read_text())


def test_data_has_pairs_splits_and_a_passed_audit(finished_run: Path) -> None:
    summary, audit = read(finished_run / "data/summary.json"), read(finished_run / "data/audit.json")
    assert summary["splits"]["train"] == {
        "real": 48, "fake": 48, "unlabelled": 0, "classes": None, "groups": 48,
    }  # fmt: skip
    assert summary["held_out"] == ["bilinear"] and "identity" in summary["generators"]
    assert audit["passed"] and abs(audit["metadata_auc"] - 0.5) <= 0.05


def test_every_training_left_history_weights_and_no_resume_file(finished_run: Path) -> None:
    for seed in (0, 1):
        for arm in ("distilled", "alone"):
            folder = finished_run / f"students/small_cnn/seed{seed}/{arm}"
            history = read(folder / "history.json")
            assert history["schema_version"] == 1 and history["metric"] == "AUC"
            assert [entry["epoch"] for entry in history["epochs"]] == [1, 2]
            taught = {"soft_bce", "hint"} <= history["epochs"][0]["train_parts"].keys()
            assert taught == (arm == "distilled")
            assert not (folder / "resume.safetensors").exists()


def test_student_file_holds_the_student_alone(finished_run: Path) -> None:
    from safetensors import safe_open

    from students import build_student

    names = build_student("small_cnn", options={"blocks": 2, "convs_per_block": 1}).state_dict().keys()
    with safe_open(finished_run / "students/small_cnn/weights.safetensors", framework="np") as file:
        assert set(file.keys()) == set(names)


def test_parity_and_int8_proof(finished_run: Path) -> None:
    parity = read(finished_run / "parity.json")
    assert parity["passed"] and len(parity["pairs"]) == 6 and len(parity["int8"]) == 4
    assert all(pair["max_abs_probability"] <= 1e-3 for pair in parity["pairs"])
    assert all(row["int8_weight_share"] > 0.9 for row in parity["int8"])


def test_accuracy_names_every_model_once(finished_run: Path) -> None:
    accuracy = read(finished_run / "accuracy.json")
    artifacts = {
        f"{model}-{form}"
        for model in ("teacher", "small_cnn")
        for form in ("onnxruntime-fp32", "openvino-fp32", "onnxruntime-int8-ort", "openvino-int8-nncf")
    }
    assert set(accuracy["models"]) == {"teacher", "small_cnn", "small_cnn/alone"} | artifacts
    arms = accuracy["distillation"]["small_cnn"]["arms"]
    assert {arm["arm"]: len(arm["seeds"]) for arm in arms} == {"distilled": 2, "alone": 2}
    comparisons = accuracy["distillation"]["small_cnn"]["comparisons"]
    assert {found["difference"]["verdict"] for found in comparisons} == {"too few seeds"}
    for model in accuracy["models"].values():
        assert model["splits"]["test"]["n"] == 48 and 0 <= model["splits"]["test"]["auc"] <= 1


def test_fp32_artifacts_score_as_torch_does(finished_run: Path) -> None:
    models = read(finished_run / "accuracy.json")["models"]
    for runtime in ("onnxruntime", "openvino"):
        fp32 = models[f"small_cnn-{runtime}-fp32"]
        assert fp32["splits"]["test"]["auc"] == pytest.approx(
            models["small_cnn"]["splits"]["test"]["auc"], abs=1e-6
        )
        assert fp32["threshold"] == models["small_cnn"]["threshold"]


def test_bench_has_a_row_for_every_contestant(finished_run: Path) -> None:
    rows = read(finished_run / "bench.json")["rows"]
    seen = {(r["model"], r["runtime"], r["precision"], r["input_size"], r["scope"]) for r in rows}
    for model in ("teacher", "small_cnn"):
        for runtime, precisions in (
            ("torch", ("fp32",)),
            ("onnxruntime", ("fp32", "int8")),
            ("openvino", ("fp32", "bf16", "int8")),
        ):
            for precision in precisions:
                for size in (32, 48):
                    assert (model, runtime, precision, size, "model") in seen
                    if precision != "bf16":  # skipped where the CPU has none: one row says so
                        assert (model, runtime, precision, size, "end_to_end") in seen
    for size in (32, 48):  # ratios compare the same input size
        assert ("resnet18 (reference)", "torch", "fp32", size, "model") in seen
    assert all(row["status"] == "ok" or row["reason"] for row in rows)
    assert all(row["status"] != "failed" for row in rows)


def test_artifacts_are_whole_and_judge_any_photo(finished_run: Path, tmp_path: Path) -> None:
    photo = tmp_path / "holiday photo ü.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (50, 70, 3), dtype=np.uint8)).save(photo)
    for folder in sorted((finished_run / "artifacts").iterdir()):
        manifest = verify(folder)
        assert manifest.data == "simulated" and manifest.input.shape == (1, 32, 32, 3)
        prediction = Detector.load(folder, threads=1).predict(photo)
        assert 0.0 <= prediction.probability <= 1.0
        assert prediction.generated == (prediction.probability >= manifest.threshold)


def test_report_names_what_ran(finished_run: Path) -> None:
    markdown = (finished_run / "report.md").read_text()
    assert "imulated" in markdown and "small_cnn" in markdown and "test_efficientnet" in markdown
    html = (finished_run / "report.html").read_text()
    assert "data:image/png;base64" in html and 'src="http' not in html


def test_predict_prints_json_and_csv_and_goes_on_after_a_bad_photo(
    finished_run: Path, tmp_path: Path
) -> None:
    good, bad, table = tmp_path / "a.jpg", tmp_path / "b.jpg", tmp_path / "out.csv"
    Image.new("CMYK", (40, 30), (10, 20, 30, 40)).save(good)
    bad.write_bytes(good.read_bytes()[:100])
    artifact = finished_run / "artifacts/small_cnn-openvino-int8-nncf"
    result = edgeproof("predict", artifact, good, bad, "--json", "--csv", table)
    assert result.returncode == 2
    answers = json.loads(result.stdout)
    assert answers[0]["label"] in ("real", "generated") and answers[0]["error"] is None
    assert "cannot be decoded" in answers[1]["error"]
    assert table.read_text().count("\n") == 3


def test_resume_keeps_everything_that_is_whole(run_copy: Path) -> None:
    before = read(run_copy / "stages.json")["stages"]
    result = edgeproof("run", run_copy, "--resume", fresh=True)
    assert result.returncode == 0, result.stderr
    assert "done" in result.stderr and result.stderr.count("  done ") == 1  # the report, written anew
    after = read(run_copy / "stages.json")["stages"]
    assert {name: entry for name, entry in before.items() if name != "report"} == {
        n: e for n, e in after.items() if n != "report"
    }


def test_changed_recipe_redoes_what_depends_on_it(run_copy: Path) -> None:
    result = edgeproof("distill", run_copy, "--set", "distillation.label_weight=0.25")
    assert result.returncode == 0, result.stderr
    done = [line.split()[1] for line in result.stderr.splitlines() if line.startswith("  done")]
    # the two seeds run side by side, so either may end first
    assert set(done[:2]) == {"student:small_cnn:seed0:distilled", "student:small_cnn:seed1:distilled"}
    assert done[2:] == ["choose:small_cnn"]


def test_distill_tells_at_its_end_what_the_report_says(run_copy: Path) -> None:
    told = edgeproof("distill", run_copy, "--seeds", 2, "--json")
    assert told.returncode == 0 and "  done" not in told.stderr
    accuracy = read(run_copy / "accuracy.json")
    assert json.loads(told.stdout) == {
        "schema_version": 1, "simulated": True, "students": accuracy["distillation"],
    }  # fmt: skip
    text = edgeproof("distill", run_copy, "--seeds", 1, "--set", "students.small_cnn.seeds=[1]").stdout
    assert "distilled − alone" in text and "no claim, 1 seed where at least 3 are needed." in text
    assert "seeds = [\n    0,\n]" in (run_copy / "recipe.toml").read_text()


def test_no_seeds_are_one_clear_line(tmp_path: Path) -> None:
    for verb in ("distill", "run"):
        error = one_line_error(edgeproof(verb, TINY, "--out", tmp_path / "run", "--seeds", 0))
        assert error == "edgeproof: error: --seeds: given 0, expected at least 1"
        assert not (tmp_path / "run").exists()


def test_failed_accuracy_gate_exits_1_and_still_writes_the_report(run_copy: Path) -> None:
    (run_copy / "report.html").unlink()
    message = one_line_error(edgeproof("run", run_copy, "--resume", "--set", "gates.teacher_auc=1.0"), code=1)
    assert "accuracy gate failed" in message and "teacher AUC" in message
    assert "fail" in (run_copy / "report.md").read_text().lower()
    assert (run_copy / "report.html").is_file()


def test_a_run_is_not_overwritten_without_resume(run_copy: Path) -> None:
    assert "--resume" in one_line_error(edgeproof("run", TINY, "--out", run_copy))


@pytest.mark.parametrize(
    ("stage", "number"), [("data", signal.SIGINT), ("teacher", signal.SIGINT), ("teacher", signal.SIGTERM)]
)
def test_ctrl_c_stops_cleanly_and_resume_goes_on(
    stage: str, number: signal.Signals, tmp_path: Path, finished_run: Path
) -> None:
    out = tmp_path / "run"
    process = subprocess.Popen(
        [sys.executable, "-m", "distill", "teach", str(TINY), "--out", str(out)],
        stderr=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}, start_new_session=True,
    )  # fmt: skip
    log = out / "log.jsonl"
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not (
        log.is_file() and f'"start", "stage": "{stage}"' in log.read_text()
    ):
        time.sleep(0.02)
    time.sleep(0.2)
    if number == signal.SIGINT:
        os.killpg(process.pid, number)  # what a terminal does: to the whole group
    else:
        process.send_signal(number)  # what a scheduler does
    error = process.communicate(timeout=60)[1]
    assert process.returncode == 128 + number, error
    who = "Ctrl-C" if number == signal.SIGINT else "SIGTERM"
    assert f"stopped by {who}; what was finished" in error and "Traceback" not in error
    result = edgeproof("teach", TINY, "--out", out)
    assert result.returncode == 0, result.stderr
    name = "teacher/weights.safetensors"
    assert (out / name).read_bytes() == (finished_run / name).read_bytes()
