"""A teacher that learns from images of its own, shipped weights, and the check before it teaches."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import TINY
from safetensors.torch import load_file

from distill import pretrained
from distill.check import check_names
from distill.cli.run import all_stages, roster_for, run
from distill.data.samples import UNLABELLED
from distill.data.simulate.settings import SceneCounts, SimulationSettings
from distill.data.simulate.writer import simulate
from distill.errors import EdgeproofError
from distill.models import make_model
from distill.pipeline.runfolder import load_arrays, load_samples, save_samples
from distill.pipeline.stage import Run
from distill.pipeline.state import stage_keys
from distill.recipe import load_recipe, to_toml
from distill.roster import roster_of
from distill.stages.data import home_of
from distill.stages.teacher import train_teacher
from distill.stages.teacher_check import check_outputs, labelled_rows
from distill.training.checkpoint import read_sidecar, save_weights

OWN = (
    "teacher.data.simulate={seed=9, size=32, instances=1, families=['vae8'], held_out=[], "
    "scenes={train=20, valid=12, test=0, heldout=0, control=0}}",
)
SMALL = (
    "data.simulate.scenes={train=16, valid=12, test=12, heldout=0, control=0, unlabelled=8}",
    "distillation.controls=['pool']", "training.seeds=[0]",
    "training.processes=1", "teacher.epochs=1", "students.small_cnn.epochs=1",
)  # fmt: skip


@pytest.fixture(scope="module")
def distilled(tmp_path_factory) -> Path:
    """A run whose teacher learned from images of its own, up to the students; unlabelled images among the run's."""
    folder = tmp_path_factory.mktemp("own") / "run"
    return run(TINY, out=folder, overrides=[*OWN, *SMALL], verb="distill")


def test_the_teacher_learns_from_its_own_images_and_students_from_the_runs(distilled):
    own, students = (load_samples(distilled / place) for place in ("teacher", "."))
    assert {sample.split for sample in own.samples} == {"train", "valid"}
    assert own.root == (distilled / "teacher" / "data" / "simulated").resolve()
    known = read_sidecar(distilled / "teacher" / "weights.safetensors")
    assert known["learned_from"] == {"data": "simulated", "labelled": 40, "scenes": 20, "own": True}
    student = read_sidecar(distilled / "students" / "small_cnn" / "weights.safetensors")
    assert student["learned_from"] == {"data": "simulated", "labelled": 32, "scenes": 16, "own": False}
    pool = read_sidecar(distilled / "students" / "small_cnn" / "pool" / "weights.safetensors")
    assert pool["learned_from"] == {"data": "simulated", "labelled": 48, "scenes": 24, "own": False}
    # it is judged on the run's images, and asked about those that the students learn from
    assert load_arrays(distilled / "teacher" / "logits.npz")["test"].shape == (len(students.split("test")),)
    assert {"name", "data", "valid", "test"} == set(known["metric"])
    assert (distilled / "teacher" / "data" / "audit.json").is_file()


def test_the_simulated_pool_hides_its_labels_and_nothing_else_changes(tmp_path):
    few = {"train": 2, "valid": 1, "test": 1, "heldout": 0, "control": 0}
    settings = SimulationSettings(
        size=32, instances=1, families=("vae8",), scenes=SceneCounts(**few, unlabelled=3)
    )
    found = simulate(settings, root=tmp_path / "with", workers=1)
    pool = found.split("unlabelled")
    assert [(s.label, s.generator, s.box, s.truth) for s in pool] == [
        (UNLABELLED, "", None, truth) for _ in range(3) for truth in (0, 1)
    ]
    assert {sample.truth for sample in found.samples if sample.split != "unlabelled"} == {UNLABELLED}
    without = settings.model_copy(update={"scenes": SceneCounts(**few)})
    plain = simulate(without, root=tmp_path / "without", workers=1)
    for sample in plain.samples:
        assert (tmp_path / "with" / sample.path).read_bytes() == (
            tmp_path / "without" / sample.path
        ).read_bytes()
    save_samples(found, tmp_path / "run")
    assert load_samples(tmp_path / "run").samples == found.samples


def test_a_change_of_the_teachers_images_redoes_the_teacher_and_keeps_the_runs_images():
    before, after = (
        load_recipe(str(TINY), overrides=[*OWN, f"teacher.data.simulate.seed={seed}"]) for seed in (9, 10)
    )
    old, new = (stage_keys(all_stages(recipe), recipe) for recipe in (before, after))
    changed = {name for name in old if old[name] != new[name]}
    assert {"teacher:data", "teacher:audit", "teacher", "student:small_cnn:seed0:distilled"} <= changed
    assert not {"data", "audit", "student:small_cnn:seed0:alone"} & changed
    inert = load_recipe(str(TINY), overrides=[*OWN, "teacher.data.memory_mb=9"])
    assert stage_keys(all_stages(inert), inert) == old


def test_weights_make_images_of_its_own_needless():
    recipe = load_recipe(str(TINY), overrides=[*OWN, "teacher.weights=some.safetensors"])
    assert not roster_of(recipe).teachers[0].own_data
    assert home_of(Run(Path("r"), recipe), roster_of(recipe).teachers[0]).folder == Path("r")


# finished weights


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    """A folder of shipped weights with one teacher, "tiny-sim", of the tests' architecture with another mean."""
    recipe = load_recipe(str(TINY))
    teacher = roster_of(recipe).teachers[0]
    torch.manual_seed(4)
    spec = recipe.preprocess.model_copy(update={"mean": (0.4, 0.4, 0.4)})
    save_weights(
        make_model(recipe, teacher), tmp_path / "teachers" / "pretrained" / "tiny-sim.safetensors",
        sidecar={
            "architecture": recipe.teacher.name, "options": recipe.teacher.options, "task": "binary",
            "preprocess": spec.model_dump(mode="json"), "data": "simulated",
            "learned_from": {"data": "simulated", "labelled": 40, "scenes": 20, "own": True},
        },
    )  # fmt: skip
    monkeypatch.setattr(pretrained, "_folder", lambda: tmp_path / "teachers" / "pretrained")
    return tmp_path / "teachers" / "pretrained" / "tiny-sim.safetensors"


def test_the_name_of_shipped_weights_says_everything_of_a_teacher(shipped, tmp_path):
    source = tmp_path / "short.toml"
    text = TINY.read_text().replace(
        'options = { backbone = "test_efficientnet", fpn_channels = 16, levels = 2 }', 'name = "tiny-sim"', 1
    )
    source.write_text(text)
    recipe = load_recipe(str(source))
    assert recipe.teacher.name == "efficientnet_fpn_cbam" and recipe.teacher.weights == "tiny-sim"
    assert recipe.teacher.options["backbone"] == "test_efficientnet"
    assert recipe.teacher.preprocess.mean == (0.4, 0.4, 0.4)
    check_names(recipe, roster_of(recipe))
    again = tmp_path / "again.toml"
    again.write_text(to_toml(recipe))
    assert load_recipe(str(again)) == recipe
    trained = load_recipe(str(source), overrides=["teacher.weights="])
    assert trained.teacher.weights == "" and trained.teacher.name == "efficientnet_fpn_cbam"


def test_weights_shown_images_with_another_mean_are_refused(shipped):
    recipe = load_recipe(str(TINY), overrides=["teacher.weights=tiny-sim"])
    with pytest.raises(EdgeproofError) as error:
        check_names(recipe, roster_of(recipe))
    message = str(error.value)
    assert (
        "teacher.weights" in message and "[0.4, 0.4, 0.4]" in message and "[0.485, 0.456, 0.406]" in message
    )
    assert "teacher.preprocess.mean" in message and "\n" not in message


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (["teacher.weights=elsewhere.safetensors"], "no such file, expected .* or shipped weights: tiny-sim"),
        (["teacher.weights=tiny-sim", "teacher.name='small_cnn'", "teacher.options={}"],
         "architecture is 'efficientnet_fpn_cbam', but the recipe says 'small_cnn'"),
    ],
)  # fmt: skip
def test_weights_of_another_teacher_are_refused(shipped, change, expected):
    recipe = load_recipe(str(TINY), overrides=change)
    with pytest.raises(EdgeproofError, match=expected):
        check_names(recipe, roster_of(recipe))


def test_another_file_under_the_same_name_is_another_teacher(tmp_path):
    recipe = load_recipe(str(TINY))
    weights = tmp_path / "t.safetensors"
    save_weights(make_model(recipe, roster_of(recipe).teachers[0]), weights, sidecar={})
    adopting = load_recipe(str(TINY), overrides=[f"teacher.weights={weights}"])
    before = stage_keys(all_stages(adopting), adopting)
    assert stage_keys(all_stages(adopting), adopting) == before
    torch.manual_seed(99)
    save_weights(make_model(recipe, roster_of(recipe).teachers[0]), weights, sidecar={})
    after = stage_keys(all_stages(adopting), adopting)
    assert before["teacher"] != after["teacher"] and before["audit"] == after["audit"]


def test_adopted_weights_tell_where_they_learned(shipped, distilled, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(distilled / "data", folder / "data")
    overrides = [
        *SMALL,
        "teacher.weights=tiny-sim",
        "teacher.preprocess.size=32",
        "teacher.preprocess.mean=[0.4, 0.4, 0.4]",
    ]
    recipe = load_recipe(str(TINY), overrides=overrides)
    train_teacher(Run(folder, recipe), lambda *_: None, model=roster_of(recipe).teachers[0])
    about = read_sidecar(folder / "teacher" / "weights.safetensors")
    assert about["trained_on"] == "simulated" and about["learned_from"]["scenes"] == 20
    # a file that is not what its sidecar describes
    side = shipped.with_suffix(".json")
    side.write_text(json.dumps({**json.loads(side.read_text()), "sha256": "0"}))
    with pytest.raises(EdgeproofError, match="sha256"):
        train_teacher(Run(folder, recipe), lambda *_: None, model=roster_of(recipe).teachers[0])


# before it teaches


@pytest.fixture
def judged(tmp_path):
    """A run with a teacher whose sidecar says what it knows."""

    def make(**sidecar):
        recipe = load_recipe(str(TINY))
        teacher = roster_for(recipe).teachers[0]
        save_weights(
            torch.nn.Linear(1, 1), tmp_path / teacher.folder / "weights.safetensors", sidecar=sidecar
        )
        return Run(tmp_path, recipe), teacher

    return make


def answers(auc_like: float, *, images: int = 2000):
    """Labels, and logits that are as far apart as asked for."""
    rng = np.random.default_rng(0)
    labels = np.arange(images) % 2
    return labels, (rng.standard_normal(images) + auc_like * labels).astype(np.float32)


def test_a_teacher_that_knows_what_it_promised_may_teach(judged):
    run_, teacher = judged(metric={"name": "AUC", "data": "simulated", "valid": 0.9})
    labels, logits = answers(1.9)  # AUC .91
    check_outputs(run_, teacher, labels=labels, logits=logits, what="outputs")


def test_a_teacher_that_knows_less_is_stopped_with_the_likely_cause(judged):
    run_, teacher = judged(metric={"name": "AUC", "data": "simulated", "valid": 0.957})
    labels, logits = answers(1.9)
    with pytest.raises(
        EdgeproofError, match=r"outputs: the teacher's AUC on 2000 .* expected 0\.957.*mean, std"
    ):
        check_outputs(run_, teacher, labels=labels, logits=logits, what="outputs")


def test_few_images_allow_for_chance(judged):
    run_, teacher = judged(metric={"name": "AUC", "data": "simulated", "valid": 0.957})
    labels, logits = answers(1.9, images=60)
    check_outputs(run_, teacher, labels=labels, logits=logits, what="outputs")


def test_the_shipped_promise_counts_on_data_of_the_same_kind_alone(judged, monkeypatch):
    from distill.stages import teacher_check

    labels, logits = answers(1.9)
    run_, teacher = judged(promised={"name": "AUC", "data": "simulated", "test": 0.985})
    monkeypatch.setattr(teacher_check, "data_name", lambda run: "my photos")
    check_outputs(run_, teacher, labels=labels, logits=logits, what="outputs")
    monkeypatch.setattr(teacher_check, "data_name", lambda run: "simulated")
    with pytest.raises(EdgeproofError, match=r"0\.985 as its weights' sidecar says"):
        check_outputs(run_, teacher, labels=labels, logits=logits, what="outputs")


def test_answers_that_are_not_finite_or_of_one_class_are_refused(judged):
    run_, teacher = judged()
    labels, logits = answers(1.9)
    logits[3] = np.nan
    with pytest.raises(EdgeproofError, match="1 logits that are not finite"):
        check_outputs(run_, teacher, labels=labels, logits=logits, what="outputs")
    with pytest.raises(EdgeproofError, match="1 classes"):
        check_outputs(run_, teacher, labels=labels * 0, logits=np.zeros(2000, np.float32), what="outputs")


def test_rows_to_check_are_labelled_and_few():
    labels = np.array([-1, 0, 1] * 3000)
    rows = labelled_rows(labels, seed=0)
    assert len(rows) == 2000 and (labels[rows] >= 0).all() and (np.diff(rows) > 0).all()


def test_a_wrong_normalization_is_found_in_a_real_run(distilled, tmp_path):
    """The defect that once turned a gain into a loss: the teacher sees images normalized for another network."""
    from distill.stages.sources import sources_of
    from distill.stages.teacher import cache_outputs

    folder = tmp_path / "run"
    shutil.copytree(distilled, folder)
    recipe = load_recipe(str(folder / "recipe.toml"))
    weights = folder / "teacher" / "weights.safetensors"
    about = read_sidecar(weights)
    side = weights.with_suffix(".json")
    side.write_text(json.dumps({**about, "metric": {**about["metric"], "valid": 0.999}}))
    (source,) = sources_of(recipe, roster_of(recipe))
    source = replace(
        source,
        teacher=replace(
            source.teacher, preprocess=recipe.preprocess.model_copy(update={"std": (9.0, 9.0, 9.0)})
        ),
    )
    with pytest.raises(EdgeproofError, match="the teacher's AUC on 32 labelled training images"):
        cache_outputs(Run(folder, recipe), lambda *_: None, source=source)


def test_finished_weights_are_where_a_fine_tuning_begins(shipped, distilled, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(distilled / "data", folder / "data")
    overrides = [
        *SMALL,
        "teacher.weights=tiny-sim",
        "teacher.fine_tune=true",
        "teacher.learning_rate=1e-12",  # so small that what it begins with can still be seen
        "teacher.preprocess.size=32",
        "teacher.preprocess.mean=[0.4, 0.4, 0.4]",
    ]
    recipe = load_recipe(str(TINY), overrides=overrides)
    teacher = roster_of(recipe).teachers[0]
    train_teacher(Run(folder, recipe), lambda *_: None, model=teacher)
    assert len(json.loads((folder / "teacher" / "history.json").read_text())["epochs"]) == 1
    about = read_sidecar(folder / "teacher" / "weights.safetensors")
    assert about["fine_tuned_from"] == "tiny-sim" and "adopted_from" not in about
    before, after = load_file(shipped), load_file(folder / "teacher" / "weights.safetensors")
    learned = [name for name in before if name.endswith("weight")]
    assert learned and all(torch.allclose(before[name], after[name], atol=1e-6) for name in learned)


def test_a_fine_tuning_is_another_teacher_and_needs_weights_to_begin_from():
    weights = "teacher.weights=some.safetensors"
    finished = load_recipe(str(TINY), overrides=[*OWN, weights])
    tuned = load_recipe(str(TINY), overrides=[*OWN, weights, "teacher.fine_tune=true"])
    assert finished.teacher.finished and not tuned.teacher.finished
    assert roster_of(tuned).teachers[0].own_data and not roster_of(finished).teachers[0].own_data
    with pytest.raises(EdgeproofError, match=r"teacher.*weights to begin from beside fine_tune"):
        load_recipe(str(TINY), overrides=["teacher.fine_tune=true"])
