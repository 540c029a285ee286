"""What a run holds is listed once: names, folders, and who is made from whom."""

import pytest

from distill.check import check_names
from distill.cli.run import all_stages, roster_for
from distill.errors import EdgeproofError
from distill.recipe import parse_recipe
from distill.roster import roster_of

RECIPE = {
    "name": "r",
    "data": {"path": "photos"},
    "preprocess": {"size": 64},
    "teacher": {"options": {"backbone": "test_efficientnet", "fpn_channels": 16, "levels": 2}},
    "students": {"small": {"name": "small_cnn", "options": {"blocks": 2}}, "other": {"name": "small_cnn", "seeds": [7]}},
    "training": {"seeds": [0, 1]},
    "quantization": {"fast": {"tool": "nncf", "preset": "performance"}, "nncf": {}},
}  # fmt: skip


def recipe(**changes):
    return parse_recipe({**RECIPE, **changes}, origin="test")


def test_models_their_folders_and_trainings():
    roster = roster_of(recipe())
    assert [(m.key, m.role, m.arm, m.folder) for m in roster.models] == [
        ("teacher", "teacher", None, "teacher"),
        ("small", "student", "distilled", "students/small"),
        ("small/alone", "student", "alone", "students/small/alone"),
        ("other", "student", "distilled", "students/other"),
        ("other/alone", "student", "alone", "students/other/alone"),
    ]
    [small, other] = roster.distilled
    assert [m.folder for m in roster.trainings_of(small)] == [
        "students/small/seed0/distilled",
        "students/small/seed1/distilled",
    ]
    [alone] = roster.controls_of(other)
    assert [m.seed for m in roster.trainings_of(alone)] == [7]


def test_two_quantizers_for_one_runtime_write_two_artifacts():
    roster = roster_for(recipe())
    small = next(m for m in roster.distilled if m.name == "small")
    own = [a for a in roster.artifacts_of(small) if a.judged]
    assert [(a.key, a.quantizer, a.parent and a.parent.key) for a in own] == [
        ("small-onnxruntime-fp32", None, None),
        ("small-openvino-fp32", None, None),
        ("small-openvino-int8-fast", "fast", "small-openvino-fp32"),
        ("small-openvino-int8-nncf", "nncf", "small-openvino-fp32"),
    ]
    outputs = [file for stage in all_stages(recipe()) for file in stage.outputs]
    assert len(set(outputs)) == len(outputs)


def test_every_folder_key_and_prediction_is_one_things_alone():
    roster = roster_for(recipe())
    folders = [item.folder for item in (*roster.models, *roster.trainings, *roster.artifacts)]
    predictions = [item.predictions for item in (*roster.models, *roster.judged)]
    assert len(set(folders)) == len(folders) and len(set(predictions)) == len(predictions)
    assert len({a.size for a in roster.artifacts}) == 2


@pytest.mark.parametrize("quantization", [{}, {"ort": {}}])
@pytest.mark.parametrize("size", [64, 224])
def test_parity_starts_after_everything_it_compares(quantization, size):
    """At 224 pixels without quantizers it once needed nothing and started before the exports."""
    stages = all_stages(recipe(quantization=quantization, preprocess={"size": size}))
    parity = next(stage for stage in stages if stage.name == "parity")
    made = {
        stage.name for stage in stages if stage.verb in ("export", "quantize") and f"@{size}" in stage.name
    }
    assert made and made <= set(parity.needs)
    assert {"teacher:choice", "choose:small", "choose:other"} <= set(parity.needs)
    order = [stage.name for stage in stages]
    assert all(order.index(need) < order.index(stage.name) for stage in stages for need in stage.needs)


def test_several_teachers_each_with_its_own_input():
    settings = {"name": "timm:test_resnet", "preprocess": {"size": 96}}
    methods = {"methods": [{"name": "logit_mse"}, {"name": "soft_bce", "teachers": ["large"]}]}
    found = recipe(teachers={"large": settings}, distillation=methods)
    roster = roster_of(found)
    assert [(t.name, t.folder, t.preprocess.size) for t in roster.teachers] == [
        ("teacher", "teacher", 64),
        ("large", "teachers/large", 96),
    ]
    assert [model.key for model in roster.deployed] == ["teacher", "small", "other"]
    names = {stage.name for stage in all_stages(found)}
    assert {"teachers:large", "teachers:large:choice", "teachers:large:outputs", "teacher:outputs"} <= names
    heard = next(s for s in all_stages(found) if s.name == "student:small:seed0:distilled")
    alone = next(s for s in all_stages(found) if s.name == "student:small:seed0:alone")
    assert {"teacher:outputs", "teachers:large:outputs"} <= set(heard.needs) and set(alone.needs) == {"audit"}


def test_control_arms_have_keys_folders_and_stages_of_their_own():
    found = recipe(distillation={"controls": ["pool", "plain"]}, augmentation={"jpeg": {"probability": 0.5}})
    roster = roster_of(found)
    [small, _] = roster.distilled
    assert [(m.key, m.folder) for m in roster.controls_of(small)] == [
        ("small/alone", "students/small/alone"),
        ("small/plain", "students/small/plain"),
        ("small/pool", "students/small/pool"),
    ]
    assert [m.folder for m in roster.trainings_of(roster.controls_of(small)[2])] == [
        "students/small/seed0/pool",
        "students/small/seed1/pool",
    ]
    assert roster.deployed == roster_of(recipe()).deployed  # no control arm is exported
    stages = {stage.name: stage for stage in all_stages(found)}
    pool, plain = (stages[f"student:small:seed0:{arm}"] for arm in ("pool", "plain"))
    assert "pool" in pool.needs and set(plain.needs) == {"audit"}
    assert "augmentation" in pool.reads and "augmentation" not in plain.reads
    names = list(stages)
    assert (
        names.index("data") < names.index("pool") < names.index("teacher")
    )  # refused before anything trains


def test_the_order_of_controls_in_a_recipe_changes_nothing():
    one, other = (
        roster_of(recipe(distillation={"controls": c})) for c in (["pool", "plain"], ["plain", "pool"])
    )
    assert one == other


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"distillation": {"controls": ["plain"]}}, "plain trains without augmentation, found none"),
        (
            {"distillation": {"controls": ["pool"]}, "data": {"path": "photos", "unlabelled": "more"}},
            "found data.unlabelled = 'more', which tells none",
        ),
        (
            {"distillation": {"controls": ["pool"]}, "data": {"simulate": {"scenes": {"unlabelled": 0}}}},
            "data.simulate.scenes.unlabelled = 0",
        ),
    ],
)
def test_a_control_that_cannot_be_is_refused_before_any_work(changes, message):
    found = recipe(**changes)
    with pytest.raises(EdgeproofError, match=message) as caught:
        check_names(found, roster_of(found))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("controls", [["pool", "pool"], ["alone"], "pool"])
def test_a_misspelt_control_is_named(controls):
    with pytest.raises(EdgeproofError, match="distillation.controls"):
        recipe(distillation={"controls": controls})


def test_where_views_are_cached_only_the_taught_student_is_bound_to_them():
    found = recipe(distillation={"controls": ["plain"]}, augmentation={"jpeg": {"probability": 0.5}})
    stages = {stage.name: stage for stage in all_stages(found)}
    fixed = {
        arm: stages[f"student:small:seed0:{arm}"].arguments["views"].fixed
        for arm in ("distilled", "alone", "plain")
    }
    assert fixed == {"distilled": True, "alone": False, "plain": False}
