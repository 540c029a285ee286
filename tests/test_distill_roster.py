"""What a run holds is listed once: names, folders, and who is made from whom."""

import pytest

from distill.cli.run import all_stages, roster_for
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
    assert [m.seed for m in roster.trainings_of(roster.alone(other))] == [7]
    assert roster.alone(small).arm == "alone" and roster.alone(small).name == "small"


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
