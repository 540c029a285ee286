"""The sweep's second half: numbers by hand, from outputs that are written here."""

import numpy as np
import pytest

from bench.degradations import measure_degradations
from bench.records.accuracy import AccuracyRecord
from bench.records.degradations import DegradationsRecord
from bench.records.identity import identity_of
from deploy.stages.degradations import OUTPUTS
from distill.data.samples import Dataset, Sample
from distill.evaluation.calibration import Calibration
from distill.evaluation.choice import Choice
from distill.pipeline.runfolder import save_arrays, save_samples
from distill.pipeline.stage import Run
from distill.recipe import parse_recipe
from distill.roster import roster_of

RECIPE = {
    "name": "mine",
    "data": {"path": "photos"},
    "students": {"small": {"name": "small_cnn"}},
    "quantization": {"ort": {"tool": "ort"}},
}
ROSTER = roster_of(parse_recipe(RECIPE, origin=""), runtimes={"ort": "onnxruntime"})
NAMES = ("clean", "jpeg30", "jpeg95_fakes")
THRESHOLDS = {"teacher": 0.5, "small": 0.4, "small/alone": 0.5}
INT8 = {"teacher": "teacher-onnxruntime-int8-ort", "small": "small-onnxruntime-int8-ort"}
# test images 1 to 4 of five: real, generated, real, generated
TEACHER = [[0.1, 0.9, 0.2, 0.8], [0.1, 0.6, 0.7, 0.8], [0.1, 0.3, 0.2, 0.4]]
TEACHER_INT8 = [[0.1, 0.9, 0.2, 0.45], [0.1, 0.6, 0.7, 0.4], [0.1, 0.3, 0.2, 0.4]]


def written(folder, *, labels=(0, 0, 1, 0, 1), group="scene{}"):
    probabilities = dict.fromkeys((*THRESHOLDS, INT8["small"]), TEACHER) | {INT8["teacher"]: TEACHER_INT8}
    samples = tuple(
        Sample(path=f"{i}.png", label=label, split="test", group=group.format(i // 2))
        for i, label in enumerate(labels)
    )
    save_samples(Dataset(root=folder, layout="class_folders", samples=samples), folder)
    arrays = {f"model/{name}": np.array(values) for name, values in probabilities.items()}
    chosen = {"samples": np.array([1, 2, 3, 4]), "degradations": np.array(NAMES)}
    save_arrays(folder / OUTPUTS, {**chosen, **arrays})
    for model in ROSTER.models:
        choice = Choice(seed=0, calibration=Calibration(), threshold=THRESHOLDS[model.key], weights="0" * 64)
        choice.write(folder / model.folder / "choice.json")
    return Run(folder=folder, recipe=parse_recipe(RECIPE, origin=""))


@pytest.fixture
def found(tmp_path):
    told = []
    run = written(tmp_path)
    record = measure_degradations(run, lambda done, total: told.append((done, total)), roster=ROSTER)
    assert told == [(done, 5) for done in range(1, 6)]
    record.write(tmp_path / "degradations.json")
    assert DegradationsRecord.read(tmp_path / "degradations.json") == record
    return record


def test_images_and_degradations_are_described(found):
    images = found.images
    assert (images.n, images.n_real, images.n_fake, images.groups, images.of) == (4, 2, 2, 3, 5)
    assert found.simulated is False
    assert [kind.name for kind in found.degradations] == list(NAMES)
    clean, jpeg, flip = found.degradations
    assert (jpeg.family, jpeg.strength, jpeg.generated_only) == ("JPEG quality", "30", False)
    assert clean.is_clean and clean.title == "clean"
    assert flip.generated_only and flip.title == "Only generated as JPEG 95"


def test_samples_without_a_group_are_groups_of_their_own(tmp_path):
    record = measure_degradations(written(tmp_path, group=""), lambda done, total: None, roster=ROSTER)
    assert record.images.groups == 4


def test_a_models_numbers_by_hand(found):
    teacher = found.models["teacher"]
    assert teacher.identity == identity_of(ROSTER.teachers[0]) and teacher.threshold == 0.5
    clean, worse, flipped = (teacher.degradations[name] for name in NAMES)
    assert (clean.auc, clean.tpr, clean.tnr, clean.balanced_accuracy) == (1, 1, 1, 1)
    assert (clean.auc_change, clean.auc_change_ci, clean.flips.count) == (
        0,
        None,
        0,
    )  # three groups: no interval
    assert worse.auc == 0.75 and worse.auc_change == -0.25  # 0.7 real above 0.6 generated
    assert (worse.tpr, worse.tnr) == (1, 0.5)
    assert worse.balanced_accuracy == 0.75 and worse.balanced_accuracy_change == -0.25
    assert (worse.flips.count, worse.flips.share) == (1, 0.25)
    # the scores keep their order and all verdicts are wrong: what only a frozen threshold shows
    assert (flipped.auc, flipped.tpr, flipped.tnr) == (1, 0, 1)
    assert flipped.balanced_accuracy_change == -0.5 and flipped.flips.count == 2


def test_each_model_keeps_its_own_frozen_threshold(found):
    assert {key: model.threshold for key, model in found.models.items()} == {
        **THRESHOLDS, INT8["teacher"]: 0.5, INT8["small"]: 0.4,
    }  # fmt: skip
    assert found.models["small"].degradations["jpeg95_fakes"].tpr == 0.5  # 0.4 is enough for it
    assert found.models["small/alone"].degradations["jpeg95_fakes"].tpr == 0


def test_a_model_is_described_by_its_place_in_the_roster(found):
    int8, alone = found.models[INT8["small"]].identity, found.models["small/alone"].identity
    assert (int8.name, int8.role, int8.arm) == ("small", "student", "distilled")
    assert (int8.runtime, int8.precision, int8.quantizer) == ("onnxruntime", "int8", "ort")
    assert int8.parent == "small-onnxruntime-fp32"
    assert (alone.name, alone.arm, alone.runtime, alone.parent) == ("small", "alone", "torch", None)


def test_steps_are_compared_under_every_degradation(found):
    steps = {(step.step, step.a, step.b): step.degradations for step in found.comparisons}
    assert set(steps) == {
        ("distillation", "small", "small/alone"),
        ("size", "small", "teacher"),
        ("int8", INT8["teacher"], "teacher"),
        ("int8", INT8["small"], "small"),
    }
    int8 = steps["int8", INT8["teacher"], "teacher"]
    assert [int8[name].flips.count for name in NAMES] == [1, 1, 0]
    # AUC 1 and 1; 2 of 4 pairs against 3; equal scores
    assert [int8[name].auc_difference for name in NAMES] == pytest.approx([0, -0.25, 0])
    same = steps["size", "small", "teacher"]["jpeg95_fakes"]
    assert same.auc_difference == 0 and same.flips.count == 1  # 0.4 is generated to one of them alone


def test_one_class_gives_no_auc_but_rates(tmp_path):
    record = measure_degradations(
        written(tmp_path, labels=(0, 1, 1, 1, 1)), lambda done, total: None, roster=ROSTER
    )
    cell = record.models["teacher"].degradations["jpeg30"]
    assert (cell.auc, cell.auc_change, cell.auc_change_ci, cell.tnr) == (None, None, None, None)
    assert cell.tpr == 0.75 and cell.balanced_accuracy_change is None


def test_the_finished_run_was_judged(finished_run):
    record = DegradationsRecord.read(finished_run / "degradations.json")
    accuracy = AccuracyRecord.read(finished_run / "accuracy.json").models
    assert record.simulated and record.images.n == 24
    assert set(record.models) < set(accuracy)
    for key, model in record.models.items():
        assert model.identity == accuracy[key].identity and model.threshold == accuracy[key].threshold
        assert len(model.degradations) == 18
