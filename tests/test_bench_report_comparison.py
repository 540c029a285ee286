"""Several runs beside each other, and the gates as JUnit XML."""

import json
from collections.abc import Callable
from dataclasses import replace
from io import StringIO
from pathlib import Path
from xml.etree import ElementTree

import pytest
from cli import edgeproof, one_line_error
from report_fixture import LARGE, NNCF, STUDENT, Records, alike, changed
from rich.console import Console

from bench.records.latency import BenchRecord
from bench.report.comparison import (
    Compared,
    compare_runs,
    comparison_table,
    headline,
    not_judged,
    regressions,
)
from bench.report.data import load_run
from bench.report.junit import junit
from bench.report.terminal import comparison_tables
from bench.report.write import write_comparison, write_report

Beside = Callable[[Records], list[Compared]]


@pytest.fixture
def beside(tmp_path: Path, calm_records: Records) -> Beside:
    """The calm run and another one, compared."""

    def compare(other: Records) -> list[Compared]:
        folders = [
            records.write(tmp_path / name) for name, records in (("old", calm_records), ("new", other))
        ]
        return compare_runs(folders)

    return compare


def found_in(runs: list[Compared]) -> list[str]:
    return list(regressions(runs[1], runs[0]))


def slower(records: Records, factor: float) -> Records:
    def times(row):  # type: ignore[no-untyped-def]
        names = ("min_ms", "p50_ms", "p90_ms", "p99_ms")
        return {name: factor * getattr(row, name) for name in names}

    return alike(records.with_rows(times, model=STUDENT, scope="model"))


def test_the_same_run_has_not_regressed(beside: Beside, calm_records: Records) -> None:
    runs = beside(calm_records)
    assert found_in(runs) == [] and headline(runs) == "No run is worse than old beyond the noise"
    table = comparison_table(runs)
    assert [row[0] for row in table.rows] == ["old", "new"] and table.bad == set()
    titles = [column.title for column in table.columns]
    row = dict(zip(titles, table.rows[1], strict=True))
    assert row["Change [95\u00a0% CI]"].startswith("0.000 [−0.02") and row["Input"] == "48×48"
    assert row["vs eager ResNet18 [95\u00a0% CI]"] == "96× [86, 106]"


def test_a_lower_score_counts_only_beyond_its_noise(beside: Beside, calm_records: Records) -> None:
    little = calm_records.with_split(NNCF, "test", auc=0.925, auc_ci=(0.906, 0.942))
    assert found_in(beside(little)) == []
    much = calm_records.with_split(NNCF, "test", auc=0.87, auc_ci=(0.851, 0.887))
    runs = beside(much)
    assert found_in(runs) == ["AUC −0.060 [−0.085, −0.035]"]
    assert headline(runs) == "Worse than old beyond the noise: new" and comparison_table(runs).bad == {1}


def test_a_slower_student_counts_unless_noise_or_another_machine_forbid_it(
    beside: Beside, calm_records: Records
) -> None:
    assert found_in(beside(slower(calm_records, 1.05))) == []
    worse = slower(calm_records, 1.5)
    assert found_in(beside(worse)) == ["slower: 0.540 ms instead of 0.360 at 48×48"]
    noisy = beside(worse.with_rows(lambda row: {"noisy": True}, model=STUDENT, input_size=LARGE))
    assert found_in(noisy) == [] and list(not_judged(noisy[1], noisy[0])) == ["latency is noisy"]
    assert worse.bench
    machine = changed(worse.bench.machine, cpu_model="another")
    moved = beside(replace(worse, bench=changed(worse.bench, machine=machine)))
    assert found_in(moved) == [] and "on another CPU (another; old: " in next(not_judged(moved[1], moved[0]))


def test_intervals_of_medians_decide_where_there_are_some(beside: Beside, calm_records: Records) -> None:
    def ci(row):  # type: ignore[no-untyped-def]
        return {"p50_ci_ms": (row.p50_ms * 0.99, row.p50_ms * 1.01)}

    tight = calm_records.with_rows(ci, model=STUDENT)
    [old, _] = beside(calm_records)
    new = beside(slower(calm_records, 1.05).with_rows(ci, model=STUDENT))[1]
    old = replace(old, run=load_run(tight.write(old.run.path.parent / "tight")))
    assert list(regressions(new, old)) == ["slower: 0.378 ms instead of 0.360 at 48×48"]


def test_a_gate_that_passed_and_fails_counts(beside: Beside, calm_records: Records) -> None:
    failed = calm_records.with_check(NNCF, "auc_drop", value=0.06, passed=False)
    assert "the gate Accuracy failed, and passed in old" in found_in(beside(failed))


def test_a_record_of_an_old_version_is_a_line_and_the_rest_goes_on(
    beside: Beside, calm_records: Records
) -> None:
    runs = beside(calm_records)
    path = runs[1].run.path / "bench.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "schema_version": 2}))
    runs = compare_runs([one.run.path for one in runs])
    assert list(not_judged(runs[1], runs[0])) == [
        f"bench.json could not be read: schema_version is 2, expected {BenchRecord.version}"
    ]
    assert comparison_table(runs).rows[1][3] == "0.929 [0.910, 0.946]", "the first where nothing was timed"


def test_names_tell_runs_apart(tmp_path: Path, calm_records: Records) -> None:
    folders = [calm_records.write(tmp_path / name) for name in ("a/run", "b/run", "c")]
    parent = tmp_path.name
    assert [one.name for one in compare_runs([*folders, folders[2]])] == [
        "a/run", "b/run", f"{parent}/c (3)", f"{parent}/c (4)",
    ]  # fmt: skip


def test_the_command_compares_and_writes(tmp_path: Path, calm_records: Records) -> None:
    folders = [
        calm_records.write(tmp_path / "old"),
        calm_records.with_split(NNCF, "test", auc=0.7, auc_ci=(0.68, 0.72)).write(tmp_path / "new"),
    ]
    done = edgeproof("report", *folders, "--out", tmp_path / "both")
    assert done.returncode == 0, done.stderr
    assert "Worse than old beyond the noise: new" in done.stdout and "48×48" in done.stdout
    for name in ("comparison.html", "comparison.md"):
        assert "Runs beside each other" in (tmp_path / "both" / name).read_text()
    one_line_error(edgeproof("report", folders[0], tmp_path / "nowhere"), code=2)
    error = one_line_error(edgeproof("report", *folders, "--set", "seed=1"), code=2)
    assert "--set was given with 2 runs" in error


def test_a_comparison_of_empty_folders_still_says_something(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    paths = write_comparison([tmp_path / "a", tmp_path / "b"], tmp_path / "out")
    assert "incomplete" in paths.markdown.read_text()


def test_gates_are_test_cases(tmp_path: Path, calm_records: Records) -> None:
    failed = calm_records.with_check(NNCF, "auc_drop", value=0.06, passed=False, note='<b>"&\x07')
    write_report(failed.without("parity").write(tmp_path))
    root = ElementTree.parse(tmp_path / "gates.xml").getroot()
    gates, checks = root.findall("testsuite")
    assert (gates.get("failures"), gates.get("skipped")) == ("1", "2")
    cases = {case.get("name"): case for case in gates}
    assert cases["Accuracy"].find("failure") is not None and cases["Parity"].find("skipped") is not None
    assert cases["Data audit"].find("failure") is None
    assert calm_records.accuracy
    assert int(checks.get("tests") or 0) == len(calm_records.accuracy.gate.checks)
    [bad] = checks.iter("failure")
    assert "0.060, limit 0.050" in (bad.get("message") or "") and "\x07" not in junit(load_run(tmp_path))


def test_the_console_shows_every_run_and_what_regressed(tmp_path: Path, calm_records: Records) -> None:
    worse = calm_records.with_split(NNCF, "heldout", auc=0.5, auc_ci=(0.48, 0.52))
    folders = [calm_records.write(tmp_path / "old"), worse.write(tmp_path / "new")]
    told = StringIO()
    console = Console(file=told, width=150)
    for block in comparison_tables(folders):
        console.print(block, markup=False, highlight=False)
    lines = told.getvalue().splitlines()
    assert any(line.lstrip().startswith("new ") and "48×48" in line for line in lines)
    assert "Worse than old beyond the noise: new" in lines
    assert any(line.startswith("  new: AUC on unseen generators −0.260 [") for line in lines)
