"""Students, and single forms of them, that a run may do without."""

import pickle
from pathlib import Path

import pytest

from bench.contestants.artifact import left_out_contestant
from bench.latency import measure
from bench.report.data import load_run
from bench.report.students import left_out
from bench.report.timing import not_timed
from deploy.stages.forms import making
from distill.cli.left_out import after, without_unfit
from distill.cli.run import _execute
from distill.errors import EdgeproofError, refusal
from distill.files import write_text
from distill.pipeline.stage import Progress, Run, Stage
from distill.recipe import Recipe, load_recipe, parse_recipe, to_toml
from distill.roster import Model, left_out_of, roster_of

VALUES = {
    "name": "mine",
    "data": {"path": "photos"},
    "preprocess": {"size": 64},
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


RUNTIMES = {"ort": "onnxruntime", "nncf": "openvino"}
LACKS = "model.onnx: openvino cannot convert it (Det)"


def failed(form: str, *, student: str, runtime: str = "") -> EdgeproofError:
    """What a stage that makes one form raises, as it comes out of the run."""
    error = refusal(LACKS, runtime=runtime)
    error.form, error.student = form, student
    return error


def keys(given: Recipe) -> set[str]:
    return {artifact.key for artifact in roster_of(given, runtimes=RUNTIMES).artifacts}


def test_what_a_runtime_refuses_is_left_out_with_all_that_is_made_of_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = recipe()
    found = after(before, failed("artifacts/good-openvino-fp32", student="good", runtime="openvino"))
    assert found.students == before.students and not found.left_out
    gone = {"good-openvino-fp32", "good-openvino-int8-nncf"}
    assert keys(before) - keys(found) == gone and not keys(found) - keys(before)
    told = left_out_of(found, runtimes=RUNTIMES)
    assert {(item.key, item.size) for item, _ in told} == {(key, size) for key in gone for size in (64, 224)}
    assert {reason for _, reason in told} == {LACKS} and not left_out_of(before, runtimes=RUNTIMES)
    assert f"left out artifacts/good-openvino-fp32: {LACKS}" in capsys.readouterr().err
    assert parse_recipe(found.model_dump(mode="json"), origin="") == found, "a run folder keeps it"


def test_a_quantizer_may_fail_for_an_optional_student_alone() -> None:
    found = after(recipe(), failed("artifacts/bad-onnxruntime-int8-ort", student="bad"))
    assert keys(recipe()) - keys(found) == {"bad-onnxruntime-int8-ort"}
    with pytest.raises(EdgeproofError, match="cannot convert"):
        after(recipe(), failed("artifacts/good-onnxruntime-int8-ort", student="good"))


def test_a_form_that_only_the_bench_times_goes_alone() -> None:
    found = after(recipe(), failed("bench/bad-onnxruntime-int8-ort-224", student="bad"))
    assert keys(found) == keys(recipe()), "the judged form stays"
    [(item, _)] = left_out_of(found, runtimes=RUNTIMES)
    assert (item.key, item.size) == ("bad-onnxruntime-int8-ort", 224)


def test_without_any_form_an_optional_student_goes_and_another_ends_the_run() -> None:
    def both(student: str) -> Recipe:
        first = failed(f"artifacts/{student}-openvino-fp32", student=student, runtime="openvino")
        last = failed(f"artifacts/{student}-onnxruntime-fp32", student=student, runtime="onnxruntime")
        return after(after(recipe(), first), last)

    assert both("bad").left_out == {"bad": LACKS}
    with pytest.raises(EdgeproofError, match="cannot convert"):
        both("good")


def test_the_teacher_too_may_lack_a_runtime() -> None:
    found = after(recipe(), failed("artifacts/teacher-openvino-fp32", student="", runtime="openvino"))
    assert keys(recipe()) - keys(found) == {"teacher-openvino-fp32", "teacher-openvino-int8-nncf"}


def test_an_error_about_one_form_takes_away_what_there_is_of_it(tmp_path: Path) -> None:
    given = roster_of(recipe(), runtimes=RUNTIMES).artifacts_of(roster_of(recipe()).distilled[0])
    fp32 = [item for item in given if item.precision == "fp32" and item.judged]
    for item in fp32:
        (tmp_path / item.folder).mkdir(parents=True)
    run = Run(tmp_path, recipe())
    with pytest.raises(EdgeproofError) as caught, making(run, fp32):
        raise refusal(LACKS, runtime="openvino")
    assert caught.value.form == "artifacts/good-openvino-fp32" and not (tmp_path / caught.value.form).exists()
    assert (tmp_path / "artifacts/good-onnxruntime-fp32").is_dir()
    with pytest.raises(EdgeproofError) as caught, making(run, fp32):
        raise EdgeproofError("Net cannot be exported")
    assert caught.value.form == "" and (tmp_path / "artifacts/good-onnxruntime-fp32").is_dir()
    again = pickle.loads(pickle.dumps(refusal(LACKS, runtime="openvino")))
    assert (str(again), again.runtime) == (LACKS, "openvino"), "as from a stage's own process"


def test_the_bench_and_the_report_have_a_row_that_says_why(tmp_path: Path) -> None:
    found = after(recipe(), failed("artifacts/good-openvino-fp32", student="good", runtime="openvino"))
    rows = [left_out_contestant(i, reason=why, threads=1) for i, why in left_out_of(found, runtimes=RUNTIMES)]
    record = measure(rows, rounds=1, iterations=1, warmup=1).record()
    assert {(row.model, row.runtime, row.precision, row.status, row.reason) for row in record.rows} == {
        ("good", "openvino", precision, "skipped", LACKS) for precision in ("fp32", "int8")
    }
    record.write(tmp_path / "bench.json")
    write_text(tmp_path / "recipe.toml", to_toml(found))
    run = load_run(tmp_path)
    table = not_timed(run)
    assert len(table.rows) == 4 and all(row[0] == "good" and row[-1] == LACKS for row in table.rows)
    [told] = left_out(run)
    assert "good in OpenVINO FP32" in told.items[0] and told.items[0].endswith(LACKS)
