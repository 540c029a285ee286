"""The report as a document: of a real run as it is, of its records with calm numbers, of what is left of a run."""

import json
import re
from dataclasses import fields, replace
from html.parser import HTMLParser
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from report_fixture import LARGE, NNCF, ORT, RECORDS, STUDENT, Records, changed
from rich.console import Console

from bench.report import limits
from bench.report import markdown as report_markdown
from bench.report.cells import REPORTED
from bench.report.data import load_run
from bench.report.dataset import skipped
from bench.report.figures_training import teacher_training, training
from bench.report.front import MOST_ROWS, front_table
from bench.report.published import rates
from bench.report.sections import all_sections
from bench.report.terminal import result_tables
from bench.report.timing import not_timed, resources, timed
from bench.report.verdict import choose, judge
from bench.report.write import write_report
from distill.errors import EdgeproofError
from distill.page.blocks import Section, Table, Text
from distill.page.formats import NONE

_VOID = {"meta", "img", "br", "link", "input", "hr", "source"}
_EVIL = '<script src="http://x.example/a.js">|$\\alpha$</script>'


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def parse(path: Path) -> _Page:
    page = _Page()
    page.feed(path.read_text(encoding="utf-8"))
    page.close()
    assert page.open == []
    return page


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


def cells_of(table: Table, **wanted: str) -> dict[str, str]:
    """The first row that has these cells, by column."""
    titles = [column.title for column in table.columns]
    rows = (dict(zip(titles, row, strict=True)) for row in table.rows)
    return next(row for row in rows if all(row[title] == cell for title, cell in wanted.items()))


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
    chosen = {
        "model": STUDENT,
        "precision": "int8",
        "runtime": "openvino",
        "input_size": LARGE,
        "scope": "model",
    }
    run = load_run(calm_records.with_rows(lambda row: wrong, **chosen).write(tmp_path))
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
    assert any(_EVIL in text for text in page.text)
    markdown = paths.markdown.read_text()
    assert "<script" not in re.sub(r"\\<", "", markdown)
    for table in tables(markdown):
        assert {len(row) for row in table} == {len(table[0])}


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
    text = write_report(folder).markdown.read_text()
    assert text.startswith("# INCOMPLETE") and "Latency, model only" in text


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


def test_terminal_table_fits_a_log(whole: Path) -> None:
    console = Console(width=110, file=StringIO())
    [table] = result_tables(whole)
    console.print(table)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "simulated data" in text and "ResNet18, reference" in text and "PASSED" in text
    assert re.search(r"small_cnn +OpenVINO INT8 +32×32 +0\.930 ", text)
    assert re.search(r"small_cnn, no teacher +PyTorch FP32 +32×32 +0\.914 ", text)


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
    chosen = {
        "model": STUDENT,
        "precision": "int8",
        "runtime": "openvino",
        "input_size": LARGE,
        "scope": "model",
    }
    peak = {
        "runtime": "openvino",
        "precision": "int8",
        "threads": 2,
        "gmacs_per_s": 502.0,
        "shape": "256 to 256, 3x3",
    }
    records = calm_records.with_rows(lambda row: more, **chosen)
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
