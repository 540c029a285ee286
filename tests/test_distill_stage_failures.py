"""Stages whose gate fails, a full disk, a folder that cannot be written: what is kept, and what is said."""

import errno

import pytest
from stage_fixture import ALL, Job

from distill.errors import EdgeproofError, GateFailedError
from distill.pipeline.state import STATE


@pytest.fixture
def job(tmp_path):
    return Job(tmp_path / "run")


# gates


def test_a_failed_gate_goes_on_and_raises_at_the_end(job):
    job.break_with = {
        "teacher": GateFailedError("teacher too weak"),
        "student": GateFailedError("student too weak"),
    }
    with pytest.raises(GateFailedError) as caught:
        job.run()
    assert str(caught.value) == "teacher too weak; student too weak" and caught.value.exit_code == 1
    assert job.done == ALL
    assert job.state()["teacher"].failure == "teacher too weak"


def test_a_kept_gate_failure_is_reported_again(job):
    job.break_with = {"teacher": GateFailedError("too weak")}
    for resume in (False, True):
        with pytest.raises(GateFailedError, match="^too weak$"):
            job.run(resume=resume)
    assert job.done == ["report"]
    job.break_with = {}
    assert job.run(resume=True, teacher={"epochs": 9}) == ["teacher", "report"]  # mended


def test_a_gate_that_stops_skips_the_rest_but_what_runs_always(job):
    job.break_with = {"teacher": GateFailedError("leaks")}
    stages = job.stages(teacher={"stops": True})
    for resume, done in ((False, ["data", "teacher", "report"]), (True, ["report"])):
        with pytest.raises(GateFailedError, match="^leaks$"):
            job.run(resume=resume, stages=stages)
        assert job.done == done
    assert "student" not in job.state()


# trouble


def test_a_full_disk_is_one_line(job):
    job.break_with = {"student": OSError(errno.ENOSPC, "No space left on device", "/runs/x/student.txt")}
    with pytest.raises(EdgeproofError) as caught:
        job.run()
    assert str(caught.value) == "stage student: No space left on device (/runs/x/student.txt)"
    assert caught.value.exit_code == 2 and list(job.state()) == ["data", "teacher"]


def test_a_full_disk_without_a_file_names_the_folder(job):
    job.break_with = {"data": OSError("Error while serializing: No space left on device (os error 28)")}
    with pytest.raises(EdgeproofError) as caught:
        job.run()
    assert (
        str(caught.value)
        == f"stage data: Error while serializing: No space left on device (os error 28) ({job.folder})"
    )


@pytest.mark.parametrize("writer", ["log", "record"])
def test_a_disk_that_is_full_for_our_own_notes_is_one_line_too(job, writer, monkeypatch):
    def full(*arguments, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(
        "distill.pipeline.stage.Run.log" if writer == "log" else "distill.pipeline.state.State.record", full
    )
    with pytest.raises(EdgeproofError, match="^stage data: No space left on device"):
        job.run()


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(EdgeproofError) as caught:
        Job(tmp_path / "file" / "run").run()
    assert str(caught.value) == f"{tmp_path}/file/run: cannot write the run folder (Not a directory)"


def test_a_broken_state_file_says_what_to_do(job):
    job.run()
    (job.folder / STATE).write_text("{")
    with pytest.raises(
        EdgeproofError, match=r"stages.json: not valid JSON \(.*\); delete it to start the run again"
    ):
        job.run(resume=True)
