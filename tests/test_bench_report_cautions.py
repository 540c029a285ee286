"""What the report cautions of beside its verdict, and what INT8 and distillation cost."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from report_fixture import (
    NNCF,
    ORT,
    STUDENT,
    Records,
    changed,
    timed,
)
from verdict_fixture import Judged

from bench.report.costs import costs
from bench.report.data import load_run
from bench.report.verdict import Verdict, judge


@pytest.fixture
def judged(tmp_path: Path) -> Callable[[Records], Verdict]:
    return lambda records: judge(load_run(records.write(tmp_path)))


def test_int8_slower_than_fp32_is_warned_of(judged: Judged, calm_records: Records) -> None:
    slower = lambda row: timed(row.p50_ms * 3)  # noqa: E731
    records = calm_records.with_rows(slower, model=STUDENT, runtime="onnxruntime", precision="int8")
    expected = "small_cnn INT8 in ONNX Runtime is slower here than its FP32: 0.339 against 0.176 ms."
    assert any(expected in caution for caution in judged(records).cautions)
    assert not any("slower" in caution for caution in judged(calm_records).cautions)


def test_a_cpu_without_int8_products_is_cautioned(judged: Judged, calm_records: Records) -> None:
    assert calm_records.bench
    machine = changed(calm_records.bench.machine, has_int8_dot=False)
    verdict = judged(replace(calm_records, bench=changed(calm_records.bench, machine=machine)))
    assert any("no INT8 dot product" in caution for caution in verdict.cautions)


def test_leaking_control_and_accepted_checks_are_cautioned(judged: Judged, calm_records: Records) -> None:
    assert calm_records.audit
    checks = list(calm_records.audit.checks)
    place = [check.name for check in checks].index("duplicates_across_splits")
    checks[0] = changed(checks[0], value=0.2, accepted=True)
    checks[place] = changed(checks[place], value=3, note="not shown to be a leak")
    records = replace(calm_records, audit=changed(calm_records.audit, checks=checks))
    records = records.with_split("teacher", "control", auc=0.61)
    records = records.with_check(ORT, "auc_drop", value=0.06, accepted=True)
    cautions = " ".join(judged(records).cautions)
    assert "teacher has AUC 0.610 on the identity control" in cautions
    assert "The audit check metadata failed (0.2, limit 0.05) and the recipe accepted it" in cautions
    assert "duplicates_across_splits" not in cautions, "beyond its limit, but nobody had to accept it"
    assert f"{ORT} AUC drop 0.060, limit 0.050 failed and the recipe accepted it" in cautions


def test_a_small_test_split_is_cautioned(judged: Judged, calm_records: Records) -> None:
    assert any("The test split has 24 real images" in caution for caution in judged(calm_records).cautions)
    records = calm_records.with_split(NNCF, "test", n_real=1000)
    assert not any("The test split has" in caution for caution in judged(records).cautions)


def test_costs_are_told_from_the_earlier_model_to_the_later(tmp_path: Path, calm_records: Records) -> None:
    table = costs(load_run(calm_records.write(tmp_path)))
    rows = {(row[0], row[1], row[2]): row[3:] for row in table.rows}
    assert len(rows) == 2 + 4 + 4
    distillation = rows["Distillation, against no teacher", "small_cnn, no teacher", "small_cnn FP32"]
    assert distillation[0] == "+0.017 [+0.011, +0.023]"
    int8 = rows["INT8", "small_cnn FP32 in OpenVINO", "small_cnn INT8 in OpenVINO"]
    assert calm_records.accuracy
    model = calm_records.accuracy.models[NNCF]
    drift = model.refit_threshold - model.threshold
    assert float(int8[2].replace("−", "-")) == pytest.approx(drift, abs=5e-4)
    assert "kB → " in int8[3]
