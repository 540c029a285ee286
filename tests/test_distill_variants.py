"""Lessons beside the deployed one: arms of the same student, to compare methods."""

import pytest

from distill.cli.run import all_stages
from distill.errors import EdgeproofError
from distill.pipeline.state import stage_keys
from distill.recipe import load_recipe, parse_recipe, to_toml
from distill.roster import roster_of

RECIPE = {
    "name": "r",
    "data": {"path": "photos"},
    "preprocess": {"size": 64},
    "teacher": {"options": {"backbone": "test_efficientnet", "fpn_channels": 16, "levels": 2}},
    "students": {"small": {"name": "small_cnn", "options": {"blocks": 2}}},
    "training": {"seeds": [0, 1]},
    "distillation": {
        "methods": [{"name": "soft_bce"}],
        "variants": {
            "mse": {"methods": [{"name": "logit_mse"}]},
            "smooth": {"label_weight": 0, "methods": [{"name": "label_smoothing"}]},
        },
    },
}


def recipe(**variants):
    return parse_recipe(
        {**RECIPE, "distillation": {**RECIPE["distillation"], "variants": variants}} if variants else RECIPE,
        origin="test",
    )


def test_variants_are_arms_between_the_deployed_one_and_the_controls():
    roster = roster_of(recipe())
    assert [m.key for m in roster.students] == ["small", "small/mse", "small/smooth", "small/alone"]
    [small] = roster.distilled
    assert roster.deployed == (roster.teachers[0], small)
    assert [m.arm for m in roster.variants_of(small)] == ["mse", "smooth"]
    assert [m.arm for m in roster.controls_of(small)] == ["alone"]
    assert [m.folder for m in roster.trainings if m.arm == "mse"] == [
        "students/small/seed0/mse",
        "students/small/seed1/mse",
    ]


def test_a_lesson_without_a_teacher_needs_no_outputs():
    stages = {stage.name: stage for stage in all_stages(recipe())}
    assert "teacher:outputs" in stages["student:small:seed0:mse"].needs
    assert "teacher:outputs" not in stages["student:small:seed0:smooth"].needs
    assert stages["student:small:seed0:mse"].arguments["sources"]
    assert not stages["student:small:seed0:smooth"].arguments["sources"]


def test_a_changed_variant_redoes_itself_alone():
    before, after = recipe(), recipe(
        mse={"methods": [{"name": "logit_mse", "weight": 2.0}]}, smooth=RECIPE["distillation"]["variants"]["smooth"]
    )  # fmt: skip
    first, second = stage_keys(all_stages(before), before), stage_keys(all_stages(after), after)
    trained = {name for name in first if name.startswith("student:") and first[name] != second[name]}
    assert trained == {"student:small:seed0:mse", "student:small:seed1:mse"}


def test_variants_survive_the_recipe_file(tmp_path):
    path = tmp_path / "r.toml"
    path.write_text(to_toml(recipe()))
    assert load_recipe(str(path)) == recipe()


@pytest.mark.parametrize(
    ("variants", "message"),
    [
        (
            {"alone": {"methods": [{"name": "kl"}]}},
            "variants of other names than distilled, alone, pool, plain or seed<N>",
        ),
        ({"seed3": {"methods": [{"name": "kl"}]}}, "found 'seed3'"),
        ({"empty": {}}, "distillation.variants.empty.methods: missing, expected a value"),
        ({"far": {"methods": [{"name": "logit_mse", "teachers": ["aunt"]}]}}, "logit_mse listens to 'aunt'"),
    ],
)
def test_variants_that_cannot_be(variants, message):
    with pytest.raises(EdgeproofError, match=message):
        recipe(**variants)
