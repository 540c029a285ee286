"""Trainings as trials of Ray Tune: the machines of a cluster do them, this machine's processes all other stages.

Tune puts each trial where cores (or a GPU) are free, and on another machine when its own is lost. What is to be trained,
and when, the run knows: Tune's searcher is a queue that the run fills. Torch-free.
"""

import os
import tempfile
import threading
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import ray
from ray import tune
from ray.tune.search import Searcher

from distill.engine.cluster import connect
from distill.errors import EdgeproofError
from distill.pipeline.stage import Run, Stage
from distill.pipeline.workers import Processes, Tell, act, open_workers, prepare_process
from distill.shared_folder import marked, not_shared, sees
from distill.training.precision import training_threads
from distill.training.settings import TrainingSettings

_RETRIES = 2  # of a trial whose process or machine was lost
_TELL_EVERY_S = 1.0
_END_S = 60.0  # for trials that are told to end
_SETTINGS = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "RAY_AIR_NEW_OUTPUT": "0",  # or a table of its own, whatever the verbosity
}


@contextmanager
def open_trials(run: Run, stages: Sequence[Stage], *, processes: int, address: str) -> Iterator["Trials"]:
    """Who does the stages of a run, until the block ends; an error ends the trials at work.

    Args:
        run: its folder must be there, under the same path, on every machine.
        stages: of the whole run.
        processes: of this machine, for stages that are no trials.
        address: ``HOST:PORT`` of a cluster; without one, Ray is started on this machine.

    Raises:
        EdgeproofError: no cluster answers, or none of its machines has what one training takes.
    """
    os.environ.update(_SETTINGS)
    run = replace(run, folder=run.folder.absolute())
    with (
        nullcontext() if ray.is_initialized() else connect(address, workers=0),
        open_workers(processes) as local,
        marked(run.folder) as mark,
        tempfile.TemporaryDirectory(prefix=".trials-", dir=run.folder, ignore_cleanup_errors=True) as notes,
    ):
        share = _share_of(run.recipe.training)
        job = _Job(run, {stage.name: stage for stage in stages if stage.trial}, mark, Path.cwd())
        handed = _Handed()
        tuner = tune.Tuner(
            tune.with_resources(
                tune.with_parameters(_train, job=job), {k.lower(): v for k, v in share.items()}
            ),
            tune_config=tune.TuneConfig(search_alg=handed, num_samples=-1),
            run_config=tune.RunConfig(
                name="trials", storage_path=notes, verbose=0, stop=handed,
                failure_config=tune.FailureConfig(max_failures=_RETRIES),
            ),
        )  # fmt: skip
        tuning = threading.Thread(target=handed.answer, args=(tuner,), daemon=True)
        tuning.start()
        try:
            yield Trials(local, handed, share=share)
        except BaseException:
            handed.ends = True
            raise
        finally:
            handed.complete = True
            tuning.join(_END_S)


class Trials:
    """The cluster for trials, this machine for the rest (:class:`distill.pipeline.workers.Workers`)."""

    def __init__(self, local: Processes, handed: "_Handed", *, share: Mapping[str, float]) -> None:
        self._local, self._handed, self._share = local, handed, share

    def startable(self, ready: Sequence[Stage], running: Sequence[Stage]) -> list[Stage]:
        """As many trials as the cluster has places for now, and as many others as this machine has processes for."""
        free = max(1, _places(self._share)) - sum(stage.trial for stage in running)
        trials = [stage for stage in ready if stage.trial][: max(0, free)]
        others = [stage for stage in ready if not stage.trial]
        return trials + self._local.startable(others, [stage for stage in running if not stage.trial])

    def submit(self, stage: Stage, run: Run) -> "Future[str]":
        """See :class:`distill.pipeline.workers.Workers`."""
        return self._handed.hand(stage.name) if stage.trial else self._local.submit(stage, run)

    def drain(self, tell: Tell) -> None:
        """See :class:`distill.pipeline.workers.Workers`."""
        self._local.drain(tell)
        self._handed.drain(tell)


def _share_of(settings: TrainingSettings) -> dict[str, float]:
    """What one training takes of a machine.

    Raises:
        EdgeproofError: no machine has as much.
    """
    on_gpu = settings.accelerator != "cpu" and ray.cluster_resources().get("GPU", 0)
    share: dict[str, float] = {"CPU": settings.devices * (1 if on_gpu else training_threads(settings))}
    if on_gpu:
        share["GPU"] = settings.devices
    if not _places(share):
        wanted = " and ".join(f"{amount:g} {kind}" for kind, amount in share.items())
        raise EdgeproofError(
            f"--engine ray: a training takes {wanted} (training.threads, training.devices), "
            "and no machine of the cluster has as many"
        )
    return share


def _places(share: Mapping[str, float]) -> int:
    """How many trainings the cluster's machines hold at once."""
    machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    return sum(
        min(int(has.get(kind, 0) // amount) for kind, amount in share.items() if amount) for has in machines
    )


class _Handed(Searcher, tune.Stopper):  # type: ignore[misc]
    """What Tune asks for work, and for when to end: the trials that the run has handed over."""

    def __init__(self) -> None:
        super().__init__()
        self.complete = self.ends = False
        self._waiting: SimpleQueue[str] = SimpleQueue()
        self._told: SimpleQueue[tuple[str, int, int]] = SimpleQueue()
        self._futures: dict[str, Future[str]] = {}
        self._names: dict[str, str] = {}

    def __reduce__(self) -> Any:
        """Tune writes its parts down; nothing goes on from that."""
        return (type(self), ())

    def hand(self, name: str) -> "Future[str]":
        """A trial for Tune; the future holds what :func:`distill.pipeline.workers.act` returns."""
        future = self._futures[name] = Future()
        self._waiting.put(name)
        return future

    def drain(self, tell: Tell) -> None:
        """Pass on how far the trials are."""
        with suppress(Empty):
            while True:
                tell(*self._told.get_nowait())

    def answer(self, tuner: Any) -> None:
        """Let Tune work; for a thread of its own. What ends Tune ends the trials that are open."""
        try:
            tuner.fit()
        except Exception as error:
            for name in list(self._futures):
                self._settle(name, EdgeproofError(f"--engine ray: {_first_line(error)}"))

    def suggest(self, trial_id: str) -> Any:
        """Tune asks for a trial: one that waits, none for now, or none any more."""
        try:
            name = self._waiting.get_nowait()
        except Empty:
            return Searcher.FINISHED if self.complete else None
        self._names[trial_id] = name
        return {"stage": name}

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Tune tells what a trial has told."""
        if "of" in result:
            self._told.put((self._names[trial_id], result["steps"], result["of"]))

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Tune tells that a trial has ended, or was lost as often as that may be."""
        name = self._names[trial_id]
        if error or result is None or "failure" not in result:
            lost = f"stage {name}: its process was lost {1 + _RETRIES} times, most likely for want of memory; --resume goes on"
            self._settle(name, EdgeproofError(lost))
        else:
            self._settle(name, result["error"] or result["failure"])

    def _settle(self, name: str, outcome: str | BaseException) -> None:
        future = self._futures.pop(name, None)
        if future is None:
            return
        if isinstance(outcome, str):
            future.set_result(outcome)
        else:
            future.set_exception(outcome)

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the run folder is what a run goes on from."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing."""

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """A trial ends by itself."""
        return False

    def stop_all(self) -> bool:
        """Whether all trials are to end."""
        return self.ends


@dataclass(frozen=True)
class _Job:
    """What a trial needs to know: the run, its stages by name, how to tell its folder, and where paths start from."""

    run: Run
    stages: Mapping[str, Stage]
    mark: str
    started_in: Path


def _train(config: dict[str, Any], *, job: _Job) -> None:
    """A trial, in a process of some machine. An error is told and not raised, or Tune would try it again."""
    stage, started = job.stages[config["stage"]], time.monotonic()

    def progress(done: int, total: int) -> None:
        nonlocal started
        if time.monotonic() - started >= _TELL_EVERY_S:
            started = time.monotonic()
            tune.report({"steps": done, "of": total})

    error: Exception | None = None
    failure = ""
    try:
        # what is relative in a recipe is so from there; where there is no such place, the mark tells
        with suppress(OSError):
            os.chdir(job.started_in)
        if not sees(job.run.folder, job.mark):
            raise not_shared(job.run.folder, ray.util.get_node_ip_address())
        prepare_process()
        failure = act(stage, job.run, progress)
    except (EdgeproofError, OSError) as problem:
        error = problem
    except Exception as problem:
        error = RuntimeError("".join(traceback.format_exception(problem)))
    tune.report({"failure": failure, "error": error})


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
