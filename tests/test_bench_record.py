"""The bench record: what it holds, and that nothing else passes for one."""

import json
import re

import pytest
from pydantic import ValidationError

from bench.records.latency import BenchRecord, Row
from bench.records.machine import Machine
from distill import machine
from distill.errors import EdgeproofError

IDENTITY = {"model": "small_cnn", "runtime": "openvino", "precision": "int8", "threads": 2, "input_size": 64}


def record():
    rows = (
        Row(
            **IDENTITY,
            quantizer="nncf",
            samples=100,
            min_ms=0.4,
            p50_ms=0.5,
            p90_ms=0.6,
            p99_ms=0.9,
            spread=0.3,
            speedup_vs_reference=916.0,
            speedup_ci=(60.0, 80.0),
            speedup_claimed=True,
            bytes=1000,
            metrics={"auc": 0.97},
        ),
        Row(**IDENTITY | {"precision": "bf16"}, status="skipped", reason="this CPU has no bf16 instructions"),
    )
    return BenchRecord(machine=Machine.here(steal_share=0.01), rows=rows)


def test_round_trip(tmp_path):
    path = tmp_path / "deep" / "bench.json"
    written = record()
    written.write(path)
    assert BenchRecord.read(path).model_dump(exclude={"schema_version"}) == written.model_dump(
        exclude={"schema_version"}
    )
    assert [file.name for file in path.parent.iterdir()] == ["bench.json"]


def test_file_has_the_documented_keys(tmp_path):
    record().write(tmp_path / "bench.json")
    value = json.loads((tmp_path / "bench.json").read_text())
    assert value["schema_version"] == BenchRecord.version
    assert value["reference_s"] == 0.458
    assert {"machine", "rows"} <= value.keys()
    documented = (
        "model runtime precision quantizer threads batch input_size scope reference "
        "samples min_ms p50_ms p90_ms p99_ms "
        "spread noisy speedup_vs_reference speedup_vs_resnet18_eager bytes params macs metrics "
        "status reason"
    )
    assert set(documented.split()) <= value["rows"][0].keys()


def test_the_machine_is_all_that_can_be_said_of_it():
    found = Machine.here(steal_share=0.01)
    assert found.model_dump(mode="json", exclude={"steal_share"}) == json.loads(
        json.dumps(machine.describe())
    )
    assert found.steal_share == 0.01 and Machine.here().steal_share is None


@pytest.mark.parametrize("found", [1, "2", None])
def test_another_schema_version_is_refused(tmp_path, found):
    path = tmp_path / "bench.json"
    path.write_text(json.dumps({"schema_version": found, "future": {}}))
    with pytest.raises(EdgeproofError, match=re.escape(f"schema_version is {found!r}, expected 3")):
        BenchRecord.read(path)


def damaged(**update):
    return json.dumps({**record().model_dump(mode="json"), "schema_version": BenchRecord.version, **update})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (lambda: "[1]", "found list, expected a JSON object"),
        (lambda: "{", "not valid JSON"),
        (lambda: damaged(rows=[IDENTITY | {"runtime": "tflite"}]), "rows.0.runtime"),
        (lambda: damaged(extra=1), "extra"),
        (lambda: damaged(machine={}), "machine.cpu_model"),
    ],
)
def test_a_damaged_record_is_one_clear_line(tmp_path, content, message):
    path = tmp_path / "bench.json"
    path.write_text(content())
    with pytest.raises(EdgeproofError, match=message) as caught:
        BenchRecord.read(path)
    assert str(caught.value).startswith(str(path)) and "\n" not in str(caught.value)


def test_a_missing_record_is_named(tmp_path):
    with pytest.raises(EdgeproofError, match=r"none\.json: cannot be read"):
        BenchRecord.read(tmp_path / "none.json")


def test_rows_take_no_nan():
    with pytest.raises(ValidationError):
        Row(**IDENTITY, p50_ms=float("nan"))


def test_a_row_without_a_time_is_not_measured():
    assert record().rows[0].measured and not record().rows[1].measured
    assert not Row(**IDENTITY).measured
