"""One function decides: what fails the run fails the verdict, and a model that guesses is never called good."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from cli import edgeproof, one_line_error
from report_fixture import NNCF, ORT, STUDENT, Records, changed, regated

from bench.advice import advice
from bench.degradations import degradation_gate
from bench.gate import TITLES
from bench.records.accuracy import AccuracyRecord
from bench.report.data import load_run
from bench.report.terminal import result_tables
from bench.report.verdict import Verdict, judge
from bench.report.write import write_report
from distill.data.audit.audit import ACCURACY_CHECKS
from distill.errors import EdgeproofError
from distill.evaluation.metrics import binary_metrics
from distill.evaluation.statistics import bootstrap_ci, bootstrap_mean, paired_bootstrap
from distill.recipe import GateSettings, load_recipe

Judged = Callable[[Records], Verdict]
FORMS = (STUDENT, "small_cnn-onnxruntime-fp32", "small_cnn-openvino-fp32", ORT, NNCF)


@pytest.fixture
def judged(tmp_path: Path) -> Judged:
    return lambda records: judge(load_run(records.write(tmp_path)))


def planted(records: Records, *, teacher: float, student: float, ci: float | None, groups: int) -> Records:
    """Teacher and every form of the student at these AUCs, with an interval ``ci`` to either side."""
    for key, auc in (("teacher", teacher), *((key, student) for key in FORMS)):
        interval = None if ci is None else (auc - ci, auc + ci)
        for split in ("test", "heldout"):
            records = records.with_split(key, split, auc=auc, auc_ci=interval, groups=groups)
    return records


def test_a_good_run_passes_by_the_defaults(judged: Judged, calm_records: Records) -> None:
    records = regated(calm_records)
    assert records.accuracy and records.accuracy.gate.passed
    assert judged(records).status == "passed"


def test_two_test_scenes_prove_nothing(judged: Judged, calm_records: Records) -> None:
    """A student at 0.632 and a teacher at 0.616 once got a green light: INT8 had lost nothing of it."""
    records = regated(planted(calm_records, teacher=0.616, student=0.632, ci=None, groups=2))
    assert records.accuracy and not records.accuracy.gate.passed
    verdict = judged(records)
    assert verdict.headline == (
        "FAILED on simulated data: the teacher cannot be told from guessing: 2 groups (scenes) give no interval, 5 or more "
        "would; do not ship this as it is"
    )
    assert "Test on more scenes" in dict(verdict.points)["What to do"]
    assert "Only 2 groups (scenes) stand behind the test split" in verdict.few[0]
    assert "no interval at all" in verdict.few[0]


def test_labels_drawn_by_lot_fail(judged: Judged, calm_records: Records) -> None:
    random = np.random.default_rng(0)
    labels, scores = random.integers(0, 2, 900), random.uniform(size=900)
    found = binary_metrics(labels, scores, threshold=0.5)
    assert found.auc_ci and found.auc_ci[0] < 0.5 < found.auc_ci[1] and found.groups == 900
    records = calm_records
    for key in ("teacher", *FORMS):
        records = records.with_split(key, "test", auc=found.auc, auc_ci=found.auc_ci, groups=900)
    records = regated(records)
    assert records.accuracy and not records.accuracy.gate.passed
    verdict = judged(records)
    assert verdict.status == "failed" and "the teacher cannot be told from guessing" in verdict.headline
    assert "check the labels" in dict(verdict.points)["What to do"]


def test_int8_that_gains_fails_like_one_that_loses(judged: Judged, calm_records: Records) -> None:
    records = calm_records.with_split(NNCF, "test", auc=0.99, auc_ci=(0.98, 1.0))
    for key in (STUDENT, "small_cnn-onnxruntime-fp32", "small_cnn-openvino-fp32", ORT):
        records = records.with_split(key, "test", auc=0.79, auc_ci=(0.76, 0.82))
    records = regated(records, teacher_gap=1.0)
    assert records.accuracy
    (failed,) = records.accuracy.gate.failed
    assert (failed.model, failed.measure) == (NNCF, "auc_drop") and failed.value == pytest.approx(-0.2)
    assert "a gain" in failed.found and "do not answer alike" in advice(failed)
    verdict = judged(records)
    assert verdict.status == "failed" and verdict.chosen and verdict.chosen.key == ORT


@pytest.mark.parametrize("split", ["test", "heldout"])
def test_a_student_far_below_its_teacher_fails(calm_records: Records, split: str) -> None:
    records = calm_records.with_split("teacher", split, auc=0.999, auc_ci=(0.99, 1.0))
    for key in FORMS:
        records = records.with_split(key, split, auc=0.8, auc_ci=(0.78, 0.82))
    records = regated(records)
    assert records.accuracy
    measure = "teacher_gap" if split == "test" else "heldout_teacher_gap"
    expected = {STUDENT, ORT, NNCF} if split == "test" else {ORT, NNCF}
    assert {(c.model, c.measure) for c in records.accuracy.gate.failed} == {
        (key, measure) for key in expected
    }
    assert records.accuracy.gate.failed[0].value == pytest.approx(0.199)


def test_int8_must_be_beyond_guessing_on_generators_never_seen(judged: Judged, calm_records: Records) -> None:
    records = regated(
        calm_records.with_split(NNCF, "heldout", auc=0.52, auc_ci=(0.49, 0.55)), teacher_gap=1.0
    )
    assert records.accuracy
    assert [(c.model, c.measure) for c in records.accuracy.gate.failed] == [(NNCF, "heldout_above_chance")]
    assert judged(records).status == "failed"


@pytest.mark.parametrize("auc", [0.5, 0.59, 0.61, 0.7, 0.95])
@pytest.mark.parametrize("groups", [2, 600])
def test_gate_and_verdict_never_disagree(
    judged: Judged, calm_records: Records, auc: float, groups: int
) -> None:
    ci = None if groups < 5 else 0.02
    records = regated(planted(calm_records, teacher=auc, student=auc, ci=ci, groups=groups))
    assert records.accuracy
    assert (judged(records).status == "failed") is (not records.accuracy.gate.passed)


def test_six_test_scenes_get_no_green_light_and_no_verdict_on_differences(
    tmp_path: Path, calm_records: Records
) -> None:
    records = calm_records
    for key in ("teacher", *FORMS):
        records = records.with_split(key, "test", groups=6)
    run = load_run(regated(records).write(tmp_path))
    verdict = judge(run)
    assert verdict.headline == (
        "INCOMPLETE on simulated data: no verdict yet, only 6 groups (scenes) to test on, where 20 are needed"
    )
    accuracy = dict(verdict.points)["Accuracy"]
    assert accuracy.endswith("No verdict on these differences: 6 groups (scenes), fewer than 20.")
    text = write_report(tmp_path).html.read_text()
    assert '<ul class="bad">' in text and "Only 6 groups (scenes) stand behind the test split" in text
    [table] = result_tables(tmp_path)
    caption = str(table.caption)  # type: ignore[union-attr]
    assert verdict.headline in caption and "6 groups (scenes) of the test split" in caption


def test_the_report_tells_how_many_groups_stand_behind_intervals(tmp_path: Path, finished_run: Path) -> None:
    record = AccuracyRecord.read(finished_run / "accuracy.json")
    assert record.models[STUDENT].splits["test"].groups == 24
    assert {found.groups for found in record.comparisons} == {24}
    assert record.models[STUDENT].generators["vae8"].groups == 24
    text = (finished_run / "report.md").read_text()
    assert "Intervals rest on 24 groups (scenes) of the test split and 12 groups (scenes)" in text


def test_below_five_groups_there_is_no_interval() -> None:
    labels, scores = [0, 1] * 10, np.linspace(0, 1, 20)
    for count in (2, 4, 5):
        groups = [i // 2 % count for i in range(20)]
        found = (
            bootstrap_ci(labels, scores, groups),
            bootstrap_mean(scores, groups),
            paired_bootstrap(labels, scores, scores**2, groups).ci,
        )
        assert all((interval is None) == (count < 5) for interval in found)
    assert paired_bootstrap(labels, scores, scores, [0] * 20).difference == 0.0


def test_the_worst_plausible_degradation_stands_in_the_verdict(judged: Judged, calm_records: Records) -> None:
    without = judged(calm_records.without("degradations"))
    assert "nothing is claimed" in dict(without.points)["Degraded images"]
    records = calm_records.with_cell(NNCF, "blur1", auc=0.7, auc_ci=(0.6, 0.8), balanced_accuracy=0.51)
    for name in ("jpeg50", "resize_half", "screenshot"):
        records = records.with_cell(NNCF, name, auc=0.9, balanced_accuracy=0.8)
    records = records.with_cell(NNCF, "blur3", auc=0.5)
    text = dict(judged(records).points)["Degraded images"]
    assert (
        "is Blur sigma 1: AUC 0.700 [0.600, 0.800], balanced accuracy at the frozen threshold 0.510 (0.5 is guessing"
        in text
    )
    assert "JPEG quality 50, Resize to 1/2, Blur sigma 1, Screenshot 4/5" in text


@pytest.mark.parametrize(
    ("limits", "failed"),
    [
        ({}, None),
        ({"degraded_auc": 0.6}, []),
        ({"degraded_auc": 0.8}, ["degraded_auc"]),
        ({"degraded_accuracy": 0.6}, ["degraded_accuracy"]),
    ],
)
def test_degraded_images_have_a_gate_of_their_own(
    judged: Judged, calm_records: Records, limits: dict[str, float], failed: list[str] | None
) -> None:
    records = calm_records
    for key in (ORT, NNCF):
        for name in ("jpeg50", "resize_half", "screenshot", "blur1"):
            records = records.with_cell(key, name, auc=0.9, balanced_accuracy=0.8)
    records = records.with_cell(NNCF, "blur1", auc=0.7, balanced_accuracy=0.51)
    assert records.degradations and records.recipe
    gate = degradation_gate(records.degradations.models, limits=GateSettings(**limits))
    assert (None if gate is None else [check.measure for check in gate.failed]) == failed
    recipe = changed(records.recipe, gates=changed(records.recipe.gates, **limits))
    verdict = judged(replace(records, recipe=recipe, degradations=changed(records.degradations, gate=gate)))
    assert ("Degraded images" in {gate.name for gate in verdict.gates}) is bool(limits)
    assert (verdict.status == "failed") is bool(failed)


def test_a_limit_on_degraded_images_needs_some() -> None:
    with pytest.raises(
        EdgeproofError, match=r"gates\.degraded_auc: given 0\.7 with degradations\.samples = 0"
    ):
        load_recipe("demo", overrides=["gates.degraded_auc=0.7", "degradations.samples=0"])


def test_every_check_can_be_accepted_by_its_name() -> None:
    assert all(title.endswith(ACCURACY_CHECKS) or title == "AUC" for title in TITLES.values())


def test_a_run_at_chance_exits_1_and_says_what_to_do(run_copy: Path) -> None:
    error = one_line_error(edgeproof("run", run_copy, "--resume", "--set", "gates.above_chance=0.45"), code=1)
    assert "accuracy gate failed" in error and "beyond guessing" in error and "check the labels" in error
    assert (
        (run_copy / "report.md")
        .read_text()
        .startswith("# FAILED on simulated data: the teacher cannot be told from guessing")
    )
