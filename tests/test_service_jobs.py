"""Trainings over HTTP: asked for, watched, ended, resumed."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from conftest import TINY
from service_fixture import jpeg, problem, running, settings_in

from deploy.service import queue as queue_module
from deploy.service.fits import fit_command
from deploy.service.forms import FitRequest
from deploy.service.queue import JobQueue
from deploy.service.settings import Settings
from deploy.service.store import JobRow, Store
from distill.errors import EdgeproofError
from distill.recipe import load_recipe, shipped_recipes

STUB = """
import signal, sys, time
_, kind, *_ = sys.argv
def end(*_):
    print("edgeproof: error: stopped", file=sys.stderr)
    sys.exit(2)
signal.signal(signal.SIGTERM, signal.SIG_IGN if kind == "deaf" else end)
if kind in ("wait", "deaf"):
    print("at work", file=sys.stderr, flush=True)
    time.sleep(60)
if kind == "gate":
    print("edgeproof: error: accuracy gate failed", file=sys.stderr)
if kind == "mistakes":
    print("warning\\nedgeproof: error: one\\nanother", file=sys.stderr)
if kind == "crash":
    raise RuntimeError("no gate")
sys.exit({"gate": 1, "mistakes": 2}.get(kind, 0))
"""


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs whose first argument says what they do, instead of the command line."""
    monkeypatch.setattr(queue_module, "PYTHON", (sys.executable, "-S", "-c", STUB))
    monkeypatch.setattr(queue_module, "_POLL_S", 0.02)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "data/cats").mkdir(parents=True)
    return settings_in(tmp_path, data=tmp_path / "data")


def until(store: Store, job: str, wanted: Callable[[JobRow], bool]) -> JobRow:
    for _ in range(1000):
        row = store.job(job)
        assert row is not None
        if wanted(row):
            return row
        time.sleep(0.02)
    raise AssertionError(row)


def over(row: JobRow) -> bool:
    return row.state not in ("queued", "running")


@pytest.fixture
def store(settings: Settings) -> Store:
    return Store(settings.database)


@pytest.fixture
def queue(settings: Settings, store: Store, stub: None) -> Iterator[JobQueue]:
    found = JobQueue(settings, store)
    found.start()
    yield found
    found.stop()


def test_jobs_run_one_after_the_other_and_say_how_they_ended(queue: JobQueue, store: Store) -> None:
    kinds = ("ok", "gate", "mistakes", "crash")
    for kind in kinds:
        store.add(kind, kind="fit", command=(kind,))
    ok, gate, mistakes, crash = (until(store, kind, over) for kind in kinds)
    assert (ok.state, ok.code, ok.message) == ("done", 0, "")
    assert (gate.state, gate.code, gate.message) == ("done", 1, "accuracy gate failed")
    assert (mistakes.state, mistakes.message) == ("failed", "one\nanother")
    assert (crash.state, crash.code, crash.message) == ("failed", 1, "RuntimeError: no gate")
    assert ok.ended and gate.started and gate.ended and mistakes.started
    assert ok.ended <= gate.started and gate.ended <= mistakes.started


def test_a_job_is_cancelled_while_it_waits_and_while_it_runs(queue: JobQueue, store: Store) -> None:
    store.add("first", kind="fit", command=("wait",))
    running = until(store, "first", lambda row: row.state == "running")
    store.add("second", kind="fit", command=("wait",))
    assert store.cancel("second").state == "cancelled"  # type: ignore[union-attr]
    store.cancel("first")
    assert until(store, "first", over).state == "cancelled"
    with pytest.raises(ProcessLookupError):
        os.killpg(running.pid or 0, 0)


def test_a_job_that_does_not_listen_is_ended_all_the_same(
    queue: JobQueue, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue_module, "_PATIENCE_S", 0.2)
    store.add("deaf", kind="fit", command=("deaf",))
    until(store, "deaf", lambda row: row.state == "running")
    store.cancel("deaf")
    row = until(store, "deaf", over)
    assert row.state == "cancelled" and row.code in (-signal.SIGKILL, -signal.SIGTERM)


def test_what_runs_when_the_service_ends_goes_on_with_the_next(
    settings: Settings, store: Store, stub: None
) -> None:
    first, second = JobQueue(settings, store), JobQueue(settings, store)
    store.add("job", kind="fit", command=("wait",))
    first.start()
    until(store, "job", lambda row: row.state == "running")
    first.stop()
    row = store.job("job")
    assert row is not None and (row.state, row.pid, row.starts) == ("queued", None, 1)
    second.start()
    assert until(store, "job", lambda row: row.state == "running").starts == 2
    store.cancel("job")
    second.stop()
    assert until(store, "job", over).state == "cancelled"


def test_what_a_killed_service_left_is_ended_before_it_goes_on(
    settings: Settings, store: Store, stub: None
) -> None:
    command = [sys.executable, "-S", "-c", STUB, "wait", "orphan"]
    with subprocess.Popen(command, start_new_session=True, stderr=subprocess.DEVNULL) as left:
        store.add("orphan", kind="fit", command=("ok", "orphan"))
        store.start("orphan", pid=left.pid)
        store.add("stranger", kind="fit", command=("ok",))
        store.start("stranger", pid=os.getpid())  # a number that somebody else has got since
        queue = JobQueue(settings, store)
        queue.start()
        assert left.wait(timeout=20) != 0
        assert until(store, "orphan", over).state == until(store, "stranger", over).state == "done"
        queue.stop()


def test_only_one_of_several_processes_sees_to_the_jobs(
    queue: JobQueue, settings: Settings, store: Store
) -> None:
    other = JobQueue(settings, store)
    other.start()
    for number in range(6):
        store.add(str(number), kind="fit", command=("ok",))
    rows = [until(store, str(number), over) for number in range(6)]
    assert [row.starts for row in rows] == [1] * 6
    other.stop()


def test_a_job_that_takes_the_service_with_it_is_not_tried_for_ever(queue: JobQueue, store: Store) -> None:
    store.add("heavy", kind="fit", command=("ok",))
    until(store, "heavy", over)
    for _ in range(5):
        store.start("heavy", pid=0)
    store.requeue("heavy")
    assert "ended under it" in until(store, "heavy", over).message


def test_a_fit_is_checked_at_once_and_all_mistakes_are_told(settings: Settings) -> None:
    with running(settings) as client:
        mistakes = {
            "recipe": "own", "data": "dogs",
            "overrides": ["training.views=0", "students.rep_cnn.epoch=1", "gates.auc_drop=x"],
        }  # fmt: skip
        refused = client.post("/fit", json=mistakes)
        assert "below the data folder" in problem(refused, 422)
        assert len(refused.json()["errors"]) == 4 and "did you mean" in refused.text
        assert "unknown recipe 'nix'" in problem(client.post("/fit", json={"recipe": "nix"}), 422)
        assert "one of them only" in problem(client.post("/fit", json={}), 422)
        assert "not valid TOML" in problem(client.post("/fit", json={"toml": "= 1"}), 422)
        assert "recipes" in problem(client.post("/fit", json={"recipes": "own"}), 422)
        assert client.get("/jobs").json() == {"jobs": []}
        assert "no job" in problem(client.get("/jobs/nix"), 404)


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (["data.path=/etc"], "data.path"),
        (["data.path=../.."], "data.path"),
        (["data.path=cats/../.."], "data.path"),
        (["data.unlabelled=~"], "data.unlabelled"),
        (["teacher.weights=/root/secret.pt"], "teacher.weights"),
        (["data.path=link"], "data.path"),
        (["students.rep_cnn.name=os:getcwd"], "students.rep_cnn.name"),
        (['distillation.methods=[{name="own.module:thing"}]'], "distillation.methods.name"),
    ],
)
def test_a_recipe_reaches_neither_for_code_nor_for_files_elsewhere(
    settings: Settings, overrides: list[str], told: str
) -> None:
    assert settings.data is not None
    (settings.data / "link").symlink_to("/etc")
    asked = FitRequest(recipe="own", overrides=("data.path=cats", *overrides))
    with pytest.raises(EdgeproofError, match=told):
        fit_command(asked, settings=settings, job="job")


@pytest.mark.parametrize("name", [*shipped_recipes()])
def test_every_shipped_recipe_may_be_asked_for(settings: Settings, name: str) -> None:
    labels = ("task.labels=['real', 'gan']",) if name == "attribution" else ()  # only the user knows them
    asked = FitRequest(recipe=name, data="cats", overrides=labels)
    command = fit_command(asked, settings=settings, job="job")
    assert settings.data is not None
    assert load_recipe(command[1]).data.path == str(settings.data / "cats")


def test_without_a_data_folder_nothing_is_trained_or_explored(tmp_path: Path) -> None:
    with running(settings_in(tmp_path)) as client:
        assert "--data" in problem(client.post("/fit", json={"recipe": "demo"}), 501)
        assert "--data" in problem(client.get("/eda"), 501)


def finished(client: httpx.Client, job: str) -> dict[str, object]:
    for _ in range(3000):  # a limit for a machine that has much else to do
        found: dict[str, object] = client.get(f"/jobs/{job}").json()
        if found["state"] not in ("queued", "running"):
            return found
        time.sleep(0.1)
    raise AssertionError(found)


def test_a_data_set_is_explored_once_and_shown_to_programs_and_people(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue_module, "_POLITENESS", 0)  # nothing here waits for an answer but this
    assert settings.data is not None
    for label in ("real", "fake"):
        (settings.data / "cats" / label).mkdir()
        for seed in range(4):
            (settings.data / "cats" / label / f"{seed}.jpg").write_bytes(jpeg(seed=seed, size=(64, 64)))
    with running(settings) as client:
        begun = client.get("/eda", params={"data": "cats"})
        assert begun.status_code == 202 and begun.headers["retry-after"]
        job = finished(client, begun.headers["location"].removeprefix("/jobs/"))
        assert job["state"] == "done" and job["kind"] == "eda", job
        assert client.get("/eda", params={"data": "cats"}).json()["samples"] == 8
        page = client.get("/eda", params={"data": "cats"}, headers={"Accept": "text/html"})
        assert page.headers["content-type"].startswith("text/html") and "<html" in page.text
        assert "default-src 'none'" in page.headers["content-security-policy"]
        assert len(client.get("/jobs").json()["jobs"]) == 1
        for outside in ("..", "/etc", "cats/../.."):
            assert "below the data folder" in problem(client.get("/eda", params={"data": outside}), 422)


def test_a_run_goes_on_after_a_restart_and_what_it_leaves_answers(
    settings: Settings, finished_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All but the last stage is whole, as after a service that ended under it."""
    monkeypatch.setattr(queue_module, "_POLITENESS", 0)
    asked = FitRequest(toml=TINY.read_text())
    Store(settings.database).add(
        "fit-1", kind="fit", command=fit_command(asked, settings=settings, job="fit-1")
    )
    shutil.copytree(finished_run, settings.runs / "fit-1")
    (settings.runs / "fit-1/report.html").unlink()
    with running(settings) as client:
        assert "no report yet" in problem(client.get("/report/fit-1"), 404)
        job = finished(client, "fit-1")
        assert (job["state"], job["progress"], job["report"]) == ("done", 1.0, "/report/fit-1"), job
        assert any("kept" in line for line in job["log"])  # type: ignore[union-attr]
        assert "<html" in client.get("/report/fit-1").text
        assert "no run" in problem(client.get("/report/nix"), 404)
        name = "fit-1.small_cnn-onnxruntime-int8-ort"
        page = client.get(f"/models/{name}").json()
        assert [row["scope"] for row in page["bench"]] == ["model", "end_to_end"]
        assert all((row["runtime"], row["quantizer"]) == ("onnxruntime", "ort") for row in page["bench"])
        client.post("/set", json={"model": name})
        assert client.post("/predict", content=jpeg()).json()["model"]["name"] == name
        assert "is done already" in problem(client.delete("/jobs/fit-1"), 409)


def test_a_fit_is_begun_at_once_and_ends_when_it_is_told_to(settings: Settings) -> None:
    with running(settings) as client:
        begun = client.post("/fit", json={"toml": TINY.read_text()})
        assert begun.status_code == 202 and begun.json()["state"] == "queued"
        job = begun.json()["id"]
        assert begun.headers["location"] == f"/jobs/{job}"
        while client.get(f"/jobs/{job}").json()["state"] == "queued":
            time.sleep(0.05)
        assert client.delete(f"/jobs/{job}").status_code == 202
        assert finished(client, job)["state"] == "cancelled"
