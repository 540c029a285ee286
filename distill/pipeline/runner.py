"""Run the stages of a job, side by side where they need nothing of each other. Torch-free."""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from distill.errors import EdgeproofError, GateFailedError, cause
from distill.files import remove_leftovers, write_json, write_text
from distill.optional import require
from distill.pipeline.stage import Reporter, Run, Silent, Stage
from distill.pipeline.state import STATE, State, stage_keys
from distill.pipeline.workers import Workers, act, open_workers
from distill.recipe import to_toml

_POLL_S = 0.2


def run_stages(
    run: Run,
    stages: Sequence[Stage],
    *,
    resume: bool,
    reporter: Reporter | None = None,
    processes: int = 1,
    cluster: str | None = None,
) -> None:
    """Run the stages, keeping what is whole; those that need nothing of each other side by side.

    Args:
        run: folder and recipe.
        stages: each after those it needs.
        resume: whether the folder may already hold a run.
        reporter: who is told how far it is.
        processes: how many stages at once on this machine; 1 runs all of them in this process.
        cluster: ``HOST:PORT`` of the Ray cluster whose machines do the trainings; "" starts a Ray of this machine's own.

    Raises:
        EdgeproofError: the folder already holds a run and ``resume`` is false; a full disk; a cluster that does not
            answer or does not see the folder; or bad input.
        GateFailedError: one or more gates failed; everything was written all the same.
    """
    if (run.folder / STATE).exists() and not resume:
        raise EdgeproofError(
            f"{run.folder}: already holds a run; add --resume to go on, or choose another --out"
        )
    with exclusive(run.folder):
        remove_leftovers(run.folder)
        _write_recipe(run)
        with _workers(run, stages, processes=processes, cluster=cluster) as workers:
            state, keys = State.open(run.folder), stage_keys(stages, run.recipe)
            failures = _Job(run, state, keys, reporter or Silent(), workers).work_off(stages)
    if failures:
        raise GateFailedError("; ".join(failures))


def _workers(
    run: Run, stages: Sequence[Stage], *, processes: int, cluster: str | None
) -> AbstractContextManager[Workers | None]:
    if cluster is None:
        return open_workers(processes) if processes > 1 else nullcontext()
    from distill.pipeline.trials import open_trials

    return open_trials(run, stages, processes=processes, address=cluster)


@dataclass
class _Job:
    """One call of :func:`run_stages`."""

    run: Run
    state: State
    keys: dict[str, str]
    reporter: Reporter
    workers: Workers | None
    running: dict["Future[str]", tuple[Stage, float]] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    stopped: bool = False

    def work_off(self, stages: Sequence[Stage]) -> list[str]:
        """Do all of it; returns what failed gates said."""
        self.reporter.begin([self.state.costed(stage, key=self.keys[stage.name]) for stage in stages])
        waiting = list(stages)
        while waiting or self.running:
            open_names = {stage.name for stage in waiting} | {s.name for s, _ in self.running.values()}
            startable = self._startable(waiting, open_names)
            for stage in startable:
                waiting.remove(stage)
                self._begin(stage)
            if self.running and not startable:  # one that is kept takes no process: others may start first
                self._collect()
        return self.failures

    def _startable(self, waiting: list[Stage], open_names: set[str]) -> list[Stage]:
        """What may start now: one stage that must be alone, or as many with their needs met as have a process."""
        ready: list[Stage] = []
        for stage in waiting:
            if stage.alone or self.workers is None:  # a barrier: nothing before it may be open
                if stage is waiting[0] and not self.running:
                    return [stage]
                break
            if not open_names.intersection(stage.needs):
                ready.append(stage)
        return (
            self.workers.startable(ready, [stage for stage, _ in self.running.values()])
            if self.workers
            else []
        )

    def _begin(self, stage: Stage) -> None:
        if self.stopped and not stage.always:
            return
        if self.state.is_whole(stage, key=self.keys[stage.name]):
            self.reporter.start(stage, kept=True)
            self._note(stage, self.state.entries[stage.name].failure)
            return
        self.reporter.start(stage, kept=False)
        started = time.monotonic()
        with self._naming(stage):
            self.run.log("start", stage=stage.name)
            if self.workers is not None and not stage.alone:
                self.running[self.workers.submit(stage, self.run)] = (stage, started)
                return
            self._end(stage, act(stage, self.run, partial(self.reporter.progress, stage.name)), started)

    def _collect(self) -> None:
        """Wait until at least one of the running stages has ended."""
        ended: set[Future[str]] = set()
        while not ended:
            ended = wait(self.running, timeout=_POLL_S, return_when=FIRST_COMPLETED).done
            if self.workers is not None:
                self.workers.drain(self.reporter.progress)
        # those that went well first: they are recorded even if another's error ends the run
        for future in sorted(ended, key=lambda future: future.exception() is not None):
            stage, started = self.running.pop(future)
            with self._naming(stage):
                self._end(stage, future.result(), started)

    def _end(self, stage: Stage, failure: str, started: float) -> None:
        seconds = time.monotonic() - started
        self.state.record(stage, key=self.keys[stage.name], seconds=seconds, failure=failure)
        self.run.log("end", stage=stage.name, seconds=round(seconds, 2), failure=failure)
        self._note(stage, failure)
        self.reporter.finish(stage, seconds=seconds)

    def _note(self, stage: Stage, failure: str) -> None:
        if failure:
            self.failures.append(failure)
            self.stopped = self.stopped or stage.stops

    @contextmanager
    def _naming(self, stage: Stage) -> Iterator[None]:
        """Turn what the system refuses into an error that names the stage; of any other, note whose stage it ended."""
        try:
            yield
        except EdgeproofError as error:
            error.student = stage.student
            raise
        except OSError as error:
            raise EdgeproofError(
                f"stage {stage.name}: {error.strerror or error} ({error.filename or self.run.folder})"
            ) from error
        except BrokenProcessPool:
            raise EdgeproofError(
                f"stage {stage.name}: its process was killed, most likely for want of memory; "
                "--resume goes on, training.processes = 1 needs less"
            ) from None


def _write_recipe(run: Run) -> None:
    try:
        write_text(run.folder / "recipe.toml", to_toml(run.recipe))
        write_json(run.folder / "recipe.json", run.recipe.model_dump(mode="json"))
    except OSError as error:
        raise EdgeproofError(f"{run.folder}: cannot write the run folder ({cause(error)})") from None


@contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Hold ``folder`` against a second process; the lock ends with this process, however it ends.

    Raises:
        EdgeproofError: another holds it, it cannot be written, or filelock is not installed.
    """
    filelock = require("filelock")
    lock = filelock.FileLock(folder / ".lock")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire(blocking=False)
    except filelock.Timeout:
        raise EdgeproofError(f"{folder}: another edgeproof process is at work in this folder") from None
    except OSError as error:
        raise EdgeproofError(f"{folder}: cannot write the run folder ({cause(error)})") from None
    try:
        yield
    finally:
        lock.release()
