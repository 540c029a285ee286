"""Another network put in the place of a recipe's: what of the old one is kept."""

from distill.recipe import load_recipe, parse_recipe, to_toml

MINIMAL = {"name": "mine", "data": {"path": "photos"}, "students": {"small": {"name": "small_cnn"}}}

NETWORK = {
    **MINIMAL,
    "teacher": {
        "name": "small_cnn",
        "options": {"base_channels": 32},
        "epochs": 3,
        "weights": "old.safetensors",
    },
    "students": {"small": {"name": "small_cnn", "options": {"blocks": 5}, "epochs": 4}},
}


def overridden(tmp_path, *overrides):
    path = tmp_path / "mine.toml"
    path.write_text(to_toml(parse_recipe(NETWORK, origin="mine")))
    return load_recipe(str(path), overrides=overrides)


def test_another_name_comes_without_the_old_ones_options_and_weights(tmp_path):
    recipe = overridden(tmp_path, "teacher.name=resnet18", "students.small.name=rep_cnn")
    assert (recipe.teacher.name, recipe.teacher.options, recipe.teacher.weights) == ("resnet18", {}, "")
    assert recipe.teacher.epochs == 3, "what is no network's own stays"
    small = recipe.students["small"]
    assert (small.name, small.options, small.epochs) == ("rep_cnn", {}, 4)


def test_options_given_beside_another_name_are_kept_wherever_they_stand(tmp_path):
    for overrides in (
        ("teacher.options.width_mult=0.5", "teacher.name=mobilenet_v2"),
        ("teacher.name=mobilenet_v2", "teacher.options.width_mult=0.5"),
    ):
        assert overridden(tmp_path, *overrides).teacher.options == {"width_mult": 0.5}


def test_the_same_name_changes_nothing(tmp_path):
    recipe = overridden(tmp_path, "teacher.name=small_cnn", "students.small.epochs=9")
    assert recipe.teacher.options == {"base_channels": 32} and recipe.teacher.weights == "old.safetensors"
    assert recipe.students["small"].options == {"blocks": 5}


def test_shipped_weights_replace_those_of_a_resolved_recipe(tmp_path):
    first = load_recipe("demo", overrides=["teacher.name=sim-64"])
    (tmp_path / "recipe.toml").write_text(to_toml(first))
    found = load_recipe(str(tmp_path / "recipe.toml"), overrides=["teacher.name=sim-128-robust"]).teacher
    assert (found.weights, found.preprocess.size) == ("sim-128-robust", 128)
