"""The report as a document: of a real run as it is, of its records with calm numbers, of what is left of a run."""

import json
import re
from dataclasses import fields, replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from html_page import parse
from report_fixture import CHOSEN_LARGE, NNCF, RECORDS, STUDENT, Records, changed
from rich.console import Console
from table_cells import cells_of

from bench.report import markdown as report_markdown
from bench.report.cells import REPORTED
from bench.report.data import load_run
from bench.report.figures_training import teacher_training, training
from bench.report.front import MOST_ROWS, front_table
from bench.report.published import rates
from bench.report.sections import all_sections
from bench.report.terminal import result_tables
from bench.report.timing import timed
from bench.report.verdict import choose, judge
from bench.report.write import write_report
from distill.page.blocks import Section, Table, Text
from distill.page.formats import NONE

_EVIL = '<script src="http://x.example/a.js">|$\\alpha$</script>'


def tables(markdown: str) -> list[list[list[str]]]:
    """Every pipe table as rows of cells, the ruler left out."""
    found, rows = [], []
    for line in [*markdown.splitlines(), ""]:
        if line.startswith("|"):
            cells = re.split(r"(?<!\\)\|", line)[1:-1]
            if not set(line) <= set("|-: "):
                rows.append([cell.strip().strip("*") for cell in cells])
        elif rows:
            found.append(rows)
            rows = []
    return found


@pytest.fixture(scope="module")
def whole(calm_records: Records, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = calm_records.write(tmp_path_factory.mktemp("run"))
    write_report(run)
    return run


def test_first_three_lines_of_markdown_are_the_verdict(whole: Path) -> None:
    lines = (whole / "report.md").read_text().splitlines()
    assert lines[0].startswith("# PASSED on simulated data: small_cnn INT8 in OpenVINO")
    assert lines[1].startswith(
        "- **Speed.** 0.360 ms an image at 48×48, 96× [86, 106] the speed of eager ResNet18 there"
    )
    assert lines[2].startswith("- **Accuracy.** AUC 0.930")


def test_html_reaches_for_nothing_outside_itself(whole: Path) -> None:
    page = parse(whole / "report.html")
    assert not {"link", "iframe", "object"} & {tag for tag, _ in page.tags}
    assert [attributes for tag, attributes in page.tags if tag == "script"] == [{}], "the page's own, inline"
    for _, attributes in page.tags:
        for key in ("src", "href", "srcset", "action"):
            assert (attributes.get(key) or "#").startswith(("#", "data:image/png;base64,"))
    style = (whole / "report.html").read_text().split("<style>")[1].split("</style>")[0]
    assert "url(" not in style and "@import" not in style


def test_every_picture_is_inline_and_beside_the_markdown(whole: Path) -> None:
    pictures = sorted(path.name for path in (whole / "plots").glob("*.png"))
    kinds = ("calibration", "confusion", "degradations", "generators", "roc", "seeds", "training")
    expected = [f"{kind}_{STUDENT}.png" for kind in kinds]
    assert pictures == sorted(["accuracy_latency.png", "roofline.png", "training_teacher.png", *expected])
    markdown = (whole / "report.md").read_text()
    assert sorted(re.findall(r"\(plots/([^)]+)\)", markdown)) == pictures
    images = [attributes for tag, attributes in parse(whole / "report.html").tags if tag == "img"]
    assert len(images) == len(pictures)
    assert all(attributes["alt"] for attributes in images)


def test_pictures_tell_their_finding(whole: Path) -> None:
    markdown = (whole / "report.md").read_text()
    for finding in (
        r"\[small_cnn INT8 in OpenVINO: AUC 0\.930 at 0\.360 ms, 96× eager ResNet18's speed\]",
        r"\[small_cnn: best validation AUC 0\.\d{3} distilled, 0\.\d{3} without \(mean of 2 seeds\)\]",
        r"\[teacher: best validation AUC 0\.\d{3}\]",
        r"\[small_cnn: AUC 0\.930 in INT8, 0\.931 in FP32\]",
        r"\[small_cnn INT8 misses \d+ % of generated, flags \d+ % of real\]",
        r"\[small_cnn: INT8 probabilities are off by \d+\.\d points on average\]",
        r"\[small_cnn: mean AUC 0\.\d\d on trained families, 0\.\d\d on held-out ones\]",
        r"\[small_cnn: INT8 in OpenVINO falls from 0\.\d\d to 0\.\d\d at worst \(.+\)\]",
    ):
        assert re.search(finding, markdown), finding


def test_markdown_tables_are_rectangular_and_html_holds_the_same_cells(whole: Path) -> None:
    found = tables((whole / "report.md").read_text())
    assert len(found) >= 17
    for table in found:
        assert {len(row) for row in table} == {len(table[0])}
    cells = sum(len(table) * len(table[0]) for table in found)
    assert sum(tag in ("td", "th") for tag, _ in parse(whole / "report.html").tags) == cells


@pytest.fixture(scope="module")
def real_tables(finished_run: Path) -> dict[str, Table]:
    """Every table of the report of the run as it is, by its title."""
    run = load_run(finished_run)
    blocks = [block for section in all_sections(run, judge(run)) for block in section.blocks]
    return {block.title: block for block in blocks if isinstance(block, Table)}


@pytest.mark.parametrize(
    ("title", "dashes"),
    [
        # None: dashes anywhere; a size for timing alone has no accuracy, the reference is not one of the run's models
        ("The one table", None),
        ("Latency, model only", None),
        ("Latency from JPEG bytes to the answer", None),
        ("small_cnn: every arm", set()),
        ("Seeds: all of them", set()),
        ("Verdicts at the frozen threshold", set()),
        ("AUC per generator", set()),
        ("Balanced accuracy at the frozen threshold", set()),
        ("Step by step", {"Threshold drift", "File size"}),
        ("Accuracy gate", set()),
        ("INT8 proof: what the files hold", set()),
        ("Parity: the same images through every runtime", set()),
        ("Data audit", {"Limit"}),
        ("Images", set()),
        ("Generators", set()),
        ("Environment", set()),
        ("Time per stage", set()),
    ],
)  # fmt: skip
def test_what_a_real_run_measured_stands_in_its_tables(
    real_tables: dict[str, Table], title: str, dashes: set[str] | None
) -> None:
    """A dash means *not measured*: a table that lost its numbers to a renamed field would be full of them."""
    table = real_tables[title]
    assert table.rows
    for place, column in enumerate(table.columns):
        cells = [row[place] for row in table.rows]
        assert dashes is None or (NONE in cells) <= (column.title in dashes), column.title
        assert set(cells) != {NONE} or column.title == REPORTED, column.title


def test_everything_of_a_real_run_can_be_read(finished_run: Path) -> None:
    run = load_run(finished_run)
    assert run.problems == {}
    assert all(getattr(run, field.name) for field in fields(run) if field.name != "problems")
    assert run.bench
    assert (
        len(run.entries) == 11 + 2 * run.bench.machine.has_bf16
    )  # all judged models, and bf16 of both networks
    assert all(run.timing(item) for item in run.entries)


def test_numbers_of_the_one_table_are_those_of_the_files(whole: Path) -> None:
    run = load_run(whole)
    accuracy, bench = (json.loads((whole / f"{name}.json").read_text()) for name in ("accuracy", "bench"))
    test = accuracy["models"][NNCF]["splits"]["test"]
    same = {"model": STUDENT, "runtime": "openvino", "precision": "int8", "input_size": 32}
    model, whole_way = (
        next(r for r in bench["rows"] if all(r[k] == v for k, v in {**same, "scope": scope}.items()))
        for scope in ("model", "end_to_end")
    )
    table = front_table(run, choose(run))
    ratio, (low, high) = model["speedup_vs_resnet18_eager"], model["speedup_ci"]
    assert min(table.strong) == 0
    assert table.rows[0] == (
        "small_cnn",
        "OpenVINO",
        "INT8",
        "32×32",
        f"{test['auc']:.3f} [{test['auc_ci'][0]:.3f}, {test['auc_ci'][1]:.3f}]",
        f"{model['p50_ms']:.3f}",
        f"{whole_way['p50_ms']:.3f}",
        f"{model['bytes'] / 1000:.0f} kB",
        f"{ratio:.0f}× [{low:.0f}, {high:.0f}]",
        NONE,
    )


def test_the_one_table_compares_like_with_like_at_both_sizes(whole: Path) -> None:
    run = load_run(whole)
    table = front_table(run, choose(run))
    assert [(row[0], *row[1:4]) for row in table.rows] == [
        ("small_cnn", "OpenVINO", "INT8", "32×32"),
        ("small_cnn", "OpenVINO", "FP32", "32×32"),
        ("small_cnn, no teacher", "PyTorch", "FP32", "32×32"),
        ("teacher", "PyTorch", "FP32", "32×32"),
        ("ResNet18, reference", "PyTorch", "FP32", "32×32"),
        ("small_cnn", "OpenVINO", "INT8", "48×48"),
        ("small_cnn", "OpenVINO", "FP32", "48×48"),
        ("ResNet18, reference", "PyTorch", "FP32", "48×48"),
    ]
    assert len(table.rows) == MOST_ROWS and table.strong == {0, 5}
    for row in table.rows:
        if row[5] != NONE and row[0] != "ResNet18, reference":
            reference = cells_of(table, Model="ResNet18, reference", Input=row[3])
            shown = float(row[8].split("×")[0])
            assert shown == pytest.approx(float(reference["p50 ms"]) / float(row[5]), rel=0.02, abs=0.06)


def test_a_ratio_that_contradicts_its_interval_is_flagged_and_not_claimed(
    tmp_path: Path, calm_records: Records
) -> None:
    wrong = {"speedup_vs_resnet18_eager": 19.9, "speedup_ci": (65.0, 73.0), "speedup_disagrees": True}
    run = load_run(calm_records.with_rows(lambda row: wrong, **CHOSEN_LARGE).write(tmp_path))
    table = front_table(run, choose(run))
    assert table.rows[5][8] == "≠ 20× [65, 73]" and table.bad == {5}
    assert "≠: the ratio lies outside of its own interval" in table.note
    assert "≠" not in front_table(load_run(calm_records.write(tmp_path)), None).note
    speed = dict(judge(run).points)["Speed"]
    assert "contradicts its own interval (20× [65, 73]), so none is claimed" in speed


def test_the_terminal_shows_the_same_rows_with_their_size(whole: Path) -> None:
    [table] = result_tables(whole)
    told = StringIO()
    Console(file=told, width=120).print(table)
    shown = [line for line in told.getvalue().splitlines() if "×32 " in line or "×48 " in line]
    assert len(shown) == MOST_ROWS and "vs eager ResNet18" in told.getvalue()
    assert shown[0].split()[:4] == ["small_cnn", "OpenVINO", "INT8", "32×32"]


def test_everything_that_was_timed_stands_in_a_table_with_its_size(whole: Path) -> None:
    run = load_run(whole)
    assert run.bench
    table = timed(run, "model")
    assert len(table.rows) == sum(row.measured and row.scope == "model" for row in run.bench.rows)
    assert {row[3] for row in table.rows} >= {"32×32", "48×48"}
    assert [row[0] for row in table.rows if row[3] == "32×32"][-1] == "resnet18 (reference)"
    assert "Repeated" not in [column.title for column in table.columns], "nothing was"


def test_the_best_epoch_of_each_arm_is_told_not_the_last(tmp_path: Path, records: Records) -> None:
    scores = {"distilled": (0.9, 0.7), "alone": (0.5, 0.8), "teacher": (0.95, 0.6)}
    histories = {}
    for name, history in records.histories.items():
        values = scores[Path(name).parent.name]
        epochs = [changed(e, valid_score=v) for e, v in zip(history.epochs, values, strict=True)]
        histories[name] = changed(history, epochs=epochs)
    run = load_run(replace(records, histories=histories).write(tmp_path))
    student, teacher = training(run, STUDENT), teacher_training(run, "teacher")
    assert student and student.alt == (
        "small_cnn: best validation AUC 0.900 distilled, 0.800 without (mean of 2 seeds)"
    )
    assert teacher and teacher.alt == "teacher: best validation AUC 0.950"


def test_a_training_that_adopted_its_weights_has_no_picture(tmp_path: Path, records: Records) -> None:
    adopted = {"teacher/history.json": changed(records.histories["teacher/history.json"], epochs=())}
    run = load_run(replace(records, histories={**records.histories, **adopted}).write(tmp_path))
    assert teacher_training(run, "teacher") is None and training(run, STUDENT)


def two_quantizers(records: Records) -> Records:
    """The run with a second INT8 form for OpenVINO, made by a section called ``mixed``."""
    assert records.accuracy and records.bench
    model = records.accuracy.models[NNCF]
    identity = changed(model.identity, key="small_cnn-openvino-int8-mixed", quantizer="mixed")
    models = {**records.accuracy.models, identity.key: changed(model, identity=identity)}
    fit = [row for row in records.bench.rows if (row.model, row.quantizer) == (STUDENT, "nncf")]
    more = [changed(row, quantizer="mixed", bytes=77_000) for row in fit]
    records = records.with_accuracy(models=models)
    return replace(records, bench=changed(records.bench, rows=(*records.bench.rows, *more)))


def test_two_quantizers_for_one_runtime_can_be_told_apart(tmp_path: Path, calm_records: Records) -> None:
    run = load_run(two_quantizers(calm_records).write(tmp_path))
    precisions = {row[2] for row in timed(run, "model").rows if row[:2] == ("small_cnn", "OpenVINO")}
    assert precisions >= {"INT8 (nncf)", "INT8 (mixed)"}
    rows = {row[:3] for row in timed(run, "model").rows}
    assert ("small_cnn", "ONNX Runtime", "INT8") in rows, "one quantizer needs no name"
    chosen = choose(run)
    assert chosen and chosen.short == "small_cnn INT8 (nncf) in OpenVINO"


def test_further_teachers_are_rows_and_the_first_is_the_teacher(tmp_path: Path, records: Records) -> None:
    assert records.recipe and records.accuracy
    recipe = changed(records.recipe, teachers={"big": records.recipe.teacher})
    model = records.accuracy.models["teacher"]
    big = changed(model, identity=changed(model.identity, key="big", name="big"))
    histories = {**records.histories, "teachers/big/history.json": records.histories["teacher/history.json"]}
    records = replace(records, recipe=recipe, histories=histories)
    folder = records.with_accuracy(models={"big": big, **records.accuracy.models}).write(tmp_path)
    run = load_run(folder)
    assert run.problems == {} and run.teacher and run.teacher.key == "teacher"
    assert [item.key for item in run.entries if item.is_teacher and not item.is_artifact] == [
        "teacher",
        "big",
    ]
    write_report(folder)
    markdown = (folder / "report.md").read_text()
    assert "| Generator | Use | Images | teacher | big | small_cnn FP32 |" in markdown
    assert (folder / "plots/training_big.png").is_file()


def renamed(value: Any) -> Any:
    """JSON with the student under a malicious name."""
    if isinstance(value, dict):
        return {renamed(key): renamed(item) for key, item in value.items()}
    if isinstance(value, list):
        return [renamed(item) for item in value]
    return value.replace(STUDENT, _EVIL) if isinstance(value, str) else value


def test_a_malicious_name_stays_text(tmp_path: Path, calm_records: Records) -> None:
    folder = replace(calm_records, recipe=None, histories={}).write(tmp_path)
    for name, kind in RECORDS.values():
        value = json.loads((folder / name).read_text())
        kind.parse(renamed(value), origin=name).write(folder / name)
    paths = write_report(folder)
    page = parse(paths.html)
    assert [attributes for tag, attributes in page.tags if tag == "script"] == [{}], "the page's own alone"
    assert any(_EVIL in text for text in page.texts)
    markdown = paths.markdown.read_text()
    assert "<script" not in re.sub(r"\\<", "", markdown)
    for table in tables(markdown):
        assert {len(row) for row in table} == {len(table[0])}


def test_terminal_table_fits_a_log(whole: Path) -> None:
    console = Console(width=110, file=StringIO())
    [table] = result_tables(whole)
    console.print(table)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "simulated data" in text and "ResNet18, reference" in text and "PASSED" in text
    assert re.search(r"small_cnn +OpenVINO INT8 +32×32 +0\.930 ", text)
    assert re.search(r"small_cnn, no teacher +PyTorch FP32 +32×32 +0\.914 ", text)


def test_the_published_contradiction_is_worked_out(whole: Path) -> None:
    found = rates(((5428, 797), (63, 1212)))
    assert [round(value, 3) for value in found.values()] == [0.603, 0.951, 0.738]
    markdown = (whole / "report.md").read_text()
    assert "gives precision 0.603 and F1 0.738" in markdown and "precision 0.8315 and F1 0.8921" in markdown


def test_markdown_fits_a_comment_and_names_what_it_leaves_out(calm_records: Records, tmp_path: Path) -> None:
    verdict = judge(load_run(calm_records.write(tmp_path)))
    sections = [
        Section(name, [Text(name * size)], folded=True) for name, size in (("a", 10), ("b", 70_000), ("c", 9))
    ]
    text = report_markdown.render(title="t", verdict=verdict, table=None, sections=sections)
    assert len(text) < report_markdown.LONGEST
    assert "a" * 10 in text and "c" * 9 in text and "b" * 100 not in text
    assert text.endswith("Too long for this file, and in report.html: “b”.\n")
