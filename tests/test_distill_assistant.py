"""A teaching assistant learns from the teacher before it teaches."""

import json
from pathlib import Path

import numpy as np
import pytest
from conftest import TINY
from test_distill_reads import Recording, undeclared

from distill import run
from distill.check import check_names
from distill.errors import EdgeproofError
from distill.pipeline.runfolder import load_samples
from distill.pipeline.stage import Run
from distill.pipeline.state import stage_keys
from distill.recipe import load_recipe
from distill.roster import roster_of
from distill.stages import distill_stages
from distill.stages.sources import all_sources, sources_for, sources_of
from distill.training.tensorfile import open_tensors

ASSISTED = (
    "teacher.name=small_cnn", "teacher.options={blocks=3}", "teacher.epochs=1",
    "teachers.helper={name='small_cnn', options={blocks=2}, epochs=1, batch_size=16, learns_from='teacher'}",
    "distillation.methods=[{name='soft_bce', teachers=['helper']}, {name='sp', teachers=['helper']}]",
)  # fmt: skip
SMALL = (
    "data.simulate.scenes={train=16, valid=12, test=12, heldout=0, control=0, unlabelled=8}",
    "training.seeds=[0]", "training.processes=1", "students.small_cnn.epochs=1",
)  # fmt: skip


def recipe_of(*overrides):
    return load_recipe(str(TINY), overrides=[*ASSISTED, *overrides])


@pytest.fixture(scope="module")
def assisted(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("assisted") / "run"
    return run(TINY, out=folder, overrides=[*ASSISTED, *SMALL], verb="distill")


def parts(folder):
    return set(json.loads((folder / "history.json").read_text())["epochs"][0]["train_parts"])


def test_the_assistant_learns_what_students_learn_from_the_teacher_before_it(assisted):
    assert parts(assisted / "teacher") == {"labels", "box"}
    assert parts(assisted / "teachers" / "helper") == {"labels", "box", "soft_bce", "sp"}
    assert parts(assisted / "students" / "small_cnn" / "seed0" / "distilled") == {"labels", "soft_bce", "sp"}
    # both were asked of the labelled and the unlabelled images, and of the maps that are read of them
    shown = len(load_samples(assisted).split("train", "unlabelled"))
    for place in ("teacher", "teachers/helper"):
        _, arrays = open_tensors(assisted / place / "outputs.safetensors")
        assert arrays["logits"].shape == (shown, 2)
        assert {name for name in arrays if name.startswith("feature.")} == {
            "feature.block1",
            "feature.block2",
        }
        assert np.isfinite(arrays["logits"]).all()


def test_the_assistants_stage_reads_what_it_declares(assisted):
    recipe = recipe_of(*SMALL)
    listed = distill_stages(recipe, roster_of(recipe))
    stages = {stage.name: stage for stage in listed}
    touched: set[str] = set()
    stages["teachers:helper"].run(Run(assisted, Recording(recipe, "", touched)), lambda done, total: None)
    assert not undeclared(stages["teachers:helper"], stages, touched)


def test_a_student_hears_the_assistant_and_the_assistant_the_teacher():
    recipe = recipe_of()
    roster = roster_of(recipe)
    names = [
        [source.teacher.name for source in sources]
        for sources in (
            all_sources(recipe, roster),
            sources_of(recipe, roster),
            sources_for(recipe, roster, roster.teachers[1]),
        )
    ]
    assert names == [["teacher", "helper"], ["helper"], ["teacher"]]
    stages = {stage.name: stage for stage in distill_stages(recipe, roster)}
    order = [name for name in stages if name.startswith("teach")]
    assert order == [
        "teacher", "teacher:choice", "teacher:outputs", "teachers:helper", "teachers:helper:choice", "teachers:helper:outputs",
    ]  # fmt: skip
    assert "teacher:outputs" in stages["teachers:helper"].needs
    assert "teacher:outputs" not in stages["student:small_cnn:seed0:distilled"].needs


def test_the_main_teacher_may_be_the_assistant():
    recipe = load_recipe(
        str(TINY),
        overrides=[
            "teacher.learns_from=large",
            "distillation.methods=[{name='soft_bce'}]",
            "teachers.large={name='small_cnn', options={blocks=5}}",
        ],
    )
    stages = [stage.name for stage in distill_stages(recipe, roster_of(recipe))]
    assert stages.index("teachers:large:outputs") < stages.index("teacher")
    stage_keys(distill_stages(recipe, roster_of(recipe)), recipe)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["teachers.helper.learns_from=techer"],
            "teachers.helper.learns_from: given 'techer' after helper, expected a teacher that does not learn from this one; "
            "choose among: teacher",
        ),
        (
            ["teacher.learns_from=helper"],
            "teacher.learns_from: given 'teacher' after teacher from helper, expected a teacher that does not learn from this "
            "one; choose among: no other teacher",
        ),
        (
            ["teachers.helper.weights=x.safetensors"],
            "teachers.helper.learns_from: given 'teacher' beside weights; an",
        ),
    ],
)
def test_an_assistant_that_cannot_be(overrides, message):
    with pytest.raises(EdgeproofError) as caught:
        recipe_of(*overrides)
    assert message in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("methods", "message"),
    [
        (
            "[{name='mutual'}]",
            "teachers.helper.learns_from: given 'teacher', found no method that listens to a teacher; expected one",
        ),
        (
            "[{name='sp', teachers=['helper'], teacher_features=['block9']}]",
            "teachers.helper: distillation.methods: sp: unknown teacher feature 'block9'; choose one of: block1, block2, block3",
        ),
    ],
)
def test_methods_that_do_not_fit_an_assistant_are_found_before_any_work(methods, message):
    recipe = recipe_of(f"distillation.methods={methods}")
    with pytest.raises(EdgeproofError) as caught:
        check_names(recipe, roster_of(recipe))
    assert message in str(caught.value).splitlines()
