"""The report of a run that stopped early, of broken records, and of what was not timed."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from html_page import parse
from report_fixture import LARGE, NNCF, ORT, STUDENT, Records, changed

from bench.report.data import load_run
from bench.report.dataset import skipped
from bench.report.front import front_table
from bench.report.terminal import result_tables
from bench.report.timing import not_timed
from bench.report.verdict import choose
from bench.report.write import write_report
from distill.errors import EdgeproofError
from distill.page.formats import NONE


def test_a_run_that_stopped_early_says_what_is_missing(tmp_path: Path, records: Records) -> None:
    lost = ("environment", "accuracy", "parity", "bench", "degradations")
    kept = replace(records.without(*lost), histories={})
    text = write_report(kept.write(tmp_path)).markdown.read_text()
    assert text.startswith("# INCOMPLETE on simulated data: no verdict yet")
    assert "accuracy.json not there: the run did not get that far" in text
    assert "bench.json not there" in text
    assert "teacher/history.json not there" in text and "and 2 more" in text
    assert "Data audit: passed" in text


def test_an_empty_folder_and_broken_files_still_give_a_report(tmp_path: Path) -> None:
    (tmp_path / "accuracy.json").write_text("{", encoding="utf-8")
    (tmp_path / "bench.json").write_text("[1]", encoding="utf-8")
    (tmp_path / "recipe.toml").write_text("name = 3\nstranger = 1\n", encoding="utf-8")
    paths = write_report(tmp_path)
    text = paths.markdown.read_text()
    assert re.search(r"accuracy\.json could not be read: not valid JSON", text)
    assert "bench.json could not be read: found list, expected a JSON object" in text
    assert re.search(r"The recipe in this folder could not be read: .+ \(and \d more\)", text)
    assert str(tmp_path) not in text
    parse(paths.html)


def test_only_what_is_whole_is_read(tmp_path: Path, records: Records) -> None:
    """A record of another version, or with a field under another name, is refused in one line; the rest stands."""
    folder = records.write(tmp_path)
    for name, old, new in (
        ("parity.json", '"schema_version": 2', '"schema_version": 9'),
        ("accuracy.json", '"balanced_accuracy"', '"bacc"'),
    ):
        text = (folder / name).read_text()
        assert old in text
        (folder / name).write_text(text.replace(old, new))
    run = load_run(folder)
    assert run.accuracy is None and run.parity is None and run.bench and run.degradations
    assert run.problems["parity.json"] == "could not be read: schema_version is 9, expected 2"
    assert "bacc" in run.problems["accuracy.json"] and "\n" not in run.problems["accuracy.json"]
    written = write_report(folder)
    assert written.markdown.read_text().startswith("# INCOMPLETE")
    assert (
        "Latency, model only" in written.html.read_text()
    )  # the Markdown leaves out what is too long for a comment


def test_a_run_of_before_there_were_versions_is_refused_in_a_line(tmp_path: Path, records: Records) -> None:
    folder = records.write(tmp_path)
    value = json.loads((folder / "accuracy.json").read_text())
    del value["schema_version"]
    (folder / "accuracy.json").write_text(json.dumps(value))
    assert load_run(folder).problems == {
        "accuracy.json": "could not be read: schema_version is None, expected 3"
    }


def test_without_accuracy_what_was_timed_stands_in_the_table(tmp_path: Path, calm_records: Records) -> None:
    run = load_run(calm_records.without("accuracy").write(tmp_path))
    rows = front_table(run, choose(run)).rows
    assert ("small_cnn", "32×32") in {(row[0], row[3]) for row in rows}
    assert {row[4] for row in rows} == {NONE} and rows[0][5] != NONE


def test_without_a_recipe_the_records_tell_the_models(tmp_path: Path, calm_records: Records) -> None:
    run = load_run(replace(calm_records, recipe=None, histories={}).write(tmp_path))
    assert (run.teachers, run.students) == (("teacher",), (STUDENT,))
    assert run.name == tmp_path.name and run.large == 224
    chosen = choose(run)
    assert chosen and chosen.key in (ORT, NNCF)
    assert set(run.problems) == {"recipe.toml"}


def test_trained_size_without_a_recipe_is_the_one_that_is_not_large(tmp_path: Path, records: Records) -> None:
    records = replace(records, recipe=None, histories={})
    records = records.with_rows(lambda row: {"input_size": 224}, input_size=LARGE)
    assert load_run(records.write(tmp_path)).trained_size(STUDENT) == 32


def test_rows_that_were_not_timed_say_why(tmp_path: Path, calm_records: Records) -> None:
    lost = {"status": "failed", "reason": "out of memory", "p50_ms": None}
    wanted = {
        "model": STUDENT,
        "runtime": "openvino",
        "precision": "int8",
        "input_size": 32,
        "scope": "model",
    }
    run = load_run(calm_records.with_rows(lambda row: lost, **wanted).write(tmp_path))
    table = not_timed(run)
    assert [row[:4] + row[6:] for row in table.rows] == [
        ("small_cnn", "OpenVINO", "INT8", "32×32", "failed", "out of memory")
    ]
    assert table.bad == {0}
    lost_one = next(item for item in run.entries if item.key == NNCF)
    assert front_table(run, lost_one).rows[0][5] == "failed"


def test_skipped_files_are_listed_up_to_fifty(tmp_path: Path, records: Records) -> None:
    assert records.summary
    left_out = [{"path": f"{n}.jpg", "reason": "truncated"} for n in range(53)]
    run = load_run(replace(records, summary=changed(records.summary, skipped=left_out)).write(tmp_path))
    table = skipped(run)
    assert (
        table.title == "Skipped files: 53"
        and len(table.rows) == 50
        and table.note == "And 3 more, listed in data/summary.json."
    )


def test_no_such_folder_is_the_users_error(tmp_path: Path) -> None:
    with pytest.raises(EdgeproofError, match="nowhere: no such run folder"):
        write_report(tmp_path / "nowhere")


def test_a_terminal_shows_no_table_of_nothing(tmp_path: Path, calm_records: Records) -> None:
    [told] = result_tables(tmp_path)
    assert isinstance(told, str) and told.startswith("INCOMPLETE")


def test_of_a_run_that_its_data_stopped_a_terminal_shows_the_verdict_and_no_table(
    tmp_path: Path, calm_records: Records
) -> None:
    assert calm_records.audit
    bad = changed(calm_records.audit.checks[0], passed=False, advice="Save both classes in one way.")
    audit = changed(calm_records.audit, passed=False, checks=[bad, *calm_records.audit.checks[1:]])
    left = ("accuracy", "parity", "bench", "degradations", "cost")
    stopped = replace(calm_records.without(*left), audit=audit, histories={})
    [told] = result_tables(stopped.write(tmp_path))
    assert isinstance(told, str)
    assert "nothing was trained" in told and "What to do: Save both classes in one way." in told
