"""What the report says of degraded images."""

from dataclasses import replace
from pathlib import Path

import pytest
from report_fixture import NNCF, STUDENT, Records, calm, changed

from bench.report import markdown
from bench.report.data import RunData, load_run
from bench.report.degradations import detail, flip_test, introduction, kinds, overview, steps
from bench.report.entry import Entry
from bench.report.figures_degradations import sweep
from bench.report.sections import _degradations
from bench.report.verdict import choose, judge


@pytest.fixture(scope="module")
def records(finished_run: Path) -> Records:
    return calm(Records.read(finished_run))


def loaded(folder: Path, records: Records) -> RunData:
    return load_run(records.write(folder))


def section(folder: Path, records: Records) -> str:
    """The section alone, in Markdown: all other pictures would take seconds."""
    run = loaded(folder, records)
    verdict = judge(run)
    text = markdown.render(title="t", verdict=verdict, table=None, sections=[_degradations(run, verdict)])
    return (
        text.split("<summary><b>Degraded images</b>")[1].split("</summary>")[1].removesuffix("\n</details>\n")
    )


def items(run: RunData, *keys: str) -> list[Entry]:
    return [next(item for item in run.entries if item.key == key) for key in keys]


def test_picture_first_then_the_tables(tmp_path: Path, records: Records) -> None:
    text = section(tmp_path, records)
    order = [
        "24 of 48 simulated test images", "plots/degradations_small_cnn.png", "Balanced accuracy at the frozen",
        "leaves the real images alone", "small_cnn INT8 in OpenVINO in detail", "Step by step on degraded images",
    ]  # fmt: skip
    places = [text.index(part) for part in order]
    assert places == sorted(places)
    assert "![small_cnn: INT8 in OpenVINO falls from" in text and "Missing" not in text


def test_cells_are_those_of_the_file(tmp_path: Path, records: Records) -> None:
    records = records.with_cell(NNCF, "jpeg30", balanced_accuracy=0.7, balanced_accuracy_change=-0.125)
    run = loaded(tmp_path, records)
    table = overview(run, items(run, "teacher", NNCF))
    assert records.degradations
    cells = records.degradations.models[NNCF].degradations
    titles = [column.title for column in table.columns]
    assert titles == ["Degradation", "teacher", "small_cnn INT8 in OpenVINO"]
    rows = {row[0]: row[2] for row in table.rows}
    assert len(rows) == 18 and rows["clean"] == f"{cells['clean'].balanced_accuracy:.3f}"
    assert rows["JPEG quality 30"] == "0.700 (−0.125)"


def test_the_note_names_the_worst_fall(tmp_path: Path, records: Records) -> None:
    records = records.with_cell(STUDENT, "webp75", balanced_accuracy=0.41, balanced_accuracy_change=-0.53)
    run = loaded(tmp_path, records)
    assert overview(run, items(run, "teacher", STUDENT, NNCF)).note.endswith(
        "Worst fall: small_cnn FP32 at WebP quality 75, −0.530 to 0.410."
    )


def test_where_nothing_falls_no_worst_fall_is_named(tmp_path: Path, records: Records) -> None:
    for kind in kinds(loaded(tmp_path, records)):
        records = records.with_cell("teacher", kind.name, balanced_accuracy_change=0.0)
    run = loaded(tmp_path, records)
    assert "Worst" not in overview(run, items(run, "teacher")).note


def test_the_flip_test_is_explained_with_its_greatest_fall(tmp_path: Path, records: Records) -> None:
    records = records.with_cell(NNCF, "clean", tpr=0.9).with_cell(NNCF, "jpeg95_fakes", tpr=0.002)
    run = loaded(tmp_path, records)
    found = flip_test(run, items(run, "teacher", NNCF))
    assert found and found.text.startswith("“Only generated as JPEG 95” leaves the real images alone")
    end = "Greatest fall in the share caught: small_cnn INT8 in OpenVINO, 0.900 to 0.002."
    assert found.text.endswith(end)
    run = loaded(tmp_path, records.with_cell(NNCF, "jpeg95_fakes", tpr=0.95))
    found = flip_test(run, items(run, NNCF))
    assert found and found.text.endswith("No model catches fewer of them.")


def test_the_chosen_model_in_detail(tmp_path: Path, records: Records) -> None:
    assert records.degradations
    flips = changed(records.degradations.models[NNCF].degradations["blur1"].flips, count=52, share=0.13)
    records = records.with_cell(
        NNCF, "blur1", auc=0.8, auc_ci=(0.75, 0.85), auc_change=-0.13, auc_change_ci=(-0.2, 0.01),
        tpr=0.4, tnr=0.99, flips=flips,
    )  # fmt: skip
    run = loaded(tmp_path, records)
    table = detail(run, choose(run))
    assert table
    row = next(row for row in table.rows if row[0] == "Blur sigma 1")
    assert row[1:] == ("0.800 [0.750, 0.850]", "−0.130 [−0.200, +0.010]", "0.400", "0.990", "52 (13.0 %)")


def test_a_step_is_starred_where_its_interval_leaves_out_zero(tmp_path: Path, records: Records) -> None:
    assert records.degradations
    comparisons = list(records.degradations.comparisons)
    place = [compared.a for compared in comparisons].index(NNCF)
    found = dict(comparisons[place].degradations)
    for name, interval, count in (("jpeg60", (-0.03, -0.01), 7), ("jpeg40", (-0.05, 0.01), 8)):
        flips = changed(found[name].flips, count=count)
        found[name] = changed(found[name], auc_difference=-0.02, ci=interval, flips=flips)
    comparisons[place] = changed(comparisons[place], degradations=found)
    images = changed(records.degradations.images, groups=20)
    swept = changed(records.degradations, comparisons=comparisons, images=images)
    table = steps(loaded(tmp_path, replace(records, degradations=swept)))
    titles = [column.title for column in table.columns]
    assert "small_cnn FP32 against no teacher" in titles and "small_cnn FP32 against the teacher" in titles
    rows = {row[0]: row[titles.index("small_cnn INT8 in OpenVINO against FP32")] for row in table.rows}
    assert (rows["JPEG quality 60"], rows["JPEG quality 40"]) == ("−0.020* (7)", "−0.020 (8)")


def test_a_missing_file_is_one_line(tmp_path: Path, records: Records) -> None:
    text = section(tmp_path, records.without("degradations"))
    assert text.strip() == "Missing: degradations.json not there: the run did not get that far."


def test_a_sweep_left_out_is_one_line_even_if_an_old_one_is_there(tmp_path: Path, records: Records) -> None:
    assert records.recipe
    sweep_settings = changed(records.recipe.degradations, samples=0)
    text = section(tmp_path, replace(records, recipe=changed(records.recipe, degradations=sweep_settings)))
    assert text.strip() == (
        "The sweep over degraded images was left out by the recipe (degradations.samples = 0)."
    )


def test_a_record_that_does_not_hold_together_is_one_line(tmp_path: Path, records: Records) -> None:
    folder = records.write(tmp_path)
    text = (folder / "degradations.json").read_text()
    (folder / "degradations.json").write_text(text.replace('"blur1": {', '"blur7": {', 1))
    run = load_run(folder)
    assert run.degradations is None
    problem = run.problems["degradations.json"]
    assert problem == "could not be read: teacher: degradations are not those of the sweep"


def test_without_one_class_there_are_dashes(tmp_path: Path, records: Records) -> None:
    assert records.degradations
    for key, model in records.degradations.models.items():
        for name in model.degradations:
            nothing = dict.fromkeys(("auc", "auc_ci", "balanced_accuracy", "tnr", "auc_change"))
            records = records.with_cell(key, name, **nothing)
    text = section(tmp_path, records)
    assert "| clean | – |" in text and "balanced accuracy on degraded images" in text


def test_a_run_without_a_sweep_has_no_blocks(tmp_path: Path, records: Records) -> None:
    run = loaded(tmp_path, records.without("degradations"))
    assert introduction(run) is None and flip_test(run, run.entries) is None
    assert detail(run, choose(run)) is None and kinds(run) == () and sweep(run, STUDENT, None) is None
