"""What the report says of degraded images."""

from pathlib import Path

import pytest
import report_fixture as fixture

from bench.report import markdown as report_markdown
from bench.report.data import load_run
from bench.report.degradations import detail, flip_test, introduction, names, overview, steps
from bench.report.figures_degradations import sweep
from bench.report.sections import _degradations
from bench.report.verdict import choose, judge

KEY = "small_cnn-openvino-int8"


def loaded(folder: Path, files=None):
    return load_run(fixture.write(folder, files))


@pytest.fixture
def files():
    return fixture.contents()


def section(folder: Path, files) -> str:
    """The section alone, in Markdown: all other pictures would take seconds."""
    run = loaded(folder, files)
    verdict = judge(run)
    text = report_markdown.render(title="t", verdict=verdict, sections=[_degradations(run, verdict)])
    return text.split("\n## Degraded images\n")[1]


def items(run, *keys):
    return [next(item for item in run.contestants if item.key == key) for key in keys]


def test_picture_first_then_the_tables(tmp_path, files):
    text = section(tmp_path, files)
    order = [
        "400 of 600 simulated test images", "plots/degradations_small_cnn.png", "Balanced accuracy at the frozen",
        "leaves the real images alone", "small_cnn INT8 in OpenVINO in detail", "Step by step on degraded images",
    ]  # fmt: skip
    places = [text.index(part) for part in order]
    assert places == sorted(places)
    assert "![small_cnn: INT8 in OpenVINO falls from" in text and "Missing" not in text


def test_cells_are_those_of_the_file(tmp_path, files):
    run = loaded(tmp_path, files)
    table = overview(run, items(run, "teacher", KEY))
    cells = files["degradations.json"]["models"][KEY]["degradations"]
    assert [column.title for column in table.columns] == [
        "Degradation",
        "teacher",
        "small_cnn INT8 in OpenVINO",
    ]
    rows = {row[0]: row[2] for row in table.rows}
    assert len(rows) == 16 and rows["clean"] == f"{cells['clean']['balanced_accuracy']:.3f}"
    worse = cells["jpeg30"]
    assert rows["JPEG quality 30"] == (
        f"{worse['balanced_accuracy']:.3f} (−{abs(worse['balanced_accuracy_change']):.3f})"
    )


def test_the_note_names_the_worst_fall(tmp_path, files):
    cell = files["degradations.json"]["models"]["small_cnn"]["degradations"]["webp75"]
    cell.update(balanced_accuracy=0.41, balanced_accuracy_change=-0.53)
    run = loaded(tmp_path, files)
    assert overview(run, items(run, "teacher", "small_cnn", KEY)).note.endswith(
        "Worst fall: small_cnn FP32 at WebP quality 75, −0.530 to 0.410."
    )


def test_where_nothing_falls_no_worst_fall_is_named(tmp_path, files):
    for cell in files["degradations.json"]["models"]["teacher"]["degradations"].values():
        cell["balanced_accuracy_change"] = 0.0
    run = loaded(tmp_path, files)
    assert "Worst" not in overview(run, items(run, "teacher")).note


def test_the_flip_test_is_explained_with_its_greatest_fall(tmp_path, files):
    cells = files["degradations.json"]["models"][KEY]["degradations"]
    cells["clean"]["tpr"], cells["jpeg95_fakes"]["tpr"] = 0.9, 0.002
    run = loaded(tmp_path, files)
    text = flip_test(run, items(run, "teacher", KEY)).text
    assert text.startswith("“Only generated as JPEG 95” leaves the real images alone")
    assert text.endswith("Greatest fall in the share caught: small_cnn INT8 in OpenVINO, 0.900 to 0.002.")
    cells["jpeg95_fakes"]["tpr"] = 0.95
    run = loaded(tmp_path, files)
    assert flip_test(run, items(run, KEY)).text.endswith("No model catches fewer of them.")


def test_the_chosen_model_in_detail(tmp_path, files):
    cell = files["degradations.json"]["models"][KEY]["degradations"]["blur1"]
    cell.update(auc=0.8, auc_ci=[0.75, 0.85], auc_change=-0.13, auc_change_ci=[-0.2, 0.01], tpr=0.4, tnr=0.99)
    cell["flips"] = {"count": 52, "share": 0.13}
    run = loaded(tmp_path, files)
    row = next(row for row in detail(run, choose(run)).rows if row[0] == "Blur sigma 1")
    assert row[1:] == ("0.800 [0.750, 0.850]", "−0.130 [−0.200, +0.010]", "0.400", "0.990", "52 (13.0 %)")


def test_a_step_is_starred_where_its_interval_leaves_out_zero(tmp_path, files):
    entry = next(c for c in files["degradations.json"]["comparisons"] if c["a"] == KEY)
    entry["degradations"]["jpeg60"] = {"auc_difference": -0.02, "ci": [-0.03, -0.01], "flips": {"count": 7}}
    entry["degradations"]["jpeg40"] = {"auc_difference": -0.02, "ci": [-0.05, 0.01], "flips": {"count": 8}}
    table = steps(loaded(tmp_path, files))
    place = [column.title for column in table.columns].index("small_cnn INT8 in OpenVINO against FP32")
    rows = {row[0]: row[place] for row in table.rows}
    assert (rows["JPEG quality 60"], rows["JPEG quality 40"]) == ("−0.020* (7)", "−0.020 (8)")


def test_a_missing_file_is_one_line(tmp_path, files):
    del files["degradations.json"]
    assert section(tmp_path, files).strip() == (
        "Missing: degradations.json not there: the run did not get that far."
    )


def test_a_sweep_left_out_is_one_line_even_if_an_old_one_is_there(tmp_path, files):
    files["recipe.json"]["degradations"] = {"samples": 0}
    text = section(tmp_path, files).strip()
    assert text == "The sweep over degraded images was left out by the recipe (degradations.samples = 0)."


@pytest.mark.parametrize(
    "broken",
    [
        {"degradations": 3, "models": [], "comparisons": {}, "images": None},
        {
            "degradations": [1, {}, {"name": "clean"}],
            "models": {KEY: {"degradations": {"clean": {"auc": "x"}}}},
        },
        {
            "degradations": [{"name": "clean"}],
            "models": {KEY: {"degradations": {"clean": {"balanced_accuracy": 1}}}},
        },
    ],
)
def test_a_malformed_file_is_survived(tmp_path, files, broken):
    files["degradations.json"] = broken
    section(tmp_path, files)


def test_without_one_class_there_are_dashes(tmp_path, files):
    for model in files["degradations.json"]["models"].values():
        for cell in model["degradations"].values():
            cell.update(dict.fromkeys(("auc", "auc_ci", "balanced_accuracy", "tnr", "auc_change"), None))
    text = section(tmp_path, files)
    assert "| clean | – |" in text


def test_a_run_without_a_sweep_has_no_blocks(tmp_path, files):
    del files["degradations.json"]
    run = loaded(tmp_path, files)
    assert introduction(run) is None and flip_test(run, run.contestants) is None
    assert detail(run, choose(run)) is None and names(run) == {} and sweep(run, "small_cnn", None) is None
