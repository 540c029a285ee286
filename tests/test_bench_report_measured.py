"""What was measured beside accuracy and latency stands in the report: answers of a service, layers, peaks."""

import re
from dataclasses import replace
from io import StringIO
from pathlib import Path

from report_fixture import CHOSEN_LARGE, LARGE, STUDENT, Records, changed
from rich.console import Console
from table_cells import cells_of

from bench.report import limits
from bench.report.data import load_run
from bench.report.front import front_table
from bench.report.terminal import result_tables
from bench.report.timing import resources, timed
from bench.report.verdict import choose
from bench.report.write import write_report
from distill.page.formats import NONE


def test_a_teacher_that_is_a_table_of_answers_is_called_that(tmp_path: Path, calm_records: Records) -> None:
    assert calm_records.recipe and calm_records.bench
    teacher = changed(calm_records.recipe.teacher, predictions="answers.csv", sees="clean")
    rows = [row for row in calm_records.bench.rows if row.model != "teacher"]
    records = replace(
        calm_records,
        recipe=changed(calm_records.recipe, teacher=teacher),
        bench=changed(calm_records.bench, rows=rows),
        histories={name: found for name, found in calm_records.histories.items() if "teacher" not in name},
    )
    folder = records.write(tmp_path)
    run = load_run(folder)
    row = cells_of(front_table(run, choose(run)), Model="teacher")
    assert (row["Runtime"], row["Precision"], row["p50 ms"]) == ("given probabilities", NONE, NONE)
    told = StringIO()
    Console(file=told, width=120).print(*result_tables(folder))
    assert re.search(r"teacher +given probabilities +32×32 ", told.getvalue())
    assert "teacher FP32" not in write_report(folder).markdown.read_text()


def test_layers_peaks_and_what_else_is_measured_stand_in_the_report(
    tmp_path: Path, calm_records: Records
) -> None:
    assert calm_records.bench
    layers = [
        {
            "name": f"conv{i}",
            "kind": "Convolution",
            "ms": 0.01 * i,
            "share": 0.1 * i,
            "words": f"convolution {i}",
        }
        for i in range(1, 7)
    ]
    roof = {
        "attainable_ms": 0.2,
        "share": 0.55,
        "bound": "compute",
        "moved_bytes": 1000,
        "gmacs_per_s": 400.0,
    }
    more = {"layers": layers, "roof": roof, "images_per_s": 5310.0, "peak_bytes": 54_000_000, "mad_ms": 0.004}
    peak = {
        "runtime": "openvino",
        "precision": "int8",
        "threads": 2,
        "gmacs_per_s": 502.0,
        "shape": "256 to 256, 3x3",
    }
    records = calm_records.with_rows(lambda row: more, **CHOSEN_LARGE)
    bench = changed(
        records.bench, peaks=[peak], memory_gb_per_s=21.4, absent={"energy": "no counter can be read"}
    )
    folder = replace(records, bench=bench).write(tmp_path)
    markdown = write_report(folder).markdown.read_text()
    run = load_run(folder)
    rows = [row for row in limits.layers(run, choose(run)).rows if row[0] == f"{LARGE}×{LARGE}"]
    assert [row[1] for row in rows] == [f"convolution {i}" for i in (6, 5, 4, 3, 2)]
    for text in (
        "| OpenVINO | INT8 | 2 | 502 | 256 to 256, 3x3 |",
        "Memory: 21.4 GB/s.",
        "No energy: no counter can be read.",
    ):
        assert text in markdown
    row = cells_of(resources(run), Model=STUDENT, Precision="INT8", Runtime="OpenVINO", Input="48×48")
    shown = (
        row["Images per second, all cores"],
        row["Peak memory"],
        row["Of the limit here"],
        row["Bound by"],
    )
    assert shown == ("5,310", "54.0 MB", "55 %", "compute")
    assert cells_of(timed(run, "model"), **{"p50 ms": "0.360", "Input": "48×48"})["Deviation ms"] == "0.004"
