"""Stages that need nothing of each other run side by side, one process and one thread each.

On a shared machine that beats several threads in one process by far: a thread pool waits for its slowest
member at every layer, and stolen cores make one of them slow all the time.
"""

import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from queue import Empty
from typing import Any

from distill.errors import GateFailedError
from distill.pool import process_pool

Tell = Callable[[str, int, int], None]
_TELL_EVERY = 64  # steps of a stage; the queue must not be what the training waits for


def act(action: Callable[..., None], run: Any, progress: Callable[[int, int], None]) -> str:
    """Do a stage's work; returns what its gate said, "" if it passed."""
    try:
        action(run, progress)
    except GateFailedError as error:
        return str(error)
    return ""


class Workers:
    """A pool of processes that do stages, and tell how far they are."""

    def __init__(self, pool: ProcessPoolExecutor, *, processes: int, messages: Any) -> None:
        self._pool, self._processes, self._messages = pool, processes, messages

    def free(self, busy: int) -> int:
        """How many stages may start while ``busy`` are at work."""
        return max(0, self._processes - busy)

    def submit(self, name: str, action: Callable[..., None], run: Any) -> "Future[str]":
        """Start a stage; the future holds what :func:`act` returns. ``action`` must be picklable."""
        return self._pool.submit(_do, name, action, run)

    def drain(self, tell: Tell) -> None:
        """Pass on what the processes have told since."""
        while True:
            try:
                tell(*self._messages.get_nowait())
            except Empty:
                return


@contextmanager
def open_workers(processes: int) -> Iterator[Workers]:
    """``processes`` workers; however the block ends, Ctrl-C included, none of them outlives it.

    What is unfinished then is not waited for: every file is written whole or not at all.
    """
    messages = multiprocessing.get_context("spawn").Queue()
    with process_pool(processes, initializer=_start, initargs=(messages,)) as pool:
        yield Workers(pool, processes=processes, messages=messages)


_messages: list[Any] = []


def _start(messages: Any) -> None:
    import torch

    from distill.training.malloc import keep_freed_memory

    keep_freed_memory()
    torch.set_num_threads(1)
    _messages.append(messages)


def _do(name: str, action: Callable[..., None], run: Any) -> str:
    def progress(done: int, total: int) -> None:
        if done % max(1, min(_TELL_EVERY, total // 50)) == 0:
            _messages[0].put((name, done, total))

    return act(action, run, progress)
