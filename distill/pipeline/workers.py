"""Stages that need nothing of each other run side by side, one process and one thread each.

On a shared machine that beats several threads in one process by far: a thread pool waits for its slowest
member at every layer, and stolen cores make one of them slow all the time.
"""

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from queue import Empty
from typing import Any, Protocol

from distill.errors import GateFailedError
from distill.pipeline.stage import Progress, Run, Stage
from distill.pool import process_pool

Tell = Callable[[str, int, int], None]
_TELL_EVERY = 64  # steps of a stage; the queue must not be what the training waits for


def act(stage: Stage, run: Run, progress: Progress) -> str:
    """Do a stage's work; returns what its gate said, "" if it passed."""
    try:
        stage.run(run, progress)
    except GateFailedError as error:
        return str(error)
    return ""


class Workers(Protocol):
    """Who does stages beside this process."""

    def startable(self, ready: Sequence[Stage], running: Sequence[Stage]) -> list[Stage]:
        """Those of ``ready`` that there is room for while ``running`` are at work; all, sooner or later."""
        ...

    def submit(self, stage: Stage, run: Run) -> "Future[str]":
        """Start a stage, whose action must be picklable; the future holds what :func:`act` returns."""
        ...

    def drain(self, tell: Tell) -> None:
        """Pass on what the stages have told since."""
        ...


class Processes:
    """A pool of processes that do stages, and tell how far they are."""

    def __init__(self, pool: ProcessPoolExecutor, *, processes: int, messages: Any) -> None:
        self._pool, self._processes, self._messages = pool, processes, messages

    def startable(self, ready: Sequence[Stage], running: Sequence[Stage]) -> list[Stage]:
        """As many as there are processes without work."""
        return list(ready[: max(0, self._processes - len(running))])

    def submit(self, stage: Stage, run: Run) -> "Future[str]":
        """See :class:`Workers`."""
        return self._pool.submit(_do, stage, run)

    def drain(self, tell: Tell) -> None:
        """Pass on what the processes have told since."""
        while True:
            try:
                tell(*self._messages.get_nowait())
            except Empty:
                return


@contextmanager
def open_workers(processes: int) -> Iterator[Processes]:
    """``processes`` workers; however the block ends, Ctrl-C included, none of them outlives it.

    What is unfinished then is not waited for: every file is written whole or not at all.
    """
    messages = multiprocessing.get_context("spawn").Queue()
    with process_pool(processes, initializer=_start, initargs=(messages,)) as pool:
        yield Processes(pool, processes=processes, messages=messages)


_messages: list[Any] = []


def _start(messages: Any) -> None:
    prepare_process()
    _messages.append(messages)


def prepare_process() -> None:
    """Set what pays in a process that does one stage beside others."""
    import torch

    from distill.training.malloc import keep_freed_memory

    keep_freed_memory()
    torch.set_num_threads(1)


def _do(stage: Stage, run: Run) -> str:
    def progress(done: int, total: int) -> None:
        if done % max(1, min(_TELL_EVERY, total // 50)) == 0:
            _messages[0].put((stage.name, done, total))

    return act(stage, run, progress)
