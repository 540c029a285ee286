"""The recipes of the original reports: their settings, and each in a small form on simulated images."""

import json
from pathlib import Path

import pytest

from distill.check import check_names
from distill.cli.run import carry_out, stages_leaving
from distill.data.simulate.settings import SceneCounts, SimulationSettings
from distill.data.simulate.writer import simulate
from distill.recipe import Recipe, load_recipe, shipped_recipes
from distill.roster import roster_of

ONE_EPOCH = ("preprocess.size=32", "teacher.name=small_cnn", "teacher.options={blocks=1}", "teacher.epochs=1",
             "training.processes=1", "gates.accept=['file_bytes', 'compression']")  # fmt: skip
REPORTS = {
    "report-cnn4": (
        "small_cnn",
        "students.small_cnn.options={blocks=4, base_channels=16, convs_per_block=1}",
    ),
    "report-cnn6": (
        "small_cnn",
        "students.small_cnn.options={blocks=5, base_channels=16, convs_per_block=1}",
    ),
    "report-resnet18-head": ("resnet18", "students.resnet18.options={frozen=true}"),
    "report-mobilenetv2": ("mobilenet_v2", "students.mobilenet_v2.options={width_mult=0.1}"),
}


def test_every_recipe_of_the_reports_is_tried_here():
    assert set(REPORTS) == {name for name in shipped_recipes() if name.startswith("report-")}


def test_they_have_the_reports_own_settings():
    found = {name: load_recipe(name, overrides=["data.path=photos"]) for name in REPORTS}
    assert [schedule(found[name]) for name in REPORTS] == [30, 30, 20, 10]
    cnn4, cnn6 = (found[name].students["small_cnn"].options for name in ("report-cnn4", "report-cnn6"))
    assert (cnn4["blocks"], cnn4["classifier_layers"]) == (4, 2) and (
        cnn6["blocks"],
        cnn6["base_channels"],
    ) == (6, 128)
    shares = [1 - recipe.data.valid_share - recipe.data.test_share for recipe in found.values()]
    assert shares == pytest.approx([0.5, 0.7, 0.7, 0.7])
    assert found["report-resnet18-head"].students["resnet18"].options == {"pretrained": True, "frozen": True}
    assert found["report-mobilenetv2"].loss.pos_weight == "auto"


def schedule(recipe: Recipe) -> int:
    return next(iter(recipe.students.values())).epochs


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("reports")
    scenes = SceneCounts(train=24, valid=12, test=12, heldout=0, control=0)
    settings = SimulationSettings(
        size=32, instances=1, families=("vae8",), held_out=(), scenes=scenes, seed=4
    )
    simulate(settings, root=root, workers=1)
    return root


@pytest.mark.parametrize("name", REPORTS)
def test_it_trains_the_reports_network_on_simulated_images(name, images, tmp_path):
    student, options = REPORTS[name]
    recipe = load_recipe(
        name, overrides=[f"data.path={images}", *ONE_EPOCH, options, f"students.{student}.epochs=1"]
    )
    alone = roster_of(recipe).controls_of(roster_of(recipe).distilled[0])[0]
    carry_out(recipe, tmp_path / "run", stages_leaving(recipe, [alone.predictions]))
    about = json.loads((tmp_path / "run" / alone.folder / "weights.json").read_text())
    assert about["architecture"] == student and about["learned_from"]["labelled"] == 48


def test_seeds_has_every_system_of_the_reports_beside_a_distilled_student():
    recipe = load_recipe("seeds")
    check_names(recipe, roster_of(recipe))
    heads = {
        s.options.get("head", "logistic") for s in recipe.students.values() if s.name in ("embed", "spectrum")
    }
    assert {"logistic", "linear_svm", "knn", "random_forest", "gradient_boosting"} <= heads
    networks = {s.name for s in recipe.students.values()}
    assert {"rep_cnn", "small_cnn", "resnet18", "mobilenet_v2", "embed", "spectrum"} <= networks
    assert recipe.students["vit"].name.startswith("timm:xcit")
    assert {s.options.get("frozen", False) for s in recipe.students.values() if s.name == "resnet18"} == {
        True,
        False,
    }
    assert recipe.loss_of("mobilenet_v2").pos_weight == "auto" and recipe.loss_of("cnn4").pos_weight == "none"


def test_seeds_runs_in_a_tiny_form(images, tmp_path):
    tiny = ("students.logistic.options.backbone=timm:test_efficientnet", "students.logistic.options.folds=2",
            "students.vit.name=timm:test_vit", "students.vit.options.image_size=32", "students.vit.epochs=1",
            "students.spectrum.options.folds=2")  # fmt: skip
    recipe = load_recipe("seeds", overrides=[f"data.path={images}", *ONE_EPOCH, *tiny])
    few = {name: recipe.students[name] for name in ("logistic", "vit", "spectrum")}
    recipe = recipe.model_copy(update={"students": few})
    roster = roster_of(recipe)
    alone = [roster.controls_of(student)[0] for student in roster.distilled]
    carry_out(recipe, tmp_path / "run", stages_leaving(recipe, [model.predictions for model in alone]))
    for model in alone:
        assert (tmp_path / "run" / model.folder / "weights.json").is_file()
