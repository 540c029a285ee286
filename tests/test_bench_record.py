import json

import pytest
from pydantic import ValidationError

from bench.record import BenchRecord, Row, read_record, write_record
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
            speedup_range=(60.0, 80.0),
            speedup_claimed=True,
            bytes=1000,
            metrics={"auc": 0.97},
        ),
        Row(**IDENTITY | {"precision": "bf16"}, status="skipped", reason="this CPU has no bf16 instructions"),
    )
    return BenchRecord(machine={"cpu_model": "x", "steal_share": 0.0}, rows=rows)


def test_round_trip(tmp_path):
    path = tmp_path / "deep" / "bench.json"
    write_record(path, record())
    assert read_record(path).model_dump(exclude={"created"}) == record().model_dump(exclude={"created"})
    assert [file.name for file in path.parent.iterdir()] == ["bench.json"]


def test_file_has_the_documented_keys(tmp_path):
    write_record(tmp_path / "bench.json", record())
    value = json.loads((tmp_path / "bench.json").read_text())
    assert value["schema_version"] == 1
    assert value["reference_s"] == 0.458
    assert {"machine", "rows"} <= value.keys()
    documented = (
        "model runtime precision quantizer threads batch input_size scope "
        "samples min_ms p50_ms p90_ms p99_ms "
        "spread noisy speedup_vs_reference speedup_vs_resnet18_eager bytes params macs metrics "
        "status reason"
    )
    assert set(documented.split()) <= value["rows"][0].keys()


@pytest.mark.parametrize(("found", "shown"), [(2, "2"), ("1", "'1'"), (None, "None")])
def test_another_schema_version_is_refused(tmp_path, found, shown):
    path = tmp_path / "bench.json"
    path.write_text(json.dumps({"schema_version": found, "future": {}}))
    with pytest.raises(
        EdgeproofError, match=f"bench.json: schema_version is {shown}, this edgeproof reads 1"
    ):
        read_record(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[1]", "schema_version is None"),
        ("{", "expected JSON"),
        (
            json.dumps({"schema_version": 1, "machine": {}, "rows": [IDENTITY | {"runtime": "tflite"}]}),
            "rows.0.runtime",
        ),
        (json.dumps({"schema_version": 1, "machine": {}, "rows": [], "extra": 1}), "extra"),
        (json.dumps({"schema_version": 1, "rows": []}), "machine: Field required"),
    ],
)
def test_a_damaged_record_is_one_clear_line(tmp_path, content, message):
    path = tmp_path / "bench.json"
    path.write_text(content)
    with pytest.raises(EdgeproofError, match=message) as caught:
        read_record(path)
    assert str(caught.value).startswith(str(path)) and "\n" not in str(caught.value)


def test_a_missing_record_is_named(tmp_path):
    with pytest.raises(EdgeproofError, match=r"none\.json: cannot read the bench record"):
        read_record(tmp_path / "none.json")


def test_rows_take_no_nan():
    with pytest.raises(ValidationError):
        Row(**IDENTITY, p50_ms=float("nan"))
