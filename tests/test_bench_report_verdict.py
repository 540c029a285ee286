from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import report_fixture as fixture

from bench.report.data import load_run
from bench.report.tables import costs, headline, like_for_like, speedups
from bench.report.verdict import Verdict, judge

Files = dict[str, Any]


@pytest.fixture
def judged(tmp_path: Path) -> Callable[[Files], Verdict]:
    return lambda files: judge(load_run(fixture.write(tmp_path, files)))


def rows(files: Files, **wanted: Any) -> list[dict[str, Any]]:
    return [r for r in files["bench.json"]["rows"] if all(r[k] == v for k, v in wanted.items())]


def point(verdict: Verdict, label: str) -> str:
    return dict(verdict.points)[label]


def test_pass(judged: Callable[[Files], Verdict]) -> None:
    verdict = judged(fixture.contents())
    assert verdict.status == "passed"
    assert verdict.headline == (
        "PASSED on simulated data: small_cnn INT8 in OpenVINO is good enough by every gate of this run"
    )
    assert point(verdict, "Speed") == (
        "0.360 ms per image at 224×224: 96× the speed of ResNet18 timed here, 1,272× the speed of the "
        "reported 0.458 s (other hardware). 0.078 ms at 64×64, the size it was trained at. "
        "File: 114 kB, the teacher's 1.5 MB."
    )
    assert (
        "the teacher 0.952 [0.933, 0.969], so −0.022 in all, of which INT8 −0.001 [−0.007, +0.005]"
        in point(verdict, "Accuracy")
    )
    assert "On generators it never saw: AUC 0.760" in point(verdict, "Accuracy")


def test_distillation_null_result_is_reported_as_one(judged: Callable[[Files], Verdict]) -> None:
    text = point(judged(fixture.contents()), "Distillation")
    assert "small_cnn better (AUC +0.017 [+0.009, +0.025] over 3 seeds)" in text
    assert "mobilenet_v2 no difference shown (AUC +0.002 [−0.007, +0.011] over 3 seeds)" in text


def test_too_few_seeds_make_no_claim_whatever_the_file_says(judged: Callable[[Files], Verdict]) -> None:
    files = fixture.contents()
    for entry in files["accuracy.json"]["distillation"].values():
        entry["seeds"] = entry["seeds"][:2]
    text = point(judged(files), "Distillation")
    assert "small_cnn no claim, 2 seeds where at least 3 are needed" in text
    assert "better" not in text


def fail(files: Files, name: str, value: float) -> None:
    gate = files["accuracy.json"]["gate"]
    gate["passed"] = False
    for check in gate["checks"]:
        if check["name"] == name:
            check.update(value=value, passed=False)


def test_failed_gate_comes_first(judged: Callable[[Files], Verdict]) -> None:
    files = fixture.contents()
    for name in fixture.STUDENTS:
        for runtime in ("onnxruntime", "openvino"):
            fail(files, f"{name}-{runtime}-int8 AUC drop", 0.034)
    verdict = judged(files)
    assert verdict.status == "failed"
    assert verdict.headline.startswith("FAILED on simulated data: the accuracy gate failed; do not ship")
    assert verdict.points[0][0] == "Accuracy gate failed"
    assert "small_cnn-onnxruntime-int8 AUC drop 0.034, limit 0.020" in verdict.points[0][1]


def test_a_failed_artifact_is_not_chosen(judged: Callable[[Files], Verdict]) -> None:
    files = fixture.contents()
    fail(files, "small_cnn-openvino-int8 AUC drop", 0.034)
    verdict = judged(files)
    assert verdict.status == "failed"
    assert verdict.chosen and verdict.chosen.key == "small_cnn-onnxruntime-int8"
    assert "small_cnn INT8 in ONNX Runtime passed its own checks" in verdict.headline


@pytest.mark.parametrize(
    ("file", "change", "gate"),
    [
        ("data/audit.json", {"passed": False}, "data audit"),
        ("parity.json", {"passed": False}, "parity"),
    ],
)
def test_other_gates_fail_too(
    judged: Callable[[Files], Verdict], file: str, change: dict[str, Any], gate: str
) -> None:
    files = fixture.contents()
    files[file].update(change)
    assert judged(files).headline == (
        f"FAILED on simulated data: the {gate} gate failed; do not ship this as it is"
    )


def test_int8_that_is_none_fails(judged: Callable[[Files], Verdict]) -> None:
    files = fixture.contents()
    files["parity.json"]["passed"] = False
    files["parity.json"]["int8"][0].update(passed=False, reason="0% of the weights are stored as INT8")
    verdict = judged(files)
    assert [g.name for g in verdict.gates if g.passed is False] == ["INT8 proof"]
    assert "the INT8 proof gate failed" in verdict.headline


def test_guessing_is_not_good_enough(judged: Callable[[Files], Verdict]) -> None:
    files = fixture.contents()
    for model in files["accuracy.json"]["models"].values():
        model["splits"]["test"] = fixture.metrics(0.51)
    verdict = judged(files)
    assert verdict.status == "failed"
    assert "cannot be told from guessing" in verdict.headline


def test_noise_is_called_noise(judged: Callable[[Files], Verdict]) -> None:
    files = fixture.contents()
    for row in files["bench.json"]["rows"]:
        row["noisy"] = True
    verdict = judged(files)
    assert "The machine was noisy while timing" in point(verdict, "Speed")


def test_no_speedup_is_claimed_inside_the_spread(tmp_path: Path) -> None:
    files = fixture.contents()
    for row in rows(files, model="small_cnn", precision="int8", runtime="openvino", input_size=224):
        row.update(speedup_claimed=False, speedup_range=[0.7, 120.0], p90_ms=700.0)
    run = load_run(fixture.write(tmp_path, files))
    text = point(judge(run), "Speed")
    assert "no speed-up over ResNet18 timed here outside the spread" in text
    assert "not shown to beat the reported 0.458 s" in text
    row = run.row(model="small_cnn", runtime="openvino", precision="int8", size=224)
    assert speedups(run, row) == ("in spread", "in spread")


def test_old_records_without_the_claim_are_judged_by_their_ranges(tmp_path: Path) -> None:
    files = fixture.contents()
    for row in files["bench.json"]["rows"]:
        del row["speedup_claimed"], row["speedup_range"]
    run = load_run(fixture.write(tmp_path, files))
    assert (
        speedups(run, run.row(model="small_cnn", runtime="openvino", precision="int8", size=224))[1] == "96×"
    )
    near = {**run.reference_row, "p50_ms": 33.0, "speedup_vs_resnet18_eager": 1.05}
    assert speedups(run, near)[1] == "in spread"


def test_missing_bench_is_incomplete_and_claims_no_speed(judged: Callable[[Files], Verdict]) -> None:
    files = fixture.contents()
    del files["bench.json"]
    verdict = judged(files)
    assert verdict.headline == "INCOMPLETE on simulated data: no verdict yet, latency was not measured"
    assert point(verdict, "Speed") == "not measured, so no speed-up is claimed."
    assert "AUC 0.9" in point(verdict, "Accuracy")


def test_missing_everything(tmp_path: Path) -> None:
    verdict = judge(load_run(tmp_path))
    assert verdict.status == "incomplete"
    assert verdict.headline.startswith("INCOMPLETE: no verdict yet, data audit not run")
    assert all(gate.passed is None for gate in verdict.gates)
    assert point(verdict, "Distillation") == "not evaluated, so nothing is claimed."


def test_real_data_is_not_called_simulated(judged: Callable[[Files], Verdict]) -> None:
    files = fixture.contents()
    files["accuracy.json"]["simulated"] = files["data/summary.json"]["simulated"] = False
    files["data/summary.json"]["layout"] = files["recipe.json"]["data"]["layout"] = "class_folders"
    verdict = judged(files)
    assert not any("simulated" in text for text in (*verdict.lines, *verdict.cautions))


def test_int8_slower_than_fp32_is_warned_of(judged: Callable[[Files], Verdict]) -> None:
    files = fixture.contents()
    slow = fixture.row("mobilenet_v2", "openvino", "int8", p50=3.0, size=64)
    for row in rows(
        files, model="mobilenet_v2", precision="int8", runtime="openvino", input_size=64, scope="model"
    ):
        row.update(slow)
    assert any(
        "mobilenet_v2 INT8 in OpenVINO is slower here than its FP32" in c for c in judged(files).cautions
    )


def test_leaking_control_and_accepted_checks_are_cautioned(judged: Callable[[Files], Verdict]) -> None:
    files = fixture.contents()
    files["accuracy.json"]["models"]["teacher"]["splits"]["control"]["auc"] = 0.61
    files["data/audit.json"]["checks"][0].update(value=0.2, accepted=True)
    files["data/audit.json"]["checks"][1].update(value=3, note="not shown to be a leak")
    files["accuracy.json"]["gate"]["checks"][0]["accepted"] = True
    cautions = " ".join(judged(files).cautions)
    assert "teacher has AUC 0.610 on the identity control" in cautions
    assert "The audit check metadata failed (0.2, limit 0.05) and the recipe accepted it" in cautions
    assert "duplicates_across_splits" not in cautions, "beyond its limit, but nobody had to accept it"
    assert (
        "small_cnn-onnxruntime-int8 AUC drop 0.002, limit 0.020 failed and the recipe accepted it" in cautions
    )


def test_cost_is_later_minus_earlier_whichever_way_the_file_has_it(tmp_path: Path) -> None:
    files = fixture.contents()
    entry = next(c for c in files["accuracy.json"]["comparisons"] if c["what"] == "distillation")
    entry.update(a=entry["b"], b=entry["a"], auc_difference=-0.017, ci=[-0.023, -0.011])
    table = costs(load_run(fixture.write(tmp_path, files)))
    row = next(r for r in table.rows if r[0].startswith("Distillation"))
    assert row[1:4] == ("small_cnn, no distillation", "small_cnn FP32", "+0.017 [+0.011, +0.023]")


def test_teacher_artifacts_stand_in_the_table_but_are_never_chosen(tmp_path: Path) -> None:
    files = fixture.contents()
    models = files["accuracy.json"]["models"]
    teacher = {**models["teacher"], "kind": "artifact", "runtime": "openvino", "precision": "int8"}
    models["teacher-openvino-int8"] = teacher
    run = load_run(fixture.write(tmp_path, files))
    assert judge(run).chosen.key == "small_cnn-openvino-int8"
    table = headline(run, chosen=None)
    assert ("teacher", "OpenVINO", "INT8") in {row[:3] for row in table.rows}


def test_a_reference_of_another_size_is_not_called_like_for_like(tmp_path: Path) -> None:
    files = fixture.contents()
    files["recipe.json"]["bench"]["like_for_like_size"] = 64
    run = load_run(fixture.write(tmp_path, files))
    assert like_for_like(run).title == "Every network at 64×64"
    assert "442× the speed of ResNet18 timed here at 224×224" in point(judge(run), "Speed")
