"""What the bench's stages need, and what makes them run again."""

import pytest

from bench.stages import bench_stages
from distill.cli.run import all_stages
from distill.pipeline.stage import Stage, makers
from distill.pipeline.state import stage_keys
from distill.recipe import Recipe, load_recipe
from distill.roster import roster_of


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    return load_recipe("demo")


def stage(recipe: Recipe, name: str) -> Stage:
    return next(stage for stage in all_stages(recipe) if stage.name == name)


def changed_stages(*overrides: str) -> set[str]:
    """The bench's stages that a changed recipe runs again."""
    before, after = load_recipe("demo"), load_recipe("demo", overrides=overrides)
    old, new = (stage_keys(all_stages(recipe), recipe) for recipe in (before, after))
    return {name for name in ("accuracy", "degradations", "bench") if old[name] != new[name]}


def test_accuracy_needs_what_is_judged_and_nothing_that_is_only_timed(recipe: Recipe) -> None:
    needs, size = stage(recipe, "accuracy").needs, recipe.preprocess.size
    assert {"teacher:choice", "choose:rep_cnn", "choose:rep_cnn/alone"} <= set(needs)
    assert {f"export:rep_cnn@{size}", f"quantize:teacher@{size}:nncf"} <= set(needs)
    assert not any("@224" in name for name in needs)


def test_the_bench_needs_every_artifact_and_no_student_alone(recipe: Recipe) -> None:
    needs = stage(recipe, "bench").needs
    assert {"teacher", "choose:rep_cnn", "export:rep_cnn@224", "quantize:teacher@224:ort"} <= set(needs)
    assert not any("alone" in name for name in needs)


def test_the_sweeps_judgement_needs_its_outputs_and_thresholds(recipe: Recipe) -> None:
    needs = stage(recipe, "degradations").needs
    assert "degradations:outputs" in needs and "choose:rep_cnn/alone" in needs


def test_a_file_that_no_stage_leaves_is_an_error(recipe: Recipe) -> None:
    some = [Stage("one", "teach", lambda run, progress: None, outputs=("a", "b"))]
    assert makers(some, ["b"]) == ("one",)
    with pytest.raises(ValueError, match="no stage leaves c, d"):
        makers(some, ["d", "a", "c"])
    with pytest.raises(ValueError, match=r"no stage leaves .*teacher/choice\.json"):
        bench_stages(recipe, roster_of(recipe), some)


@pytest.mark.parametrize(
    ("override", "again"),
    [
        ("gates.auc_drop=0.5", {"accuracy"}),
        ("gates.parity_fp32=0.5", set()),
        ("bench.rounds=3", {"bench"}),
        ("bench.like_for_like_size=96", {"bench"}),
        ("degradations.samples=7", {"degradations"}),
        ("description=other", set()),
        ("teacher.epochs=1", {"accuracy", "degradations", "bench"}),
    ],
)
def test_a_changed_recipe_runs_again_what_depends_on_it(override: str, again: set[str]) -> None:
    assert changed_stages(override) == again


def test_without_a_sweep_there_is_no_stage_of_it() -> None:
    recipe = load_recipe("demo", overrides=["degradations.samples=0"])
    assert "degradations" not in {stage.name for stage in all_stages(recipe)}


def test_the_bench_is_told_which_forms_could_not_be_made_and_why(recipe: Recipe) -> None:
    less = recipe.without_form("artifacts/rep_cnn-openvino-fp32", reason="no operator")
    told = stage(less, "bench").arguments["left_out"]
    assert {(item.runtime, item.model.name, reason) for item, reason in told} == {
        ("openvino", "rep_cnn", "no operator")
    }
    assert "left_out" not in stage(recipe, "bench").arguments, "the bench of an older run stays whole"
