"""Students that a run may do without."""

from pathlib import Path

import pytest

from bench.report.data import load_run
from bench.report.students import left_out
from distill.cli.left_out import after, without_unfit
from distill.cli.run import _execute
from distill.errors import EdgeproofError
from distill.pipeline.stage import Progress, Run, Stage
from distill.recipe import Recipe, load_recipe, parse_recipe
from distill.roster import Model, roster_of

VALUES = {
    "name": "mine",
    "data": {"path": "photos"},
    "training": {"processes": 1},
    "students": {
        "good": {"name": "small_cnn"},
        "bad": {"name": "small_cnn", "optional": True},
        "needed": {"name": "small_cnn"},
    },
}
REASON = "students.bad: option weights: no such file"


def recipe(**changes: object) -> Recipe:
    return parse_recipe({**VALUES, **changes}, origin="")


def refuse(*names: str):
    """A check that finds fault with these students."""

    def check(given: Recipe) -> None:
        for name in names:
            if name in given.students:
                raise EdgeproofError(f"students.{name}: wrong\nand more")

    return check


def test_an_optional_student_that_is_refused_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    found = without_unfit(recipe(), check=refuse("bad"))
    assert [*found.students] == ["good", "needed"] and found.left_out == {"bad": "students.bad: wrong"}
    assert capsys.readouterr().err.endswith("the recipe calls it optional: students.bad: wrong\n")


def test_any_other_is_an_error() -> None:
    with pytest.raises(EdgeproofError, match=r"students\.needed: wrong"):
        without_unfit(recipe(), check=refuse("needed"))


def test_what_is_wrong_with_the_rest_of_the_recipe_leaves_no_student_out() -> None:
    def check(given: Recipe) -> None:
        raise EdgeproofError("teacher.name: unknown")

    with pytest.raises(EdgeproofError, match=r"teacher\.name: unknown"):
        without_unfit(recipe(), check=check)


def work(run: Run, progress: Progress, *, model: Model) -> None:
    if model.name in ("bad", *run.recipe.description.split()):
        raise EdgeproofError(f"students.{model.name}: option weights: no such file")
    (run.folder / model.name).write_text("done")


def stages(given: Recipe) -> list[Stage]:
    return [
        Stage(model.name, "distill", work, outputs=(model.name,), arguments={"model": model})
        for model in roster_of(given).distilled
    ]


def test_when_its_stage_fails_the_others_go_on_and_the_report_says_so(tmp_path: Path) -> None:
    given = recipe()
    _execute(given, tmp_path, stages(given), resume=False, reporter=None, again=stages)
    assert {path.name for path in tmp_path.iterdir()} >= {"good", "needed"}
    kept = load_recipe(str(tmp_path / "recipe.toml"))
    assert [*kept.students] == ["good", "needed"] and kept.left_out == {"bad": REASON}
    [told] = left_out(load_run(tmp_path))
    assert list(told.items) == [f"Left out: bad. {REASON}"]


def test_a_needed_student_ends_the_run(tmp_path: Path) -> None:
    given = recipe(description="needed")
    with pytest.raises(EdgeproofError, match=r"students\.needed: option weights") as caught:
        _execute(given, tmp_path, stages(given), resume=False, reporter=None, again=stages)
    assert caught.value.student == "needed"


def test_the_last_student_is_never_left_out() -> None:
    given = recipe(students={"bad": VALUES["students"]["bad"]})
    error = EdgeproofError(REASON)
    error.student = "bad"
    with pytest.raises(EdgeproofError, match="no such file"):
        after(given, error)
    with pytest.raises(EdgeproofError, match=r"students\.bad: wrong"):
        without_unfit(given, check=refuse("bad"))
