"""What a run will take is told before it starts."""

import re
from pathlib import Path

import pytest
from conftest import TINY

from distill.cli.outlook import told
from distill.cli.run import roster_for, stages_of
from distill.data.samples import Dataset, Sample
from distill.recipe import load_recipe
from distill.roster import roster_of
from distill.stages import forecast as module
from distill.stages.forecast import Images, count_images, forecast, measured_step


def recipe(*overrides: str):
    return load_recipe(str(TINY), overrides=overrides)


def reckoned(*overrides: str, images: Images, processes: int = 1, step: float = 0.1):
    given = recipe(*overrides)
    found = forecast(
        given, roster_for(given), stages_of(given, verb="report"), images=images, processes=processes,
        step_seconds=lambda *_: step,
    )  # fmt: skip
    return found, {stage.name: stage.cost for stage in found.stages}


FEW, MANY = Images(train=160, unlabelled=0, judged=80), Images(train=1600, unlabelled=0, judged=80)


def test_trainings_cost_their_steps_and_the_rest_what_it_cost_before():
    found, costs = reckoned(images=FEW)
    student = "student:small_cnn:seed0:distilled"
    declared = {stage.name: stage.cost for stage in stages_of(recipe(), verb="report")}
    assert costs["data"] == declared["data"] and costs["accuracy"] == declared["accuracy"]
    # two epochs of ten steps of 16 images, each 0.1 s and half as long again around it; and 80 images judged
    judging = 80 / 16 * 0.1 * 1.5 / 3
    assert costs[student] == pytest.approx(2 * 10 * 0.15 + judging * (1 + 2 / 3))
    assert found.trainings == 1 + 4, "a teacher; two arms of two seeds"
    more, _ = reckoned(images=MANY)
    assert more.seconds > found.seconds and more.memory_mb > found.memory_mb
    longer, _ = reckoned("students.small_cnn.epochs=20", images=FEW)
    assert longer.seconds > found.seconds


def test_finished_weights_are_no_training():
    found, costs = reckoned(
        "teacher.name=sim-64", "distillation.methods=[{name='soft_bce'}]", "data.path=x", images=MANY
    )
    assert costs["data"] == pytest.approx(1 + 1680 * 0.005), "read, not rendered"
    assert found.trainings == 4
    assert costs["teacher"] < costs["student:small_cnn:seed0:distilled"]


def test_what_runs_side_by_side_takes_less_time_and_more_memory():
    one, costs = reckoned(images=MANY)
    two, same = reckoned(images=MANY, processes=2)
    assert costs == same and one.seconds > two.seconds > one.seconds / 2, "some stages have the machine alone"
    assert two.memory_mb == pytest.approx(2 * one.memory_mb)


def test_a_network_is_measured_once_however_often_it_trains():
    asked = []
    given = recipe()
    forecast(
        given, roster_for(given), stages_of(given, verb="report"), images=FEW, processes=1,
        step_seconds=lambda _, model: asked.append(model.section) or 0.1,
    )  # fmt: skip
    assert sorted(asked) == ["students.small_cnn", "teacher"]


def test_images_are_counted_as_they_will_be_split():
    simulated = count_images(recipe().data, None)
    assert simulated == Images(train=96, unlabelled=0, judged=2 * (24 + 24 + 12 + 12))
    samples = [Sample(path=f"{i}.png", label=i % 2) for i in range(1000)]
    samples += [Sample(path=f"u{i}.png", label=-1, split="unlabelled") for i in range(7)]
    dataset = Dataset(root=Path(), layout="class_folders", samples=tuple(samples))
    cut = count_images(recipe("data.path=x").data, dataset)
    assert (cut.unlabelled, cut.total) == (7, 1007) and 700 <= cut.train <= 730


def test_measuring_reads_no_weights(monkeypatch):
    given = recipe("teacher.options.pretrained=true")
    model = roster_of(given).teachers[0]
    monkeypatch.setattr(module, "_MEASURED_S", 0.0)
    assert 0 < measured_step(given, model) < 60


def test_it_is_told_in_a_line():
    found, _ = reckoned(images=MANY)
    text = told(found)
    assert re.fullmatch(r"1,680 images, 5 trainings: about \d+ min and \d+\.\d GB of memory \(.*\)", text)
