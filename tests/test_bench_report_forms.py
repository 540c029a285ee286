"""What the report tells of INT8's forms, and of why a slow one is slow."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from deploy_fixture import CALIBRATION, SPEC, THRESHOLD, Deployed, build_deployed

from bench.records.identity import Identity
from bench.report import cautions
from bench.report.entry import Entry
from bench.report.forms import cause, timed_forms
from deploy.artifact import write_artifact
from deploy.quantization_record import FormRecord
from distill.machine import processor

KEY = "tiny-onnxruntime-int8-ort"
FORMS = (
    FormRecord(form="plain", ratio=1.8, ratio_range=(1.7, 1.95), drift=0.021, bytes=52_000),
    FormRecord(form="float_first", ratio=0.61, ratio_range=(0.6, 0.63), drift=0.02, bytes=53_000, kept=True),
    FormRecord(form="expand", reason="the normalization has nothing to expand"),
)


@pytest.fixture(scope="session")
def deployed(tmp_path_factory) -> Deployed:
    return build_deployed(tmp_path_factory.getbasetemp())


@pytest.fixture
def run(deployed: Deployed, tmp_path: Path) -> Any:
    """What the report reads of a run with one INT8 artifact, timed on this machine."""
    write_artifact(
        tmp_path / "artifacts" / KEY, name="tiny", files={"model.onnx": deployed.folder / "int8.onnx"},
        preprocess=SPEC, threshold=THRESHOLD, calibration=CALIBRATION, precision="int8",
        quantizer=deployed.records["ort"].model_copy(update={"forms": FORMS}),
    )  # fmt: skip
    identity = Identity(
        key=KEY, name="tiny", role="student", arm="distilled", runtime="onnxruntime", precision="int8",
        quantizer="ort", parent="tiny",
    )  # fmt: skip
    bench = SimpleNamespace(machine=SimpleNamespace(cpu_model=processor().cpu_model))
    return SimpleNamespace(path=tmp_path, entries=(Entry(identity, None, several=False),), bench=bench)


def test_every_form_that_was_timed_is_in_the_table(run: Any) -> None:
    rows = timed_forms(run).rows
    assert [row[1:] for row in rows] == [
        ("plain", "1.80", "1.70 to 1.95", "0.021", "52 kB", "slower"),
        ("float_first", "0.61", "0.60 to 0.63", "0.020", "53 kB", "kept"),
        ("expand", "–", "–", "–", "–", "the normalization has nothing to expand"),
    ]
    assert {row[0] for row in rows} == {"tiny INT8 in ONNX Runtime"}


def test_a_run_whose_artifacts_are_gone_has_no_rows(run: Any, tmp_path: Path) -> None:
    run.path = tmp_path / "elsewhere"
    assert timed_forms(run).rows == () and cause(run, run.entries[0]) == ""


def test_the_cause_is_asked_where_it_was_timed(run: Any) -> None:
    [item] = run.entries
    assert "% of the time" in cause(run, item)
    run.bench.machine.cpu_model = "another"
    assert cause(run, item) == "", "a profile of this machine says nothing of that one"
    run.bench = None
    assert cause(run, item) == ""


def test_the_warning_of_a_slow_int8_names_the_cause(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def row(p50: float) -> Any:
        return SimpleNamespace(measured=True, p50_ms=p50, p90_ms=p50, min_ms=p50)

    run.timing, run.trained_size, run.row = lambda _: row(2.0), lambda _: 32, lambda **_: row(1.0)
    monkeypatch.setattr(cautions, "cause", lambda *_: "Sub is slow (70% of the time)")
    [said] = cautions._slow_int8(run)
    assert said.startswith("tiny INT8 in ONNX Runtime is slower here than its FP32: ")
    assert said.endswith("Ship FP32 instead. Its profile: Sub is slow (70% of the time).")
    monkeypatch.setattr(cautions, "cause", lambda *_: "")
    [said] = cautions._slow_int8(run)
    assert said.endswith("Ship FP32 instead.")
