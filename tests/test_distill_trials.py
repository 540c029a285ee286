"""Trainings as trials of Ray Tune, on two nodes, leave what this machine's own processes leave."""

import json
import shutil
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from cli import edgeproof
from conftest import TINY
from typer.testing import CliRunner

from distill.cli import run as command
from distill.cli.app import app
from distill.cli.search import _distil
from distill.errors import EdgeproofError
from distill.files import sha256
from distill.pipeline.stage import Run, Stage
from distill.recipe import load_recipe
from perf.ray_cluster import Nodes, ray_nodes

trials = pytest.importorskip("distill.pipeline.trials")


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    """Two nodes of one core each."""
    with ray_nodes(2) as found:
        yield found


def hashes(folder: Path) -> dict[str, str]:
    """Of every file of weights of the student, whatever its arm and seed."""
    return {str(path.relative_to(folder)): sha256(path) for path in folder.glob("students/**/*.safetensors")}


def test_seeds_on_two_nodes_end_with_the_same_weights_and_whole_ones_are_kept(
    nodes: Nodes, run_copy: Path
) -> None:
    expected, begun = hashes(run_copy), len((run_copy / "log.jsonl").read_text().splitlines())
    stages = json.loads((run_copy / "stages.json").read_text())["stages"]
    lost = [name for name in stages if name.startswith("student:") and name.endswith(":distilled")]
    for name in lost:
        for file in stages[name]["files"]:
            (run_copy / file).unlink()
    found = edgeproof("distill", run_copy, "--engine", "ray", "--address", nodes.address)
    assert found.returncode == 0, found.stderr
    assert hashes(run_copy) == expected and len(expected) >= 2 * len(lost)
    events = [json.loads(line) for line in (run_copy / "log.jsonl").read_text().splitlines()[begun:]]
    assert {event["stage"] for event in events if event["event"] == "start"} == set(lost)
    assert [event["event"] for event in events[:2]] == ["start", "start"], "one on each of the nodes, at once"
    assert not list(run_copy.glob(".trials-*")) and not list(run_copy.glob(".shared-*"))


# What a trial tells


def told(monkeypatch: pytest.MonkeyPatch, stage: Stage, folder: Path, *, mark: str) -> dict[str, Any]:
    said: list[dict[str, Any]] = []
    monkeypatch.setattr(trials.tune, "report", said.append)
    run = Run(folder, load_recipe(str(TINY)))
    trials._train({"stage": stage.name}, job=trials._Job(run, {stage.name: stage}, mark, Path.cwd()))
    return said[-1]


def fails(run: Run, progress: Any) -> None:
    raise EdgeproofError("no good")


def test_a_machine_that_does_not_see_the_run_folder_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trials.ray.util, "get_node_ip_address", lambda: "10.0.0.7")
    error = told(monkeypatch, Stage("a", "v", fails, trial=True), tmp_path, mark="elsewhere")["error"]
    assert str(error).startswith(f"{tmp_path}: not the same folder on 10.0.0.7 as on the first machine")


def test_what_a_stage_raises_is_told_and_not_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mark").touch()
    result = told(monkeypatch, Stage("a", "v", fails, trial=True), tmp_path, mark="mark")
    assert outcome(result=result).exception() is result["error"] and str(result["error"]) == "no good"


def outcome(*, result: dict[str, Any] | None, error: bool = False) -> "Future[str]":
    """What becomes of a trial of which Tune tells this."""
    handed = trials._Handed()
    future = handed.hand("student:a")
    assert handed.suggest("t1") == {"stage": "student:a"} and handed.suggest("t2") is None
    handed.on_trial_complete("t1", result=result, error=error)
    return future


def test_a_gate_that_failed_in_a_trial_is_the_futures_result() -> None:
    assert outcome(result={"failure": "too low", "error": None}).result(timeout=0) == "too low"


def test_a_trial_that_is_lost_again_and_again_is_one_line() -> None:
    error = outcome(result=None, error=True).exception()
    assert str(error).startswith("stage student:a: its process was lost 3 times") and "\n" not in str(error)


def test_a_tune_that_ends_ends_the_stages_that_wait_for_it() -> None:
    class Broken:
        def fit(self) -> None:
            raise RuntimeError("no more\nand why")

    handed = trials._Handed()
    future = handed.hand("student:a")
    handed.answer(Broken())
    assert str(future.exception()) == "--engine ray: no more"


# The commands


def test_a_search_hands_its_trainings_to_the_cluster(run_copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str | None] = []
    monkeypatch.setattr(command, "carry_out", lambda *_, cluster: asked.append(cluster))
    recipe = load_recipe(str(run_copy / "recipe.toml"))
    scores = _distil(recipe, run_copy, cluster="head:6379")
    assert asked == ["head:6379"] and set(scores) == {"small_cnn"}


@pytest.mark.parametrize("verb", ["run", "distill", "compare-methods", "search"])
@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (["--engine", "spark"], "unknown engine 'spark'; choose one of: local, ray"),
        (["--address", "head:6379"], "--address head:6379: found without --engine ray"),
    ],
)
def test_wrong_engines_are_one_line(verb: str, wrong: list[str], said: str, tmp_path: Path) -> None:
    options = ["--latency-ms", "1", "--recipe", str(TINY)] if verb == "search" else [str(TINY)]
    result = CliRunner().invoke(app, [verb, *options, *wrong, "--out", str(tmp_path / "r")])
    assert isinstance(result.exception, EdgeproofError) and said in str(result.exception)
    assert not (tmp_path / "r").exists()


def test_a_cluster_that_does_not_answer_is_said_before_anything_trains(
    run_copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(run_copy / "students")
    with pytest.raises(EdgeproofError, match="--address 127.0.0.1:1: no Ray cluster answers"):
        command.run(run_copy, verb="distill", resume=True, engine="ray", address="127.0.0.1:1")
    assert not (run_copy / "students").exists()
