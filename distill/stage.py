"""Stages of a run: what is whole is kept, what depends on a change is done again. Torch-free.

A stage's key is the hash of the recipe's parts that it reads and of the keys of the stages it needs, so a
changed recipe invalidates exactly what depends on the change.
"""

import hashlib
import json
import os
import time
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from distill.errors import EdgeproofError, GateFailedError
from distill.files import read_json, sha256, write_json, write_text
from distill.recipe import Recipe, to_toml

Progress = Callable[[int, int], None]
STATE = "stages.json"


@dataclass(frozen=True)
class Run:
    """One run folder and the recipe that fills it."""

    folder: Path
    recipe: Recipe

    def log(self, event: str, **fields: Any) -> None:
        """Append one line to ``log.jsonl``."""
        self.folder.mkdir(parents=True, exist_ok=True)
        line = json.dumps({"time": datetime.now(UTC).isoformat(timespec="seconds"), "event": event, **fields})
        with (self.folder / "log.jsonl").open("a", encoding="utf-8") as file:
            file.write(line + "\n")


@dataclass(frozen=True)
class Stage:
    """One step of the job.

    Attributes:
        name: unique, such as ``student:small_cnn:seed0:distilled``.
        verb: the command that ends with this kind of stage.
        action: does the work; raises :class:`GateFailedError` after writing its outputs if a gate fails.
        reads: the parts of the recipe that the outcome depends on (any JSON value).
        needs: names of the stages whose outcome it reads.
        outputs: files, relative to the run folder, that make it whole.
        cost: expected share of the time, for the estimate of what is left.
        always: run it every time, even after a failed gate (the report).
        stops: a failed gate here ends the run (nothing is trained on data that leaks).
    """

    name: str
    verb: str
    action: Callable[[Run, Progress], None]
    reads: Callable[[Recipe], Any]
    needs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    cost: float = 1.0
    always: bool = False
    stops: bool = False


class Reporter(Protocol):
    """Who is told how far the run is."""

    def begin(self, stages: Sequence[Stage]) -> None:
        """The stages that will run."""

    def start(self, stage: Stage, *, kept: bool) -> None:
        """A stage starts, or is kept as it is."""

    def progress(self, done: int, total: int) -> None:
        """Within the stage."""

    def finish(self, stage: Stage, *, seconds: float) -> None:
        """A stage has ended."""


class Silent:
    """A reporter for tests and programs."""

    def begin(self, stages: Sequence[Stage]) -> None:
        """Nothing."""

    def start(self, stage: Stage, *, kept: bool) -> None:
        """Nothing."""

    def progress(self, done: int, total: int) -> None:
        """Nothing."""

    def finish(self, stage: Stage, *, seconds: float) -> None:
        """Nothing."""


@dataclass
class _State:
    """What ``stages.json`` remembers: name → key, seconds, hashes of outputs, failed gate."""

    path: Path
    entries: dict[str, dict[str, Any]] = field(default_factory=dict)

    @classmethod
    def open(cls, folder: Path) -> "_State":
        path = folder / STATE
        try:
            return cls(path=path, entries=read_json(path) if path.is_file() else {})
        except json.JSONDecodeError as error:
            raise EdgeproofError(
                f"{path}: not valid JSON ({error}); delete it to start the run again"
            ) from None

    def is_whole(self, stage: Stage, *, key: str) -> bool:
        entry = self.entries.get(stage.name)
        if stage.always or entry is None or entry["key"] != key or set(entry["files"]) != set(stage.outputs):
            return False
        folder = self.path.parent
        return all(
            (folder / f).is_file() and sha256(folder / f) == digest for f, digest in entry["files"].items()
        )

    def record(self, stage: Stage, *, key: str, seconds: float, failure: str) -> None:
        folder = self.path.parent
        files = {name: sha256(folder / name) for name in stage.outputs}
        self.entries[stage.name] = {
            "key": key,
            "seconds": round(seconds, 2),
            "files": files,
            "failure": failure,
        }
        write_json(self.path, self.entries)


def stage_keys(stages: Sequence[Stage], recipe: Recipe) -> dict[str, str]:
    """Name → key of every stage; needs must stand before what needs them."""
    keys: dict[str, str] = {}
    for stage in stages:
        material = [stage.name, stage.reads(recipe), [keys[name] for name in stage.needs]]
        keys[stage.name] = hashlib.sha256(
            json.dumps(material, sort_keys=True, default=str).encode()
        ).hexdigest()
    return keys


def run_stages(run: Run, stages: Sequence[Stage], *, resume: bool, reporter: Reporter | None = None) -> None:
    """Run the stages in order, keeping what is whole.

    Raises:
        EdgeproofError: the folder already holds a run and ``resume`` is false; a full disk; or bad input.
        GateFailedError: one or more gates failed; everything was written all the same.
    """
    reporter = reporter or Silent()
    _open_folder(run, resume=resume)
    with exclusive(run.folder):
        state, keys = _State.open(run.folder), stage_keys(stages, run.recipe)
        reporter.begin(stages)
        failures: list[str] = []
        stopped = False
        for stage in stages:
            if stopped and not stage.always:
                continue
            failure = _run_one(run, stage, key=keys[stage.name], state=state, reporter=reporter)
            if failure:
                failures.append(failure)
                stopped = stopped or stage.stops
        if failures:
            raise GateFailedError("; ".join(failures))


def _run_one(run: Run, stage: Stage, *, key: str, state: _State, reporter: Reporter) -> str:
    """Run or keep one stage; returns what its gate said, "" if it passed."""
    if state.is_whole(stage, key=key):
        reporter.start(stage, kept=True)
        return str(state.entries[stage.name]["failure"])
    reporter.start(stage, kept=False)
    run.log("start", stage=stage.name)
    started, failure = time.monotonic(), ""
    try:
        stage.action(run, reporter.progress)
    except GateFailedError as error:
        failure = str(error)
    except OSError as error:
        raise EdgeproofError(
            f"stage {stage.name}: {error.strerror or error} ({error.filename or run.folder})"
        ) from error
    seconds = time.monotonic() - started
    state.record(stage, key=key, seconds=seconds, failure=failure)
    run.log("end", stage=stage.name, seconds=round(seconds, 2), failure=failure)
    reporter.finish(stage, seconds=seconds)
    return failure


def _open_folder(run: Run, *, resume: bool) -> None:
    if (run.folder / STATE).exists() and not resume:
        raise EdgeproofError(
            f"{run.folder}: already holds a run; add --resume to go on, or choose another --out"
        )
    try:
        write_text(run.folder / "recipe.toml", to_toml(run.recipe))
        write_json(run.folder / "recipe.json", run.recipe.model_dump(mode="json"))
    except OSError as error:
        raise EdgeproofError(f"{run.folder}: cannot write the run folder ({error.strerror})") from None


@contextmanager
def exclusive(folder: Path) -> Any:
    """Hold ``folder`` against a second process; the lock ends with this process, however it ends."""
    try:
        import fcntl
    except ImportError:  # no advisory locks on Windows
        yield
        return
    with (folder / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise EdgeproofError(f"{folder}: another edgeproof process is at work in this folder") from None
        file.write(str(os.getpid()))
        yield
