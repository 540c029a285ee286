"""The processes that render: started once, one thread each, quick to end on Ctrl-C, never outliving the parent."""

import multiprocessing
import os
from collections.abc import Callable, Iterator
from concurrent.futures import as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

from distill.data.simulate.manifest import PARTS, Part, Record, shard_path
from distill.data.simulate.plan import ScenePlan
from distill.data.simulate.settings import SimulationSettings
from distill.data.simulate.store import write_files, write_shard
from distill.files import write_text
from distill.pool import process_pool

_GRACE_S = 2.0  # for workers to write down what they rendered
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@dataclass(frozen=True)
class Job:
    """Work for one process: train a generator, or render scenes into one part file."""

    generator: tuple[str, int] | None = None
    plans: tuple[ScenePlan, ...] = ()


@contextmanager
def start_workers(
    settings: SimulationSettings, root: Path, workers: int
) -> Iterator[Callable[[list[Job]], Iterator[list[Record]]]]:
    """What does all jobs, in this process or in a pool that ends soon after Ctrl-C; results in any order."""
    if workers <= 1:
        _start_worker(settings, root, None)
        yield lambda jobs: map(_do, jobs)
        return
    stop = multiprocessing.get_context("spawn").Event()
    setup = (settings, root, stop)
    with process_pool(workers, initializer=_start_worker, initargs=setup, grace_s=_GRACE_S) as pool:

        def run(jobs: list[Job]) -> Iterator[list[Record]]:
            futures = [pool.submit(_do, job) for job in jobs]
            return (done.result() for done in as_completed(futures))

        try:
            yield run
        finally:
            stop.set()  # workers look at it after every scene


_worker: dict[str, Any] = {}


def _start_worker(settings: SimulationSettings, root: Path, stop: Event | None) -> None:
    import torch

    from distill.data.simulate.render import SceneRenderer

    if stop is not None:
        torch.set_num_threads(1)
    _worker.update(settings=settings, root=root, stop=stop, renderer=SceneRenderer(settings, root))


def _do(job: Job) -> list[Record]:
    from distill.data.simulate.render import train_generator

    settings, root = _worker["settings"], _worker["root"]
    if job.generator:
        train_generator(settings, root, *job.generator)
        return []
    if settings.storage == "shards":
        return _render_shard(settings, root, job)
    records: list[Record] = []
    try:
        for plan in job.plans:
            if _stopping():
                break
            records += write_files(root, _worker["renderer"].render(plan))
    finally:  # also on Ctrl-C: what is rendered is not rendered again
        _note(settings, root, job, records)
    return records


def _render_shard(settings: SimulationSettings, root: Path, job: Job) -> list[Record]:
    """A whole shard or none: a tar cannot be completed later without changing its bytes."""
    rendered: list[Any] = []
    for plan in job.plans:
        if _stopping():
            return []
        rendered += _worker["renderer"].render(plan)
    records = write_shard(root, shard_path(settings, job.plans[0]), rendered)
    _note(settings, root, job, records)
    return records


def _stopping() -> bool:
    return _worker["stop"] is not None and bool(_worker["stop"].is_set())


def _note(settings: SimulationSettings, root: Path, job: Job, records: list[Record]) -> None:
    """Write down what is rendered, for a run that goes on from here."""
    if records:
        part = Part(settings=settings, samples=tuple(records))
        write_text(root / PARTS / f"{job.plans[0].name}.json", part.model_dump_json())


@contextmanager
def one_thread() -> Iterator[None]:
    """One thread in this process and in those it starts: more would change last bits and fight for cores."""
    import torch

    before = {name: os.environ.get(name) for name in _THREAD_VARIABLES}
    threads = torch.get_num_threads()
    os.environ.update(dict.fromkeys(_THREAD_VARIABLES, "1"))
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
