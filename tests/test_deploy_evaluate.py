"""An artifact on a labelled folder: the figures are those of the metrics themselves, and bad input is one line."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from deploy_fixture import SPEC, THRESHOLD, Deployed, build_deployed, images, tiny_detector
from PIL import Image
from typer.testing import CliRunner

from deploy.artifact import write_artifact
from deploy.evaluate import evaluate_artifact
from deploy.evaluate_measures import BINARY, Truth, intervals, judge
from deploy.evaluate_record import EvaluationRecord
from deploy.evaluate_text import write_evaluation
from deploy.onnx_graph import export_onnx
from deploy.runtime import Detector
from distill.cli.app import app
from distill.data.transforms.degradations import DEGRADATIONS
from distill.errors import EdgeproofError
from distill.evaluation.calibration import Calibration
from distill.evaluation.metrics import binary_metrics
from distill.evaluation.statistics import bootstrap_ci
from distill.task import BINARY as TASK
from distill.task import MultiClass

COUNT = 48


@pytest.fixture(scope="session")
def deployed(tmp_path_factory) -> Deployed:
    return build_deployed(tmp_path_factory.getbasetemp())


@pytest.fixture(scope="module")
def photos(deployed: Deployed, tmp_path_factory) -> Path:
    """A manifest with two generators in twelve groups, labelled as the detector says, a quarter of it wrongly."""
    root = tmp_path_factory.mktemp("labelled")
    pixels = np.concatenate(images(COUNT, seed=11))
    ranks = Detector.load(deployed.folder / "fp32", threads=1).run(pixels).argsort().argsort()
    lines = ["path,label,generator,group"]
    for index, rank in enumerate(ranks):
        Image.fromarray(pixels[index]).save(root / f"{index}.png")
        generated = int(rank >= COUNT // 2) ^ int(index % 4 == 0)
        generator = ("alpha", "beta")[index % 2] if generated else ""
        lines.append(f"{index}.png,{generated},{generator},g{index % 12}")
    (root / "manifest.csv").write_text("\n".join(lines) + "\n")
    return root


@pytest.fixture(scope="module")
def record(deployed: Deployed, photos: Path) -> EvaluationRecord:
    return evaluate_artifact(deployed.folder / "fp32", photos, threads=1)


def said_of(deployed: Deployed, photos: Path) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Labels, probabilities and groups, by the detector's own ``predict``."""
    rows = [line.split(",") for line in (photos / "manifest.csv").read_text().splitlines()[1:]]
    detector = Detector.load(deployed.folder / "fp32", threads=1)
    scores = np.array([detector.predict(photos / row[0]).probability for row in rows])
    return np.array([int(row[1]) for row in rows]), scores, [row[3] for row in rows]


def test_the_figures_are_those_of_the_metrics(deployed, photos, record) -> None:
    labels, scores, groups = said_of(deployed, photos)
    expected = binary_metrics(labels, scores, threshold=THRESHOLD, resamples=0)
    assert set(record.overall.measures) == set(BINARY)
    for name, measure in record.overall.measures.items():
        assert measure.value == pytest.approx(getattr(expected, name), abs=1e-6), name
    assert 0.6 < record.overall.measures["auc"].value < 0.95, "wrong labels are seen"
    assert record.overall.confusion == expected.confusion
    assert (record.overall.n, record.overall.groups, record.grouped) == (COUNT, 12, True)
    assert record.overall.classes == {"real": int((labels == 0).sum()), "generated": int(labels.sum())}


def test_intervals_draw_groups_and_hold_their_value(deployed, photos, record) -> None:
    labels, scores, groups = said_of(deployed, photos)
    for name, measure in record.overall.measures.items():
        if name == "ece":
            assert measure.interval is None
        else:
            low, high = measure.interval
            assert low <= measure.value <= high and low < high, name
    expected = bootstrap_ci(labels, scores, groups, n=1000)  # the same draws, by another way
    assert record.overall.measures["auc"].interval == pytest.approx(expected, abs=1e-6)


def test_each_generator_stands_against_all_real_images(deployed, photos, record) -> None:
    labels, scores, _ = said_of(deployed, photos)
    odd = np.arange(COUNT) % 2 == 1
    for name, own in (("alpha", ~odd), ("beta", odd)):
        rows = (labels == 0) | own
        expected = binary_metrics(labels[rows], scores[rows], threshold=THRESHOLD, resamples=0)
        found = record.generators[name]
        assert found.measures["auc"].value == pytest.approx(expected.auc, abs=1e-6)
        assert found.classes["generated"] == expected.n_fake
    assert record.generators["alpha"] != record.generators["beta"]


def test_every_degradation_is_judged_against_the_same_images(record) -> None:
    assert [item.name for item in record.degraded] == list(DEGRADATIONS)
    clean, *others = record.degraded
    assert clean.judged.measures["auc"].value == pytest.approx(record.overall.measures["auc"].value)
    assert (clean.change.value, clean.flips) == (0.0, 0.0)
    assert max(item.flips for item in others) > 0
    for item in others:
        before, after = clean.judged.measures["auc"].value, item.judged.measures["auc"].value
        assert item.change.value == pytest.approx(after - before)


def test_few_groups_give_no_interval_and_say_so(deployed, photos, record, tmp_path) -> None:
    few = "12 groups stand behind every interval, fewer than 20: no difference is shown"
    assert few in record.cautions
    truth = Truth(np.array([0, 1] * 8), tuple("abcd" * 4))
    found = judge(TASK, truth, np.linspace(0, 1, 16), threshold=0.5, resamples=50)
    assert found.groups == 4 and all(measure.interval is None for measure in found.measures.values())
    five = Truth(truth.labels, tuple("abcde" * 3 + "a"))
    ranges = intervals(TASK, five, np.linspace(0, 1, 16), threshold=0.5, names=["auc"], resamples=50)
    assert set(ranges) == {"auc"}


def test_what_is_written_reads_back_and_the_page_holds_the_figures(record, tmp_path) -> None:
    paths = write_evaluation(record, tmp_path / "out")
    assert [path.name for path in paths] == ["evaluation.json", "evaluation.html"]
    assert EvaluationRecord.read(paths[0]) == record
    page = paths[1].read_text()
    for text in (f"{record.overall.measures['auc'].value:.3f}", "alpha", "JPEG quality 40", "12 groups"):
        assert text in page
    assert "http://" not in page and "<script" not in page and page.count("data:image/png") == 2


def test_an_image_that_cannot_be_read_is_left_out(deployed, photos, tmp_path) -> None:
    for label in ("real", "fake"):
        (tmp_path / label).mkdir()
        for index in range(4):
            (tmp_path / label / f"{index}.png").write_bytes((photos / f"{index}.png").read_bytes())
    (tmp_path / "real" / "bad.png").write_bytes(b"no picture at all")
    found = evaluate_artifact(deployed.folder / "fp32", tmp_path, degradations=False, threads=1)
    assert found.overall.n == 8 and len(found.skipped) == 1 and "bad.png" in found.skipped[0]
    assert any(caution.startswith("1 images cannot be decoded") for caution in found.cautions)
    assert any("which images belong together" in caution for caution in found.cautions)
    assert found.degraded == ()


def classifier(folder: Path, labels: tuple[str, ...]) -> Path:
    task = MultiClass(labels=labels)
    calibration = Calibration(temperature=2.0)
    export_onnx(tiny_detector(3), preprocess=SPEC, calibration=calibration, task=task, path=folder / "m.onnx")
    write_artifact(
        folder / "multi", name="tiny", files={"model.onnx": folder / "m.onnx"}, preprocess=SPEC, threshold=None,
        calibration=calibration, precision="fp32", task=task,
    )  # fmt: skip
    return folder / "multi"


def test_k_classes_are_judged_by_the_likeliest(tmp_path) -> None:
    torch.manual_seed(0)
    artifact = classifier(tmp_path, ("cat", "dog", "bird"))
    pixels, right = np.concatenate(images(24, seed=3)), 0
    detector = Detector.load(artifact, threads=1)
    for index, image in enumerate(pixels):
        label = ("cat", "dog", "bird")[index % 3]
        (tmp_path / "set" / label).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(tmp_path / "set" / label / f"{index}.png")
        right += detector.predict(image).label == label
    found = evaluate_artifact(artifact, tmp_path / "set", threads=1)
    assert found.overall.measures["accuracy"].value == pytest.approx(right / 24)
    assert sum(map(sum, found.overall.confusion)) == 24 and len(found.overall.confusion) == 3
    assert "jpeg95_fakes" not in [item.name for item in found.degraded]
    assert found.generators == {} and found.answered is None


def refused(*arguments: object) -> str:
    result = CliRunner().invoke(app, ["evaluate", *map(str, arguments)])
    assert isinstance(result.exception, EdgeproofError), result.output
    assert result.exception.exit_code == 2
    assert "\n" not in str(result.exception)
    return str(result.exception)


def test_bad_input_is_one_line(deployed, photos, tmp_path) -> None:
    artifact = deployed.folder / "fp32"
    picture = (photos / "0.png").read_bytes()
    for name in ("plain/a.png", "one/real/a.png", "animals/cat/a.png", "animals/dog/a.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(picture)
    assert "evaluate needs labels (real, generated)" in refused(artifact, tmp_path / "plain")
    assert "found 'cat', 'dog'" in refused(artifact, tmp_path / "animals")
    assert "the class 'fake' is empty" in refused(artifact, tmp_path / "one")
    (tmp_path / "one.csv").write_text("path,label\none/real/a.png,real\n")
    one = refused(artifact, tmp_path / "one.csv")
    assert one.endswith("1 of 1 images have a label, all of them real; expected images of real and generated")
    assert "no such file or folder" in refused(artifact, tmp_path / "nowhere")
    assert "unknown split" in refused(artifact, photos, "--split", "valid")
    assert "expected DATA too" in refused(artifact)
    assert "--set: is for recipes" in refused(artifact, photos, "--set", "seed=1")
    multi = classifier(tmp_path, ("cat", "dog", "bird"))
    assert "cat, dog, bird" in refused(multi, tmp_path / "one")


def test_a_recipe_is_still_a_recipe(photos) -> None:
    assert "DATA: is for artifacts, and demo is none" in refused("demo", photos)
    assert "--no-degradations: is for artifacts" in refused("demo", "--no-degradations")
    assert "unknown recipe 'nowhere'" in refused("nowhere")


def test_the_command_prints_json_or_tables_and_writes_both(deployed, photos, tmp_path) -> None:
    given = ["evaluate", str(deployed.folder / "fp32"), str(photos), "--no-degradations", "--samples", "20"]
    result = CliRunner().invoke(app, [*given, "--json", "--out", str(tmp_path / "out")])
    assert result.exit_code == 0, result.output
    record = EvaluationRecord.parse(json.loads(result.stdout), origin="stdout")
    assert record.overall.n == 20 and record == EvaluationRecord.read(tmp_path / "out" / "evaluation.json")
    assert result.stderr.count("written: ") == 2
    text = CliRunner().invoke(app, given).stdout
    assert "AUC (area under the ROC curve)" in text and "By generator" in text and "caution: " in text
