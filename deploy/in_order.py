"""Work on a stream of items in several threads, answers in the items' order, with bounded memory. Torch-free."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from queue import Empty, Queue
from threading import Event, Thread
from typing import TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")


def in_order(
    work: Callable[[Item], Answer], items: Iterable[Item], *, workers: int, ahead: int | None = None
) -> Iterator[Answer]:
    """Yield ``work(item)`` of every item, in their order, each as soon as it and all before it are done.

    A slow source holds back no answer: it is waited for in a thread of its own, so that a program that sends one item
    and waits for the answer before the next gets it.

    Args:
        work: called from ``workers`` threads.
        items: taken one by one; the last that was taken is at most ``ahead`` + 1 items ahead of the last answer.
        workers: threads.
        ahead: items that wait or are worked on; twice the workers unless given.

    Raises:
        Exception: what ``work`` or ``items`` raised, in the place of that answer; nothing comes after it.
    """
    results: Queue[Future[Answer] | None] = Queue(ahead or 2 * workers)
    stopped = Event()
    pool = ThreadPoolExecutor(workers, thread_name_prefix="edgeproof")
    feeder = Thread(target=_feed, args=(pool, work, items, results, stopped), daemon=True)
    feeder.start()
    try:
        while (future := results.get()) is not None:
            yield future.result()
    finally:
        stopped.set()
        _drain(results)  # a feeder that waits for room looks up and sees that it is over
        pool.shutdown(wait=False, cancel_futures=True)


def _feed(
    pool: ThreadPoolExecutor,
    work: Callable[[Item], Answer],
    items: Iterable[Item],
    results: "Queue[Future[Answer] | None]",
    stopped: Event,
) -> None:
    try:
        for item in items:
            if stopped.is_set():
                return
            results.put(pool.submit(work, item))
    except BaseException as error:
        if not stopped.is_set():  # else the pool was shut down under it
            failed: Future[Answer] = Future()
            failed.set_exception(error)
            results.put(failed)
    finally:
        if not stopped.is_set():
            results.put(None)


def _drain(results: "Queue[Future[Answer] | None]") -> None:
    try:
        while True:
            results.get_nowait()
    except Empty:
        pass
