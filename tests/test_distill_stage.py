import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from functools import partial

import pytest
from stage_fixture import ALL, Job, recipe

from bench.stages import bench_stages
from deploy.stages import deploy_stages
from distill.errors import EdgeproofError, GateFailedError
from distill.pipeline.runner import exclusive, run_stages
from distill.pipeline.stage import Run, Silent, Stage
from distill.pipeline.state import State, is_inert, stage_keys
from distill.recipe import load_recipe
from distill.roster import roster_of
from distill.stages import distill_stages
from distill.training.views import Views


@pytest.fixture
def job(tmp_path):
    return Job(tmp_path / "run")


def test_all_stages_run_in_order_and_are_recorded(job):
    assert job.run() == ALL
    state = job.state()
    assert list(state) == ALL
    assert set(state["student"].files) == {"student.txt", "more.txt"} and state["student"].failure == ""
    assert load_recipe(str(job.folder / "recipe.toml")) == recipe()
    assert json.loads((job.folder / "recipe.json").read_text())["name"] == "mine"
    events = [json.loads(line) for line in (job.folder / "log.jsonl").read_text().splitlines()]
    assert [(event["event"], event["stage"]) for event in events] == [
        (e, s) for s in ALL for e in ("start", "end")
    ]


def test_a_folder_with_a_run_needs_resume(job):
    job.run()
    before = (job.folder / "recipe.toml").read_text()
    with pytest.raises(EdgeproofError) as caught:
        job.run(seed=5)
    assert (
        str(caught.value)
        == f"{job.folder}: already holds a run; add --resume to go on, or choose another --out"
    )
    assert job.done == [] and (job.folder / "recipe.toml").read_text() == before


def test_what_is_whole_is_kept(job):
    job.run()
    assert job.run(resume=True) == ["report"]  # always


@pytest.mark.parametrize(
    ("changes", "redone"),
    [
        ({"data": {"path": "others"}}, ALL),
        ({"teacher": {"epochs": 3}}, ["teacher", "report"]),
        ({"loss": {"kind": "focal"}}, ["student", "export", "report"]),
        ({"seed": 9, "description": "no stage reads these"}, ["report"]),
    ],
)
def test_a_change_redoes_what_depends_on_it_and_nothing_else(job, changes, redone):
    job.run()
    assert job.run(resume=True, **changes) == redone
    assert job.run(resume=True, **changes) == ["report"]


def test_going_back_to_the_old_recipe_redoes_too(job):
    job.run()
    job.run(resume=True, teacher={"epochs": 3})
    assert job.run(resume=True) == ["teacher", "report"]


@pytest.mark.parametrize("output", ["student.txt", "more.txt", "deep/teacher.txt"])
@pytest.mark.parametrize("harm", [lambda path: path.unlink(), lambda path: path.write_text("altered")])
def test_a_deleted_or_altered_output_is_redone(job, output, harm):
    job.run()
    harm(job.folder / output)
    assert job.run(resume=True) == ["teacher" if "teacher" in output else "student", "report"]


def test_another_list_of_outputs_is_redone(job):
    job.run()
    stages = job.stages(teacher={"outputs": ("data.txt",)})
    assert job.run(resume=True, stages=stages) == ["teacher", "report"]


def test_a_stage_that_broke_is_redone_and_those_before_it_kept(job):
    job.break_with = {"student": KeyboardInterrupt()}
    with pytest.raises(KeyboardInterrupt):
        job.run()
    assert list(job.state()) == ["data", "teacher"]
    job.break_with = {}
    assert job.run(resume=True) == ["student", "export", "report"]


def test_needs_must_stand_before():
    stages = [
        Stage("a", "v", lambda *_: None, needs=("b",)),
        Stage("b", "v", lambda *_: None),
    ]
    with pytest.raises(KeyError, match="b"):
        stage_keys(stages, recipe())


def keys_of(*stages, **changes):
    return stage_keys(stages, recipe(**changes))


def test_what_an_action_is_given_is_part_of_its_key():
    """Models, specs and views as well as plain values; equal ones have equal keys."""
    model = roster_of(recipe()).trainings[0]
    stage = Stage("a", "v", print, arguments={"model": model, "views": Views(count=2), "sizes": (1, 2)})
    same = replace(stage, arguments={"sizes": [1, 2], "views": Views(count=2), "model": replace(model)})
    assert keys_of(stage) == keys_of(same)
    larger = replace(model, preprocess=model.preprocess.model_copy(update={"size": 96}))
    for change in ({"model": larger}, {"views": Views(count=2, seed=1)}, {"sizes": (2, 1)}):
        assert keys_of(stage) != keys_of(replace(stage, arguments={**stage.arguments, **change}))


def test_what_a_stage_looks_at_is_part_of_its_key(tmp_path):
    stage = Stage("a", "v", print, state=lambda _: [path.name for path in tmp_path.iterdir()])
    before = keys_of(stage)
    assert keys_of(stage) == before
    (tmp_path / "more.jpg").touch()
    assert keys_of(stage) != before


def test_values_that_make_nothing_else_redo_nothing(job):
    """A section is read as a whole, without what only changes how a run goes."""
    stage = Stage("a", "v", print, reads=("data", "training", "students", "students.small"))
    students = {"small": {"name": "small_cnn", "seeds": [4]}}
    before = keys_of(stage)
    assert before == keys_of(stage, training={"processes": 2, "seeds": [3, 4]}, students=students)
    assert before == keys_of(stage, data={"path": "photos", "workers": 3, "memory_mb": 9}, name="other")
    assert before != keys_of(stage, training={"threads": 2})
    assert before != keys_of(stage, students={"small": {"name": "small_cnn", "epochs": 4}})
    assert is_inert("students.a.b.seeds") and not is_inert("students.seeds.epochs")


def test_names_may_hold_dots():
    """They are keys of the recipe as any other; a path through them is found all the same."""
    stage = Stage("a", "v", print, reads=("students.v1.5.epochs", "students.v1.name"))
    students = {"v1": {"name": "small_cnn"}, "v1.5": {"name": "small_cnn", "epochs": 3}}
    before = keys_of(stage, students=students)
    other = {**students, "v1.5": {"name": "small_cnn", "epochs": 4}}
    assert before != keys_of(stage, students=other)
    other = {**students, "v1.5": {"name": "resnet18", "epochs": 3}}
    assert before == keys_of(stage, students=other)
    whole = recipe(students=students, quantization={"nncf.v2": {"tool": "nncf"}})
    roster = roster_of(whole, runtimes={"nncf.v2": "openvino"})
    before = distill_stages(whole, roster)
    stage_keys([*before, *deploy_stages(whole, roster, before)], whole)


def test_a_part_of_the_recipe_that_is_not_there():
    with pytest.raises(KeyError, match="students.large"):
        keys_of(Stage("a", "v", print, reads=("students.large",)))


@pytest.mark.parametrize("name", ["data", "audit", "choice", "outputs", "parity", "degradations", "report"])
def test_every_stage_has_a_name_of_its_own_whatever_models_are_called(name):
    settings = {"name": "efficientnet_fpn_cbam"}
    values = recipe(
        teachers={name: settings}, students={f"{name}.s": {"name": "small_cnn"}},
        distillation={"methods": [{"name": "logit_mse", "teachers": ["teacher", name]}]},
    )  # fmt: skip
    roster = roster_of(values)
    stages = distill_stages(values, roster)
    stages += deploy_stages(values, roster, stages)
    stages += bench_stages(values, roster, stages)
    names = [stage.name for stage in stages]
    outputs = [output for stage in stages for output in stage.outputs]
    assert len(set(names)) == len(names) and len(set(outputs)) == len(outputs)
    assert len(stage_keys(stages, values)) == len(stages)


def test_bad_input_goes_through_as_it_is(job):
    job.break_with = {"data": EdgeproofError("photos: no such folder")}
    with pytest.raises(EdgeproofError, match="^photos: no such folder$"):
        job.run()


def test_a_second_holder_is_locked_out_and_changes_nothing(job):
    job.run()
    before = (job.folder / "recipe.toml").read_text()
    with exclusive(job.folder), pytest.raises(EdgeproofError) as caught:
        job.run(resume=True, seed=77)
    assert str(caught.value) == f"{job.folder}: another edgeproof process is at work in this folder"
    assert job.done == [] and (job.folder / "recipe.toml").read_text() == before
    assert job.run(resume=True) == ["report"]  # released


def test_a_second_process_is_locked_out(job):
    code = """
        import sys
        from pathlib import Path
        from distill.errors import EdgeproofError
        from distill.pipeline.runner import exclusive
        try:
            with exclusive(Path(sys.argv[1])):
                print("entered")
        except EdgeproofError as error:
            print(error)
    """
    command = [sys.executable, "-c", textwrap.dedent(code), str(job.folder)]
    with exclusive(job.folder):
        held = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    free = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    assert held == f"{job.folder}: another edgeproof process is at work in this folder\n"
    assert free == "entered\n"


def test_the_lock_ends_with_a_process_that_is_killed(job):
    code = """
        import os, signal, sys
        from pathlib import Path
        from distill.pipeline.runner import exclusive
        with exclusive(Path(sys.argv[1])):
            os.kill(os.getpid(), signal.SIGKILL)
    """
    command = [sys.executable, "-c", textwrap.dedent(code), str(job.folder)]
    assert subprocess.run(command, timeout=60, check=False).returncode == -signal.SIGKILL
    with exclusive(job.folder):
        pass


# reporter


def test_the_reporter_is_told_everything(job):
    told = []

    class Recorder:
        def begin(self, stages):
            told.append(("begin", len(stages)))

        def start(self, stage, *, kept):
            told.append((stage.name, kept))

        def progress(self, name, done, total):
            told.append((name, done, total))

        def finish(self, stage, *, seconds):
            told.append((stage.name, "finished"))

    job.run()
    run_stages(Run(job.folder, recipe(teacher={"epochs": 3})), job.stages(), resume=True, reporter=Recorder())
    assert told == [
        ("begin", 5),
        ("data", True),
        ("teacher", False),
        ("teacher", 1, 1),
        ("teacher", "finished"),
        ("student", True),
        ("export", True),
        ("report", False),
        ("report", 1, 1),
        ("report", "finished"),
    ]


def test_what_is_whole_is_expected_to_cost_nothing_and_the_rest_what_it_took(job):
    job.run()
    state = State.open(job.folder)
    entry = state.entries["teacher"] = state.entries["teacher"].model_copy(update={"seconds": 12.5})
    data, teacher, *_, report = job.stages()
    assert state.costed(teacher, key=entry.key).cost == 0.0
    assert state.costed(teacher, key="of another recipe").cost == 12.5
    assert state.costed(report, key=state.entries["report"].key).cost == report.cost > 0
    (job.folder / teacher.outputs[0]).unlink()
    assert state.costed(teacher, key=entry.key).cost == 12.5
    del state.entries["data"]
    assert state.costed(data, key="").cost == data.cost > 0


# side by side; what a process of its own does must be importable


def write(run, name):
    (run.folder / name).write_text(str(os.getpid()))


def meet(run, progress, *, mine, other):
    """Ends only if the other one runs at the same time."""
    write(run, mine)
    deadline = time.monotonic() + 60
    while not (run.folder / other).exists():
        assert time.monotonic() < deadline, f"{other} did not start beside {mine}"
        time.sleep(0.02)
    progress(1, 1)


def fail_gate(run, progress):
    write(run, "gate")
    raise GateFailedError("too weak")


def note(run, progress, *, name):
    write(run, name)


def die(run, progress):
    os.kill(os.getpid(), signal.SIGKILL)


def test_stages_that_need_nothing_of_each_other_run_side_by_side(tmp_path):
    told = []

    class Recorder(Silent):
        def progress(self, name, done, total):
            told.append((name, done, total))

    stages = [
        Stage("a", "v", partial(meet, mine="a", other="b"), outputs=("a",)),
        Stage("b", "v", partial(meet, mine="b", other="a"), outputs=("b",)),
        Stage("gate", "v", fail_gate, needs=("a", "b"), outputs=("gate",)),
        Stage("alone", "v", partial(note, name="alone"), outputs=("alone",), alone=True),
        Stage("last", "v", partial(note, name="last"), needs=("gate",), outputs=("last",)),
    ]
    run = Run(tmp_path, recipe())
    with pytest.raises(GateFailedError, match="^too weak$"):
        run_stages(run, stages, resume=False, processes=2, reporter=Recorder())
    process = {name: int((tmp_path / name).read_text()) for name in ("a", "b", "gate", "alone", "last")}
    assert process["a"] != process["b"] and os.getpid() not in (process["a"], process["b"], process["gate"])
    assert process["alone"] == os.getpid()
    assert set(told) == {("a", 1, 1), ("b", 1, 1)}
    events = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    order = [(event["event"], event["stage"]) for event in events]
    assert order[-6:] == [(e, s) for s in ("gate", "alone", "last") for e in ("start", "end")]
    with pytest.raises(GateFailedError, match="^too weak$"):
        run_stages(run, stages, resume=True)  # all kept, the failure too
    assert len((tmp_path / "log.jsonl").read_text().splitlines()) == len(events)


def test_a_killed_process_is_one_line(tmp_path):
    with pytest.raises(
        EdgeproofError, match="^stage a: its process was killed, most likely for want of memory; --resume"
    ):
        run_stages(Run(tmp_path, recipe()), [Stage("a", "v", die)], resume=False, processes=2)


def test_a_kept_stage_does_not_hold_up_those_after_it(tmp_path):
    kept = Stage("kept", "v", partial(note, name="kept"), outputs=("kept",))
    run_stages(Run(tmp_path, recipe()), [kept], resume=False)
    stages = [
        Stage("a", "v", partial(meet, mine="a", other="b"), outputs=("a",)),
        kept,
        Stage("b", "v", partial(meet, mine="b", other="a"), outputs=("b",)),
    ]
    run_stages(Run(tmp_path, recipe()), stages, resume=True, processes=2)
