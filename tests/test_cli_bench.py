"""``edgeproof bench ARTIFACT...`` as a user runs it."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from cli import edgeproof, one_line_error
from deploy_fixture import Deployed, build_deployed

from bench.contestants.selection import Selection, find_artifacts, select
from bench.records.latency import BenchRecord
from deploy import Detector
from distill.errors import EdgeproofError


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Deployed:
    return build_deployed(tmp_path_factory.mktemp("bench"))


@pytest.fixture(scope="module")
def benched(deployed: Deployed, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One bench, which every test reads; the time limit is far away."""
    out = tmp_path_factory.mktemp("benched") / "out"
    result = edgeproof(
        "bench", deployed.folder / "int8", deployed.folder / "none",
        "--threads", "1,1000", "--batch", "1,3", "--seconds", "25", "--out", out,
    )  # fmt: skip
    assert "is no artifact, expected a folder with manifest.json" in result.stderr
    assert "1 of what was asked for could not be timed" in one_line_error(result)
    assert "32²" in result.stdout
    return out


def test_it_writes_a_record_with_a_reference_for_every_setting(benched: Path) -> None:
    record = BenchRecord.read(benched / "bench.json")
    rows = {
        (row.model, row.runtime, row.precision, row.batch, row.scope): row
        for row in record.rows
        if row.threads == 1
    }
    assert record.isolated and record.waiting["onnxruntime"].startswith("actively within a call")
    for batch, scopes in ((1, ("model", "end_to_end")), (3, ("model",))):
        for scope in scopes:
            assert rows["resnet18 (reference)", "torch", "fp32", batch, scope].reference
            for runtime in ("onnxruntime", "openvino"):
                row = rows["tiny", runtime, "int8", batch, scope]
                assert (row.status, row.reason) == ("ok", None)
                assert row.speedup_vs_resnet18_eager and row.speedup_vs_reference is None
    too_many = [row for row in record.rows if row.threads == 1000]
    assert too_many and {row.status for row in too_many} == {"skipped"}
    assert {file.name for file in benched.iterdir()} == {"bench.json", "bench.csv", "bench.xml"}


def test_the_gate_fails_with_the_rows_that_are_slower(
    benched: Path, deployed: Deployed, tmp_path: Path
) -> None:
    value = json.loads((benched / "bench.json").read_text())
    for row in value["rows"]:  # OpenVINO was a thousand times faster, everything else as much slower
        factor = 1e-3 if row["runtime"] == "openvino" else 1e3
        for name in ("min_ms", "p50_ms"):
            row[name] = row[name] and row[name] * factor
        row["p50_ci_ms"] = row["p50_ms"] and [row["p50_ms"] * 0.9, row["p50_ms"] * 1.1]
    baseline = tmp_path / "quick.json"
    baseline.write_text(json.dumps(value))
    common = ("bench", deployed.folder / "int8", "--threads", "1", "--seconds", "25", "--baseline", baseline)
    result = edgeproof(*common, "--out", tmp_path / "out")
    error = one_line_error(result, code=1)
    assert "slower than" in error and "tiny openvino int8" in error and "tiny onnxruntime" not in error
    assert '<failure type="regression"' in (tmp_path / "out" / "bench.xml").read_text()
    passed = edgeproof(*common, "--runtime", "onnxruntime", "--max-regression", "100000%", "--json")
    assert passed.returncode == 0, passed.stderr
    assert json.loads(passed.stdout)["rows"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--threads", "two"), "--threads two: expected whole numbers from 1"),
        (("--batch", "0"), "--batch 0: expected whole numbers from 1"),
        (("--runtime", "tflite"), "unknown runtime 'tflite'; choose one of: onnxruntime, openvino"),
        (("--precision", "int4"), "unknown precision 'int4'"),
        (("--rules", "iso"), "unknown rules 'iso'; choose one of: edgeproof, mlperf"),
        (("--rules", "mlperf", "--seconds", "9"), "--seconds: does not go with --rules mlperf"),
        (("--max-regression", "5%"), "--max-regression: goes with --baseline"),
        (("--set", "a=1"), "--set: is for recipes and run folders"),
        (("--precision", "bf16", "--runtime", "onnxruntime"), "none of the artifacts has such a row"),
    ],
)
def test_bad_input_is_one_line(deployed: Deployed, options: tuple[str, ...], message: str) -> None:
    assert message in one_line_error(edgeproof("bench", deployed.folder / "fp32", *options))


def test_a_baseline_of_an_old_schema_is_one_line(deployed: Deployed, tmp_path: Path) -> None:
    old = tmp_path / "old.json"
    old.write_text('{"schema_version": 2, "rows": []}')
    result = edgeproof("bench", deployed.folder / "fp32", "--baseline", old)
    assert f"{old}: schema_version is 2, expected 3" in one_line_error(result)


def test_options_of_artifacts_are_refused_for_a_recipe() -> None:
    assert "--batch: is for artifacts, and demo is none" in one_line_error(
        edgeproof("bench", "demo", "--batch", "8")
    )


def test_several_names_of_which_none_is_an_artifact_are_all_named() -> None:
    result = edgeproof("bench", "none", "neither")
    assert result.returncode == 2 and "Traceback" not in result.stderr
    assert "none: is no artifact" in result.stderr and "neither: is no artifact" in result.stderr


def test_shipped_artifacts_are_found_by_name_in_every_runtime() -> None:
    found, problems = find_artifacts(["simulated-64"])
    assert [one.name for one in found] == ["simulated-64"] * 2 and problems == []
    assert {one.folder.name for one in found} == {"onnxruntime", "openvino"}


def test_artifacts_that_say_the_same_of_themselves_go_by_their_folders(
    deployed: Deployed, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(deployed.folder / "int8", tmp_path / "copy"))
    found, _ = find_artifacts([str(deployed.folder / "int8"), str(copy), str(deployed.folder / "fp32")])
    assert [one.name for one in found] == ["int8", "copy", "tiny"]


def test_a_damaged_artifact_is_a_line_and_the_rest_goes_on(deployed: Deployed, tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text("{")
    found, problems = find_artifacts([str(tmp_path), str(deployed.folder / "int8")])
    assert [one.name for one in found] == ["tiny"] and len(problems) == 1


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_another_input_size_is_the_network_reshaped(
    deployed: Deployed, tmp_path: Path, precision: str
) -> None:
    found, _ = find_artifacts([str(deployed.folder / precision)])
    rows = select(found, Selection(threads=(1,), input_sizes=(32, 48)), work=tmp_path)
    ours = [row for row in rows if row.runtime in ("onnxruntime", "openvino") and row.scope == "model"]
    assert {(row.runtime, row.input_size, row.skip_reason) for row in ours} == {
        (runtime, size, None) for runtime in ("onnxruntime", "openvino") for size in (32, 48)
    }
    assert {row.input_size for row in rows if row.reference} == {32, 48}
    own, other = (Detector.load(folder) for folder in (deployed.folder / precision, tmp_path / "0" / "48"))
    assert other.manifest.input.shape == (1, 48, 48, 3) and other.manifest.selftest is None
    # A flat image has no edge but its border, so the size changes little where the weights are the same.
    flat = [np.full((size, size, 3), 128, np.uint8) for size in (32, 48)]
    assert other.predict(flat[1]).probability == pytest.approx(own.predict(flat[0]).probability, abs=0.05)
    for row in ours:
        row.make()()


def test_a_size_that_cannot_be_had_is_a_skipped_row(deployed: Deployed, tmp_path: Path) -> None:
    found, _ = find_artifacts([str(deployed.folder / "int8")])
    rows = select(found, Selection(threads=(1,), input_sizes=(1,)), work=tmp_path)
    assert rows and all(row.skip_reason and "found 1," in row.skip_reason for row in rows)
    assert not any(row.reference for row in rows)  # nothing is timed at that size


def test_a_selection_of_nothing_is_refused(deployed: Deployed, tmp_path: Path) -> None:
    found, _ = find_artifacts([str(deployed.folder / "int8")])
    with pytest.raises(EdgeproofError, match="--precision bf16: none of the artifacts has such a row"):
        select(found, Selection(threads=(1,), precisions=("bf16",)), work=tmp_path)


def test_a_tampered_artifact_is_told_at_once(deployed: Deployed, tmp_path: Path) -> None:
    bad = Path(shutil.copytree(deployed.folder / "int8", tmp_path / "bad"))
    (bad / "model.onnx").write_bytes(b"other")
    assert "model.onnx" in one_line_error(edgeproof("bench", bad))
