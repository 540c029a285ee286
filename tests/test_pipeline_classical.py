"""Classical heads through the whole pipeline: fitted, taught, exported, judged, and gone on with."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from cli import edgeproof, one_line_error
from safetensors.torch import load_file

from bench.records.accuracy import AccuracyRecord
from deploy.runtime import Detector
from distill.check import check_names
from distill.errors import EdgeproofError
from distill.evaluation.choice import Choice
from distill.pipeline.runfolder import load_arrays
from distill.recipe import load_recipe
from distill.roster import roster_of
from distill.training.checkpoint import read_sidecar
from distill.training.history import History
from distill.training.tensorfile import open_tensors
from students import build_student

RECIPE = Path(__file__).parent / "classical.toml"
STUDENTS = ("spectrum", "forest")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("classical") / "run"
    done = edgeproof("evaluate", RECIPE, "--out", folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.parametrize("student", STUDENTS)
@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_the_artifact_says_what_the_network_says(student: str, runtime: str, run: Path) -> None:
    python = load_arrays(run / f"predictions/{student}.npz")
    exported = load_arrays(run / f"predictions/{student}-{runtime}-fp32.npz")
    for split in ("valid", "test", "heldout"):
        # a forest's image may lie within rounding of a threshold: that moves one vote of five
        near = np.abs(python[split] - exported[split]) < 1e-5
        assert near.all() if student == "spectrum" else near.mean() > 0.9
    detector = Detector.load(run / f"artifacts/{student}-{runtime}-fp32", threads=1)
    assert 0 <= detector.predict(np.zeros((32, 32, 3), np.uint8)).probability <= 1


@pytest.mark.parametrize("student", STUDENTS)
def test_a_teacher_changes_what_is_fitted(student: str, run: Path) -> None:
    taught, alone = (
        read_sidecar(run / f"students/{student}/{arm}weights.safetensors") for arm in ("", "alone/")
    )
    assert taught["sha256"] != alone["sha256"]
    assert taught["fitted"]["head"] == {"spectrum": "logistic", "forest": "random_forest"}[student]
    history = History.read(run / f"students/{student}/seed0/distilled/history.json")
    assert (history.epochs, history.best_epoch) == ((), 0)
    assert history.fitted_score == pytest.approx(taught["fitted"]["score"])
    assert f"{student}-onnxruntime-fp32" in AccuracyRecord.read(run / "accuracy.json").models


def test_the_spectrum_of_transposed_convolutions_is_found(run: Path) -> None:
    choice = Choice.read(run / "students/spectrum/alone/choice.json")
    fitted = read_sidecar(run / "students/spectrum/alone/weights.safetensors")["fitted"]
    assert fitted["score"] > 0.6 and choice.calibration.temperature > 0


def test_embeddings_are_computed_once_for_both_arms(run: Path) -> None:
    splits = ("valid", "test", "heldout", "control")
    # of each backbone: those, the training images, and these with the unlabelled ones
    files = list((run / "embeddings").iterdir())
    widths = [open_tensors(path)[1]["embeddings"].shape[1] for path in files]
    assert widths.count(96) == len(splits) + 2
    # each arm has fine-tuned a backbone of its own
    assert widths.count(256) == 2 * (len(splits) + 1) == len(widths) - widths.count(96)


def test_a_backbone_is_fine_tuned_before_its_head_is_fitted(run: Path) -> None:
    for arm in ("alone", "distilled"):
        folder = run / f"students/forest/seed0/{arm}"
        tuned = History.read(folder / "backbone/history.json")
        assert [epoch.epoch for epoch in tuned.epochs] == [1]
        assert tuned.seconds < History.read(folder / "history.json").seconds
        assert not (folder / "backbone/weights.safetensors").exists()
    torch.manual_seed(0)
    options = {"backbone": "timm:test_efficientnet", "head": "random_forest"}
    untrained = build_student("embed", options=options).backbone.state_dict()
    states = [
        load_file(run / f"students/forest/seed0/{arm}/weights.safetensors") for arm in ("alone", "distilled")
    ]
    first = next(name for name, value in untrained.items() if value.ndim == 4)
    ours, theirs = (state[f"backbone.{first}"] for state in states)
    assert 0 < (ours - untrained[first]).abs().max() < 0.5 and not torch.equal(ours, theirs)
    means = next(name for name in untrained if name.endswith("running_mean"))
    assert all(state[f"backbone.{means}"].any() for state in states)  # of its images, no longer as it came


def test_a_finished_run_is_kept(run: Path) -> None:
    path = run / "students/forest/seed0/alone/history.json"
    before = path.stat().st_mtime_ns
    assert edgeproof("distill", run, "--out", run).returncode == 0
    assert path.stat().st_mtime_ns == before


def test_embeddings_of_another_backbone_are_refused(run: Path, tmp_path: Path) -> None:
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    shapes = {path: open_tensors(path)[1]["embeddings"].shape for path in (copy / "embeddings").iterdir()}
    wide = {shape[0]: path for path, shape in shapes.items() if shape[1] == 256}
    for path, shape in shapes.items():
        if shape[1] == 96:
            shutil.copy(wide[shape[0]], path)
    shutil.rmtree(copy / "students/spectrum")
    line = one_line_error(edgeproof("distill", copy, "--out", copy))
    assert "embeddings of another backbone, preprocessing or data set" in line and "delete the file" in line


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            "students.forest.options.search={C=[1.0]}",
            "forest.options.search: unknown hyper-parameter of random_forest 'C'",
        ),
        ("students.spectrum.options.search={C=[-1.0]}", "students.spectrum.options.search.C: found -1.0"),
        ("students.spectrum.options.search={C=[]}", "students.spectrum.options.search.C: found no value"),
        (
            'distillation.methods=[{name="hint"}]',
            "forest: the head random_forest has no gradients and learns soft labels",
        ),
        ("teacher.name=spectrum", "teacher.name: 'spectrum' is fitted, not trained"),
    ],
)
def test_what_cannot_be_fitted_is_said_before_any_work(change: str, message: str) -> None:
    assert message in _mistakes(change)


def test_a_spectrum_in_8_bits_is_refused() -> None:
    said = _mistakes("students.spectrum.int8=true", "quantization.ort.samples=8")
    assert said.startswith("students.spectrum.int8: found true") and said.endswith("expected int8 = false")
    assert "\n" not in said


def test_without_int8_no_quantizer_is_listed() -> None:
    recipe = load_recipe(str(RECIPE), overrides=["quantization.ort.samples=8", "students.forest.int8=true"])
    roster = roster_of(recipe, runtimes={"ort": "onnxruntime"})
    assert {item.model.name for item in roster.artifacts if item.precision == "int8"} == {"teacher", "forest"}


def _mistakes(*changes: str) -> str:
    recipe = load_recipe(str(RECIPE), overrides=list(changes))
    with pytest.raises(EdgeproofError) as caught:
        check_names(recipe, roster_of(recipe))
    return str(caught.value)
