"""What a teacher costs a training: the three forms of it, and how rounds become ratios. Nothing here is timed."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from bench.report.data import load_run
from bench.report.teacher_cost import teacher_cost
from distill.cli.run import all_stages
from distill.pipeline.stage import Run
from distill.recipe import load_recipe
from distill.roster import roster_of
from distill.stages.cost import COST, Turns, timed_in_turn, why_not
from distill.stages.sources import shown_views, sources_of
from distill.training.cost import DistillationCost, costs_of
from distill.training.fit import Trainable


def test_rounds_become_ratios_by_hand() -> None:
    none, cached, live = costs_of(
        {"none": [1.0, 2.0, 4.0], "cached": [2.0, 2.0, 8.0], "live": [3.0, 8.0, 8.0]}, turn=64, images=320
    )
    assert (none.images_per_s, none.seconds_per_epoch, none.ratio, none.ratio_of_fastest) == (32, 10, 1, 1)
    assert (cached.ratio, cached.ratio_of_fastest) == (2, 2)  # rounds: 2, 1, 2
    assert (live.images_per_s, live.seconds_per_epoch, live.ratio, live.ratio_of_fastest) == (8, 40, 3, 3)


def record(**ratios: float) -> DistillationCost:
    [cost] = costs_of({"none": [1.0]}, turn=64, images=320)
    return DistillationCost(
        student="small_cnn", reason=None, device="cpu", threads=1, images=320, rounds=8, steps=4, batch_size=16,
        forms=(cost, cost.model_copy(update={"form": "live", **ratios})),
    )  # fmt: skip


@pytest.mark.parametrize(("fastest", "noisy"), [(2.0, False), (1.65, False), (1.5, True), (3.0, True)])
def test_rounds_that_disagree_are_called_noisy(fastest: float, noisy: bool) -> None:
    assert record(ratio=2.0, ratio_of_fastest=fastest).noisy == noisy


def turns(folder: Path, *, form: str) -> Turns:
    recipe = load_recipe(str(folder / "recipe.toml"))
    roster = roster_of(recipe)
    sources = sources_of(recipe, roster)
    heard = {"none": (), "cached": sources, "live": tuple(replace(s, cached=False) for s in sources)}
    return Turns(
        Run(folder=folder, recipe=recipe),
        model=roster.trainings[0], sources=heard[form], views=shown_views(recipe, roster), total=96,
    )  # fmt: skip


def test_the_three_forms_differ_in_the_teacher_alone(finished_run: Path) -> None:
    modules, losses = {}, {}
    for form in ("none", "cached", "live"):
        one = turns(finished_run, form=form)
        batch = next(one.batches)
        modules[form], losses[form] = one.module, one.module.training_step(batch, 0).item()
        assert [*batch.teachers] == (["teacher"] if form == "cached" else [])
        assert len(batch.images) == 16
    assert [objective.name for objective in modules["none"].objectives] == ["labels"]
    assert [objective.name for objective in modules["live"].objectives] == ["labels", "soft_bce", "hint"]
    assert [*modules["live"].online] == ["teacher"] and not modules["cached"].online
    # the same batch, the same weights, and what a cached and a live teacher say of it is the same
    assert losses["cached"] == pytest.approx(losses["live"], rel=1e-3) and losses["none"] < losses["live"]
    before = modules["none"].state_dict()
    assert all(torch.equal(value, modules["live"].state_dict()[name]) for name, value in before.items())


def test_a_turn_trains(finished_run: Path) -> None:
    one = turns(finished_run, form="live")
    before = {name: value.clone() for name, value in one.module.model.state_dict().items()}
    one.take(2)
    assert isinstance(one.module, Trainable) and one.module.steps == 2
    assert any(not torch.equal(value, before[name]) for name, value in one.module.model.state_dict().items())


def test_every_round_gives_every_form_one_turn_and_another_goes_first() -> None:
    taken: list[tuple[str, int]] = []

    class Told:
        def __init__(self, form: str) -> None:
            self.form = form

        def take(self, steps: int) -> float:
            taken.append((self.form, steps))
            return 1.0

    forms = ("none", "cached", "live")
    found = timed_in_turn({form: Told(form) for form in forms}, lambda done, total: None)  # type: ignore[arg-type]
    assert {form: len(times) for form, times in found.items()} == dict.fromkeys(forms, 8)
    assert taken[:3] == [(form, 2) for form in forms]
    assert [form for form, _ in taken[3::3]] == [
        "none",
        "cached",
        "live",
        "none",
        "cached",
        "live",
        "none",
        "cached",
    ]


@pytest.mark.parametrize(
    ("override", "reason"),
    [
        ("distillation.methods=[]", "no method listens to a teacher"),
        ("teacher.source='online'", "teacher: asked at every step by the recipe, so that nothing is cached"),
    ],
)
def test_where_nothing_is_cached_the_stage_says_why(run_copy: Path, override: str, reason: str) -> None:
    recipe = load_recipe(str(run_copy / "recipe.toml"), overrides=[override])
    assert why_not(sources_of(recipe, roster_of(recipe))) == reason
    stage = next(stage for stage in all_stages(recipe) if stage.name == "distillation-cost")
    stage.run(Run(folder=run_copy, recipe=recipe), lambda done, total: None)
    found = DistillationCost.read(run_copy / COST)
    assert (found.reason, found.forms, found.rounds) == (reason, (), 0)
    text = teacher_cost(load_run(run_copy))
    assert text and text == type(text)(
        f"What a teacher costs a training was not timed: {reason}.", muted=True
    )


def test_the_report_shows_the_forms_of_a_real_run(finished_run: Path) -> None:
    table = teacher_cost(load_run(finished_run))
    assert table and table.title == "small_cnn: what the teacher costs its training"
    assert [row[0] for row in table.rows] == ["no teacher", "cached teacher", "live teacher"]
    assert table.rows[0][3:] == ("1.0×", "1.0×") and "an epoch has 96 images" in table.note
    assert "all that is cached took" in table.note
