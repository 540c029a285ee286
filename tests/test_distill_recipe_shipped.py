"""The shipped recipes."""

from pathlib import Path

from recipe_fixture import failure

import distill
from distill.recipe import load_recipe, shipped_recipes

# files


def test_every_shipped_recipe_loads():
    folder = Path(distill.__file__).parent / "recipes"
    on_disk = {path.stem for path in folder.iterdir()}
    assert {
        "demo",
        "robust",
        "distill-small",
        "own",
        "photos",
        "cifake",
        "teacher-sim",
        "teacher-b3",
    } <= on_disk
    assert set(shipped_recipes()) == on_disk and len(on_disk) >= 8
    for name in on_disk:
        recipe = load_recipe(
            name,
            overrides=["data.path=photos"]
            if name in ("cifake", "own", "photos") or name.startswith("report-")
            else [],
        )
        assert recipe.name == name and recipe.description


def test_every_shipped_recipe_opens_with_command_time_and_result():
    for name, path in shipped_recipes().items():
        command, time, *_ = path.read_text().splitlines()
        verb = "teach " if name.startswith("teacher-sim") else "" if name == "compare-methods" else "run "
        assert command.startswith(f"# edgeproof {verb}{name}")
        assert time.startswith("# Time: ") and "Expected: " in path.read_text()


def test_cifake_asks_for_its_folder():
    assert "--set data.path=FOLDER" in failure("cifake")


def test_an_unknown_name_lists_the_shipped_ones():
    assert failure("dmeo").startswith(
        "unknown recipe 'dmeo'; choose one of: attribution, cifake, compare-methods, demo"
    )


def test_own_photographs_are_degraded_as_in_robust():
    for name in ("photos", "own"):
        assert load_recipe(name, overrides=["data.path=x"]).augmentation == load_recipe("robust").augmentation


def test_own_photographs_are_seen_at_their_resolution_by_teacher_and_student():
    recipe = load_recipe("own", overrides=["data.path=x"])
    for spec in (recipe.preprocess, recipe.teacher.preprocess):
        assert (spec.policy, spec.size) == ("center_crop", 128)
    assert recipe.teacher.weights == "sim-128-robust"
    trained = load_recipe("own", overrides=["data.path=x", "teacher.name=resnet18"]).teacher
    assert (trained.weights, trained.options) == ("", {})
