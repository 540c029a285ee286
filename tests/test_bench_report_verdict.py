"""What the report says of a run as a whole, scenario by scenario."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from report_fixture import (
    ALONE,
    LARGE,
    NNCF,
    ORT,
    STUDENT,
    Records,
    changed,
    distilled,
    regated,
    timed,
)
from verdict_fixture import Judged

from bench.report.cells import speedups
from bench.report.data import load_run
from bench.report.front import front_table
from bench.report.timing import timed as timed_rows
from bench.report.verdict import Verdict, judge
from bench.report.write import write_report


@pytest.fixture
def judged(tmp_path: Path) -> Callable[[Records], Verdict]:
    return lambda records: judge(load_run(records.write(tmp_path)))


def point(verdict: Verdict, label: str) -> str:
    return dict(verdict.points)[label]


def test_pass(judged: Judged, calm_records: Records) -> None:
    verdict = judged(calm_records)
    assert verdict.status == "passed"
    assert verdict.headline == (
        "PASSED on simulated data: small_cnn INT8 in OpenVINO is good enough by every gate of this run"
    )
    speed = point(verdict, "Speed")
    assert speed.startswith(
        "0.360 ms an image at 48×48, 96× [86, 106] the speed of eager ResNet18 there; at the size it was trained at, "
        "0.078 ms an image at 32×32, 96× [86, 106] the speed of eager ResNet18 there. File: "
    )
    assert speed.endswith("kB.") and "the teacher's" in speed
    accuracy = point(verdict, "Accuracy")
    assert accuracy.startswith(
        "AUC 0.930 [0.911, 0.947]; the teacher 0.952 [0.933, 0.969], so −0.022 in all. INT8 alone −0.001 [−0.007, +0.005], "
    )
    assert "; export alone 0.000 [−0.006, +0.006], " in accuracy and accuracy.endswith(" verdicts flipped.")
    assert point(verdict, "Unseen generators") == (
        "AUC 0.760 [0.741, 0.777] on generators it never saw, −0.170 against known ones."
    )
    assert all(gate.passed for gate in verdict.gates)


@pytest.mark.parametrize(
    ("outcome", "mean", "ci", "seeds_ci", "said"),
    [
        (
            "shown by both", 0.018, (0.013, 0.022), (0.011, 0.025),
            "gave +0.018 AUC [+0.013, +0.022] over scenes and seeds, [+0.011, +0.025] over seeds alone; both leave "
            "out zero.",
        ),
        (
            "shown by bootstrap over scenes and seeds only", 0.018, (0.013, 0.022), (-0.001, 0.037),
            "gave +0.018 AUC [+0.013, +0.022] over scenes and seeds, [−0.001, +0.037] over seeds alone; only the "
            "first leaves out zero.",
        ),
        (
            "not shown", 0.002, (-0.007, 0.011), (-0.004, 0.008),
            "gave +0.002 AUC [−0.007, +0.011] over scenes and seeds, [−0.004, +0.008] over seeds alone; both hold "
            "zero, so nothing is shown.",
        ),
        (
            "not shown", 0.002, (-0.007, 0.011), (0.001, 0.003),
            "gave +0.002 AUC [−0.007, +0.011] over scenes and seeds, [+0.001, +0.003] over seeds alone; the first "
            "holds zero, so nothing is shown.",
        ),
        (
            "harm shown", -0.02, (-0.03, -0.01), (-0.05, 0.01),
            "did harm: −0.020 AUC [−0.030, −0.010] over scenes and seeds, [−0.050, +0.010] over seeds alone; only "
            "the first leaves out zero.",
        ),
    ],
)  # fmt: skip
def test_distillation_is_told_as_it_came_out(
    judged: Judged, calm_records: Records, outcome: str, mean: float, ci: Any, seeds_ci: Any, said: str
) -> None:
    records = distilled(calm_records, verdict=outcome, mean=mean, ci=ci, seeds_ci=seeds_ci)
    text = point(judged(records), "Distillation")
    could = "This run could have shown 0.007 (0.009 over seeds alone)."
    assert text.startswith(f"small_cnn: Distillation {said} {could} On generators it never saw: AUC ")
    assert text.endswith(f", {outcome}.")


def test_too_few_seeds_make_no_claim(judged: Judged, calm_records: Records) -> None:
    records = distilled(calm_records, verdict="too few seeds", mean=0.017, ci=(0.009, 0.025), seeds=2)
    text = point(judged(records), "Distillation")
    assert text == "small_cnn: Distillation: no claim, 2 seeds where at least 3 are needed."


def test_too_few_scenes_give_no_verdict(judged: Judged, calm_records: Records) -> None:
    records = distilled(
        calm_records, verdict="too few groups", mean=0.1, ci=(0.09, 0.11), seeds_ci=(0.09, 0.11), groups=19
    )
    text = point(judged(records), "Distillation")
    assert text.startswith("small_cnn: Distillation: no verdict, 19 scenes where at least 20 are needed. On")


def test_failed_gate_comes_first(judged: Judged, calm_records: Records) -> None:
    records = calm_records
    for key in (ORT, NNCF):
        records = records.with_check(key, "auc_drop", value=0.034, passed=False)
    verdict = judged(records)
    assert verdict.status == "failed"
    assert verdict.headline.startswith("FAILED on simulated data: the accuracy gate failed; do not ship")
    assert verdict.points[0][0] == "Accuracy gate failed"
    assert f"{ORT} AUC drop 0.034, limit 0.050" in verdict.points[0][1]


def test_a_failed_artifact_is_not_chosen(judged: Judged, calm_records: Records) -> None:
    verdict = judged(calm_records.with_check(NNCF, "auc_drop", value=0.034, passed=False))
    assert verdict.status == "failed"
    assert verdict.chosen and verdict.chosen.key == ORT
    assert "small_cnn INT8 in ONNX Runtime passed its own checks" in verdict.headline


def test_a_failed_check_of_another_model_whose_name_begins_alike_spares_the_artifact(
    judged: Judged, calm_records: Records
) -> None:
    verdict = judged(calm_records.with_check(ALONE, "identity_auc", value=0.2, passed=False))
    assert verdict.chosen and verdict.chosen.key == NNCF
    assert "small_cnn INT8 in OpenVINO passed its own checks" in verdict.headline


def test_of_equals_the_faster_is_chosen_and_of_unequals_the_better(
    judged: Judged, calm_records: Records
) -> None:
    slow = calm_records.with_rows(
        lambda row: timed(30.0), model=STUDENT, runtime="openvino", precision="int8"
    )
    chosen = judged(slow).chosen
    assert chosen and chosen.key == ORT
    chosen = judged(slow.with_split(ORT, "valid", auc=0.9)).chosen
    assert chosen and chosen.key == NNCF


def test_a_failed_audit_fails(judged: Judged, calm_records: Records) -> None:
    assert calm_records.audit
    first, *others = calm_records.audit.checks
    audit = changed(calm_records.audit, passed=False, checks=[changed(first, passed=False), *others])
    verdict = judged(replace(calm_records, audit=audit))
    assert verdict.headline == (
        "FAILED on simulated data: the data audit gate failed; do not ship this as it is"
    )
    assert verdict.points[0][1].endswith("failed: metadata.")


def test_a_run_that_its_data_stopped_tells_cause_and_next_step_and_nothing_empty(
    tmp_path: Path, calm_records: Records
) -> None:
    assert calm_records.audit
    bad = changed(
        calm_records.audit.checks[0], passed=False, value=0.3, note="AUC of a classifier of format: 0.800",
        examples=(("real/1.jpg", "fake/1.png"),), advice="Save both classes in one way, then audit again.",
    )  # fmt: skip
    audit = changed(calm_records.audit, passed=False, checks=[bad, *calm_records.audit.checks[1:]])
    left = ("accuracy", "parity", "bench", "degradations", "cost")
    records = replace(calm_records.without(*left), audit=audit, histories={})
    verdict = judge(load_run(records.write(tmp_path)))
    assert verdict.headline == (
        "FAILED on simulated data: the data audit failed (metadata), so nothing was trained"
    )
    assert verdict.points == (
        ("What to do", "Save both classes in one way, then audit again."),
        ("metadata", "AUC of a classifier of format: 0.800. Such as real/1.jpg and fake/1.png."),
        (
            "To accept it",
            "--set 'gates.accept=[\"metadata\"]' lets these checks pass, and the report says so.",
        ),
    )
    assert [gate.name for gate in verdict.gates] == ["Data audit"]
    text = write_report(tmp_path).markdown.read_text()
    assert "Nothing was recorded" not in text and "not evaluated" not in text
    assert re.findall("<summary><b>(.*?)</b>", text)[:3] == [
        "Data", "Machine and time", "How to reproduce this",
    ]  # fmt: skip


def test_what_the_audit_did_not_check_is_not_called_passed(judged: Judged, calm_records: Records) -> None:
    assert calm_records.audit
    unasked = changed(calm_records.audit.checks[0], checked=False, note="there is one split")
    audit = changed(calm_records.audit, checks=[unasked, *calm_records.audit.checks[1:]])
    verdict = judged(replace(calm_records, audit=audit))
    assert verdict.gates[0].detail.endswith("; not checked: metadata")


def test_failed_parity_fails_and_names_the_pair(judged: Judged, calm_records: Records) -> None:
    assert calm_records.parity
    first, *others = calm_records.parity.pairs
    bad = changed(first, passed=False, max_abs_probability=0.02)
    verdict = judged(
        replace(calm_records, parity=changed(calm_records.parity, passed=False, pairs=[bad, *others]))
    )
    assert verdict.headline == "FAILED on simulated data: the parity gate failed; do not ship this as it is"
    assert verdict.points[0][1] == (
        "6 pairs, largest FP32 difference in probability 2.0e-02; "
        f"failed: {bad.model}: {bad.a} against {bad.b}."
    )


def test_parity_that_fails_without_a_pair_fails(judged: Judged, calm_records: Records) -> None:
    verdict = judged(replace(calm_records, parity=changed(calm_records.parity, passed=False)))
    assert "without naming a pair" in verdict.points[0][1]


def test_int8_that_is_none_fails(judged: Judged, calm_records: Records) -> None:
    assert calm_records.parity
    first, *others = calm_records.parity.int8
    fake = changed(first, passed=False, reason="0% of the weights are stored as INT8")
    parity = changed(calm_records.parity, passed=False, int8=[fake, *others])
    verdict = judged(replace(calm_records, parity=parity))
    assert [gate.name for gate in verdict.gates if gate.passed is False] == ["INT8 proof"]
    assert "the INT8 proof gate failed" in verdict.headline
    assert f"{fake.artifact} (0% of the weights are stored as INT8)" in verdict.points[0][1]


def test_guessing_is_not_good_enough(judged: Judged, calm_records: Records) -> None:
    records = calm_records
    for key in (ORT, NNCF):
        records = records.with_split(key, "test", auc=0.51, auc_ci=(0.49, 0.53))
    verdict = judged(regated(records))
    assert verdict.status == "failed"
    assert "cannot be told from guessing" in verdict.headline


@pytest.mark.parametrize("which", ["row", "reference", "bench"])
def test_noise_is_called_noise(judged: Judged, calm_records: Records, which: str) -> None:
    noise = lambda row: {"noisy": True}  # noqa: E731
    records = {
        "row": calm_records.with_rows(noise, model=STUDENT, runtime="openvino", precision="int8"),
        "reference": calm_records.with_rows(noise, reference=True),
        "bench": replace(calm_records, bench=changed(calm_records.bench, noisy=True)),
    }[which]
    assert "The machine was noisy while timing" in point(judged(records), "Speed")
    assert "noisy" not in point(judged(calm_records), "Speed")


def test_no_speedup_is_claimed_inside_the_spread(tmp_path: Path, calm_records: Records) -> None:
    wide = {
        "speedup_claimed": False,
        "speedup_ci": (0.7, 120.0),
        "p90_ms": 700.0,
        "speedup_vs_reference": 1272.0,
    }
    chosen = {"model": STUDENT, "precision": "int8", "runtime": "openvino", "input_size": LARGE}
    run = load_run(calm_records.with_rows(lambda row: wide, **chosen).write(tmp_path))
    text = point(judge(run), "Speed")
    assert "0.360 ms an image at 48×48, no speed-up over eager ResNet18 there outside the spread" in text
    assert "Not shown to beat the reported 0.458 s" in text
    row = run.row(model=STUDENT, runtime="openvino", precision="int8", quantizer="nncf", size=LARGE)
    assert row and speedups(row) == ("96× [0.7, 120], in spread", "in spread")
    few = row.model_copy(update={"speedup_ci": (80.0, 120.0)})
    assert speedups(few)[0] == "96× [80, 120], not claimed"


def test_slower_than_resnet18_is_said_as_a_ratio(tmp_path: Path, calm_records: Records) -> None:
    run = load_run(calm_records.write(tmp_path))
    row = run.row(model="teacher", runtime="torch", precision="fp32", size=LARGE)
    assert row and speedups(row)[0] == "0.6× [0.5, 0.6]"


def test_missing_bench_is_incomplete_and_claims_no_speed(judged: Judged, calm_records: Records) -> None:
    verdict = judged(calm_records.without("bench"))
    assert verdict.headline == "INCOMPLETE on simulated data: no verdict yet, latency was not measured"
    assert point(verdict, "Speed") == "not measured, so no speed-up is claimed."
    assert "AUC 0.9" in point(verdict, "Accuracy")


def test_without_the_reference_no_ratio_to_it_is_claimed(judged: Judged, calm_records: Records) -> None:
    lost = {"status": "failed", "reason": "out of memory", "p50_ms": None}
    verdict = judged(calm_records.with_rows(lambda row: lost, reference=True))
    assert "0.360 ms an image at 48×48, where ResNet18 was not timed" in point(verdict, "Speed")


def test_missing_everything(tmp_path: Path) -> None:
    verdict = judge(load_run(tmp_path))
    assert verdict.status == "incomplete"
    assert verdict.headline.startswith("INCOMPLETE: no verdict yet, data audit not run")
    assert all(gate.passed is None for gate in verdict.gates)
    assert point(verdict, "Distillation") == "not evaluated, so nothing is claimed."


def test_real_data_is_not_called_simulated(judged: Judged, calm_records: Records) -> None:
    assert calm_records.recipe
    data = changed(calm_records.recipe.data, path="photos", layout="class_folders", simulate=None)
    records = replace(
        calm_records.with_accuracy(simulated=False),
        summary=changed(calm_records.summary, simulated=False, layout="class_folders"),
        recipe=changed(calm_records.recipe, data=data),
    )
    verdict = judged(records)
    assert not any("simulated" in text for text in (*verdict.lines, *verdict.cautions))


def test_teacher_artifacts_stand_in_the_table_but_are_never_chosen(
    tmp_path: Path, calm_records: Records
) -> None:
    run = load_run(calm_records.with_split("teacher-openvino-int8-nncf", "valid", auc=0.99).write(tmp_path))
    chosen = judge(run).chosen
    assert chosen and chosen.key == NNCF
    assert ("teacher", "OpenVINO", "INT8") in {row[:3] for row in timed_rows(run, "model").rows}


def test_a_ratio_is_taken_to_the_reference_of_the_same_size_alone(
    judged: Judged, tmp_path: Path, calm_records: Records
) -> None:
    lost = {"status": "failed", "reason": "out of memory", "p50_ms": None}
    records = calm_records.with_rows(lambda row: lost, reference=True, input_size=LARGE)
    records = records.with_rows(lambda row: {"speedup_vs_resnet18_eager": None}, input_size=LARGE)
    speed = point(judged(records), "Speed")
    assert "at 48×48, where ResNet18 was not timed; " in speed
    assert "at 32×32, 96× [86, 106] the speed of eager ResNet18 there" in speed
    rows = front_table(load_run(tmp_path), None).rows
    assert {(row[3], row[0]) for row in rows if "ResNet18" in row[0]} == {("32×32", "ResNet18, reference")}


def test_the_reported_time_is_compared_at_its_own_size_alone(judged: Judged, calm_records: Records) -> None:
    assert "0.458 s" not in point(judged(calm_records), "Speed")
    assert calm_records.recipe
    bench = changed(calm_records.recipe.bench, like_for_like_size=224)
    records = replace(calm_records, recipe=changed(calm_records.recipe, bench=bench))
    records = records.with_rows(lambda row: {"input_size": 224}, input_size=LARGE)
    records = records.with_rows(
        lambda row: {"speedup_vs_reference": 1272.0}, model=STUDENT, precision="int8", input_size=224
    )
    assert "1,272× the speed of the reported 0.458 s (other hardware)." in point(judged(records), "Speed")


def test_the_next_step_of_what_passed_is_what_it_leaves_open(judged: Judged, calm_records: Records) -> None:
    step = point(judged(calm_records), "Next")
    assert "on your own photographs" in step and step.endswith(
        f"Copy artifacts/{NNCF} to the device, and run edgeproof selftest there."
    )
    noise = calm_records.with_rows(
        lambda row: {"noisy": True}, model=STUDENT, runtime="openvino", precision="int8"
    )
    assert "quiet machine" in point(judged(noise), "Next")


def test_only_the_chosen_student_is_spoken_of(judged: Judged, calm_records: Records) -> None:
    assert calm_records.accuracy
    [found] = calm_records.accuracy.distillation.values()
    both = calm_records.with_accuracy(distillation={STUDENT: found, "other": found})
    assert "other: " not in point(judged(both), "Distillation")
