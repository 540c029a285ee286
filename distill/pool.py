"""Processes that work for this one: they never see Ctrl-C, and none of them outlives it. Torch-free."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, wait
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
_EXIT_S = 10.0  # for workers that have nothing left to do


@contextmanager
def process_pool(
    workers: int,
    *,
    initializer: Callable[..., object] | None = None,
    initargs: tuple[Any, ...] = (),
    grace_s: float = 0.0,
) -> Iterator[ProcessPoolExecutor]:
    """A pool of ``workers`` processes, each started by ``spawn`` when there is work for it.

    This process alone answers Ctrl-C, from each worker's very first moment. When the block ends well, what was
    submitted is finished first. When it ends with an error, Ctrl-C included, what has not begun is dropped and
    what has begun is ended after ``grace_s`` seconds. However this process ends, the workers end with it.

    Args:
        workers: how many processes at most, at least 1.
        initializer: what each process does first; picklable, as are ``initargs``.
        initargs: its arguments; queues and events must be of the ``spawn`` context.
        grace_s: seconds that work has to end by itself after an error.
    """
    context = multiprocessing.get_context("spawn")
    # Workers end when the other end of this pipe does: closed here, or with this process if it is killed.
    lifeline, held = context.Pipe(duplex=False)
    pool = _Pool(workers, mp_context=context, initializer=_begin, initargs=(lifeline, initializer, initargs))
    patience_s = grace_s
    try:
        yield pool
        wait(list(pool.unfinished))
        patience_s = _EXIT_S
    finally:
        impatience = threading.Timer(patience_s, held.close)
        # Python 3.11 takes a thread for ended if Ctrl-C interrupts its join, and the pool joins one
        with _interrupts_noted():
            impatience.start()
            pool.shutdown(wait=True, cancel_futures=True)
            impatience.cancel()
            impatience.join()
            held.close()
            lifeline.close()


class _Pool(ProcessPoolExecutor):
    """Starts its processes, which it does while work is submitted, out of Ctrl-C's reach."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.unfinished: set[Future[Any]] = set()

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        with holding_interrupts():
            future = super().submit(fn, *args, **kwargs)
            self.unfinished.add(future)
            future.add_done_callback(self.unfinished.discard)
            return future


@contextmanager
def holding_interrupts() -> Iterator[None]:
    """Ctrl-C waits until the end of the block; processes and threads that start in it never get it.

    What starts in here inherits the signal mask. Another thread of this process may have the signal
    unmasked and so receive it, on which Python calls the handler in the main thread: hence the handler too.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows: a worker that still imports may print a traceback
        yield
        return
    with _interrupts_noted():
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _interrupts_noted() -> Iterator[None]:
    """Ctrl-C only leaves a note, which is acted on at the end."""
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or before is None:
        yield  # handlers run in the main thread alone, and it is not here; or the handler is not Python's
        return
    noted: list[int] = []
    signal.signal(signal.SIGINT, lambda number, frame: noted.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if noted:
            signal.raise_signal(signal.SIGINT)


def _begin(
    lifeline: Connection, initializer: Callable[..., object] | None, initargs: tuple[Any, ...]
) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=end_with, args=(lifeline,), daemon=True).start()
    if initializer is not None:
        initializer(*initargs)


def end_with(lifeline: Connection) -> None:
    """End this process as soon as the other end of ``lifeline`` is gone; for a thread of a worker."""
    with suppress(OSError):  # what Windows says of a pipe that is broken already
        lifeline.poll(None)  # nothing is ever sent: this returns when the other end is gone
    os._exit(1)
