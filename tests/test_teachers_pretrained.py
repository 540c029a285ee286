"""The weights that come with the package are what their sidecars say."""

import pytest
from safetensors.torch import load_file

from distill.check import check_names
from distill.errors import EdgeproofError
from distill.pretrained import shipped_weights
from distill.recipe import load_recipe, shipped_recipes
from distill.roster import roster_of
from distill.training.checkpoint import read_sidecar
from teachers import build_teacher

SHIPPED = sorted(shipped_weights().items())
MEGABYTE = 2**20


def test_there_are_some_and_they_are_small():
    assert {"sim-64", "sim-64-robust"} <= {name for name, _ in SHIPPED}
    sizes = [path.stat().st_size for _, path in SHIPPED]
    assert max(sizes) < 12 * MEGABYTE and sum(sizes) < 30 * MEGABYTE


@pytest.mark.parametrize(("name", "path"), SHIPPED)
def test_the_sidecar_tells_hash_data_recipe_and_knowledge(name, path):
    about = read_sidecar(path)  # verifies the hash
    assert about["data"] == "simulated" and about["learned_from"]["data"] == "simulated"
    assert about["learned_from"]["own"] and about["learned_from"]["scenes"] >= 15_000
    assert about["recipe"] in shipped_recipes()
    assert (
        about["metric"]["name"] == "AUC"
        and about["metric"]["test"] > 0.98
        and about["metric"]["heldout"] > 0.96
    )


@pytest.mark.parametrize(("name", "path"), SHIPPED)
def test_the_weights_fit_the_architecture_that_is_named(name, path):
    about = read_sidecar(path)
    teacher = build_teacher(about["architecture"], options=about["options"])
    teacher.load_state_dict(load_file(path), strict=True)


@pytest.mark.parametrize(("name", "path"), SHIPPED)
def test_no_recipe_that_uses_them_judges_on_what_they_learned(name, path):
    learned = load_recipe(read_sidecar(path)["recipe"]).teacher.data
    for recipe in shipped_recipes():
        own = recipe in ("cifake", "own", "photos") or recipe.startswith(
            "report-"
        )  # nobody knows what the user's images are
        settings = load_recipe(recipe, overrides=["data.path=x"] if own else [])
        if settings.teacher.weights == name and not own:
            assert settings.data.simulate.seed != learned.simulate.seed
            assert settings.data.simulate.held_out == learned.simulate.held_out


def test_an_unknown_teacher_is_told_of_the_shipped_ones():
    recipe = load_recipe("demo", overrides=["teacher.name=sim-46"])
    with pytest.raises(
        EdgeproofError, match=r"unknown teacher 'sim-46'; choose one of: .*sim-64, sim-64-robust"
    ):
        check_names(recipe, roster_of(recipe))
