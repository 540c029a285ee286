"""The images that the report shows, and the intervals of its rates."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from report_fixture import NNCF, Records

from bench.report.data import RunData, load_run
from bench.report.entry import Entry
from bench.report.examples import MOST, most_wrong, turned
from bench.report.thresholds import rates, verdicts
from bench.report.verdict import choose
from distill.data.samples import GENERATED
from distill.evaluation.calibration import Calibration, uncalibrated
from distill.evaluation.metrics import binary_metrics, expected_calibration_error
from distill.evaluation.statistics import bootstrap_ci, bootstrap_cis, wilson
from distill.page.blocks import Maps, Text
from distill.pipeline.runfolder import load_arrays, load_samples


@pytest.fixture(scope="module")
def run(finished_run: Path) -> RunData:
    return load_run(finished_run)


@pytest.fixture(scope="module")
def chosen(run: RunData) -> Entry:
    found = choose(run)
    assert found
    return found


def test_the_most_wrong_images_are_wrong_and_worst_first(run: RunData, chosen: Entry) -> None:
    [block] = most_wrong(run, chosen)
    assert isinstance(block, Maps) and 0 < len(block.pictures) <= MOST
    said = load_arrays(run.path / "predictions" / f"{chosen.key}.npz")["test"]
    labels = np.array([sample.label for sample in load_samples(run.path).split("test")])
    wrong = np.sort(np.where(labels == GENERATED, 1 - said, said))[::-1][: len(block.pictures)]
    for picture, error in zip(block.pictures, wrong, strict=True):
        given = float(picture.text.removeprefix("generated: "))
        assert picture.title.startswith("real" if given > 0.5 else "generated"), picture.title
        assert max(given, 1 - given) == pytest.approx(error, abs=6e-4) and picture.alt
        assert picture.png.startswith(b"\x89PNG")


def test_a_recipe_may_leave_images_out(run: RunData, chosen: Entry) -> None:
    assert run.recipe
    settings = run.recipe.report.model_copy(update={"images": False})
    recipe = run.recipe.model_copy(update={"report": settings})
    [block] = most_wrong(replace(run, recipe=recipe), chosen)
    assert isinstance(block, Text) and "report.images = false" in block.text


def test_images_whose_verdict_int8_turned_tell_both_probabilities(
    tmp_path: Path, run: RunData, chosen: Entry
) -> None:
    parent = run.entry(chosen.identity.parent)
    assert parent and parent.accuracy
    shutil.copytree(run.path / "data", tmp_path / "data")
    shutil.copytree(run.path / "predictions", tmp_path / "predictions")
    before = load_arrays(tmp_path / "predictions" / f"{parent.key}.npz")
    moved = {**before, "test": before["test"].copy()}
    moved["test"][[3, 5]] = [0.9999, 0.0001] if before["test"][3] < 0.5 else [0.0001, 0.9999]
    moved["test"][5] = 1.0 - round(float(before["test"][5]))
    for key, arrays in ((parent.key, before), (chosen.key, moved)):
        np.savez(tmp_path / "predictions" / f"{key}.npz", **arrays)
    there = replace(run, path=tmp_path)
    [block] = turned(there, chosen)
    assert isinstance(block, Maps) and len(block.pictures) == 2
    assert all(" → " in picture.text for picture in block.pictures)
    assert "test images whose verdict INT8 turned" in block.title
    np.savez(tmp_path / "predictions" / f"{chosen.key}.npz", **before)
    [told] = turned(there, chosen)
    assert isinstance(told, Text) and "gives every test image the verdict of" in told.text


def test_without_predictions_or_images_the_report_goes_on(
    tmp_path: Path, run: RunData, chosen: Entry
) -> None:
    assert most_wrong(replace(run, path=tmp_path), chosen) == [] == turned(run, None)
    shutil.copytree(run.path / "predictions", tmp_path / "predictions")
    (tmp_path / "data").mkdir()
    text = (run.path / "data/samples.json").read_text()
    root = str(load_samples(run.path).root)
    (tmp_path / "data/samples.json").write_text(text.replace(root, str(tmp_path / "gone")))
    [told] = most_wrong(replace(run, path=tmp_path), chosen)
    assert isinstance(told, Text) and "no longer where the run read them" in told.text


def test_rates_stand_with_their_intervals(tmp_path: Path, calm_records: Records) -> None:
    records = calm_records.with_split(
        NNCF, "test", tpr_at_1fpr=0.5, tpr_at_1fpr_ci=(0.4, 0.6), confusion=((8, 2), (1, 9))
    )
    run = load_run(records.write(tmp_path))
    found = rates(run)
    assert found and [column.title for column in found.columns][1:5] == [
        "TPR at 1\u00a0% FPR [95\u00a0% CI]", "TPR at 5\u00a0% FPR [95\u00a0% CI]", "ECE before", "ECE",
    ]  # fmt: skip
    rows = {row[0]: row for row in found.rows}
    assert rows["small_cnn INT8 in OpenVINO"][1] == "0.500 [0.400, 0.600]"
    at = {row[0]: row for row in verdicts(run).rows}["small_cnn INT8 in OpenVINO"]
    assert at[2:6] == ("9 of 10", "0.900 [0.596, 0.982]", "8 of 10", "0.800 [0.490, 0.943]")


def test_a_run_measures_the_intervals_and_the_calibration_before(run: RunData, chosen: Entry) -> None:
    assert chosen.test and chosen.accuracy
    low, high = chosen.test.tpr_at_5fpr_ci or (1.0, 0.0)
    assert low <= (chosen.test.tpr_at_5fpr or -1.0) <= high
    assert chosen.accuracy.ece_before is not None and chosen.accuracy.ece_before != chosen.test.ece


def test_several_intervals_are_those_of_each_alone() -> None:
    rng = np.random.default_rng(0)
    labels, groups = np.arange(60) % 2, np.arange(60) // 3
    scores = np.clip(labels * 0.3 + rng.random(60) * 0.7, 0, 1)
    both = bootstrap_cis(labels, scores, groups, statistics=("auc", "tpr_at_5fpr"), n=50)
    assert both == {
        name: bootstrap_ci(labels, scores, groups, statistic=name, n=50) for name in ("auc", "tpr_at_5fpr")
    }
    found = binary_metrics(labels, scores, threshold=0.5, groups=groups, resamples=50)
    assert (found.auc_ci, found.tpr_at_5fpr_ci) == (both["auc"], both["tpr_at_5fpr"])


@pytest.mark.parametrize(
    ("part", "whole", "expected"),
    [
        (8, 10, (0.4902, 0.9433)),
        (0, 10, (0.0, 0.2775)),
        (10, 10, (0.7225, 1.0)),
        (948, 1000, (0.9324, 0.9601)),
    ],
)
def test_wilson(part: int, whole: int, expected: tuple[float, float]) -> None:
    assert wilson(part, whole) == pytest.approx(expected, abs=1e-4)
    assert wilson(0, 0) is None


def test_what_was_said_before_calibration_is_the_plain_sigmoid() -> None:
    logits = np.array([-6.0, -1.0, 0.0, 2.5])
    calibration = Calibration(temperature=1.7, bias=-0.4)
    said = 1 / (1 + np.exp(-(logits / 1.7 - 0.4)))
    assert uncalibrated(said, calibration) == pytest.approx(1 / (1 + np.exp(-logits)))
    assert np.isfinite(uncalibrated([0.0, 1.0], calibration)).all()
    assert expected_calibration_error([0, 1], [0.0, 1.0]) == 0.0
