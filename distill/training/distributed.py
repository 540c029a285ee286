"""One training on several devices: Lightning's DDP, a process each, started from the stage's own process.

Each process reads its own part of every epoch (:mod:`distill.training.sampler`), and ``batch_size`` counts in each of them.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
import torch.distributed
import torch.multiprocessing
from torch.multiprocessing.spawn import ProcessExitedException, ProcessRaisedException

from distill.errors import EdgeproofError

Progress = Callable[[int, int], None]
Part = TypeVar("Part")


def strategy(devices: int) -> str:
    """Lightning's name. A batch without a known face box leaves the localiser without a gradient: that is no error."""
    return "auto" if devices == 1 else "ddp_spawn_find_unused_parameters_true"


def gather(parts: list[Part]) -> list[Part]:
    """What all processes have, in each of them."""
    if not torch.distributed.is_available() or not torch.distributed.is_initialized():
        return parts
    every: list[Any] = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(every, parts)
    return [part for one in every for part in one]


class Relay:
    """A progress callback that other processes can call."""

    def __init__(self, queue: Any) -> None:
        self.queue = queue

    def __call__(self, done: int, total: int) -> None:
        """Tell the process that started the training."""
        self.queue.put((done, total))


@contextmanager
def relayed(progress: Progress | None, *, devices: int) -> Iterator[Progress | None]:
    """``progress`` as the training's processes can call it."""
    if devices == 1 or progress is None:
        yield progress
        return
    queue = torch.multiprocessing.get_context("spawn").SimpleQueue()

    def listen() -> None:
        while (told := queue.get()) is not None:
            progress(*told)

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    try:
        yield Relay(queue)
    finally:
        queue.put(None)
        listener.join()


@contextmanager
def plain_errors() -> Iterator[None]:
    """A mendable error in one of the processes is raised here as what it was."""
    try:
        yield
    except ProcessRaisedException as error:
        last = str(error).strip().splitlines()[-1]
        name, _, message = last.partition(": ")
        if name.endswith("EdgeproofError"):
            raise EdgeproofError(message) from None
        raise
    except ProcessExitedException as error:
        raise EdgeproofError(
            f"a training process was killed ({error}), most likely for want of memory"
        ) from None
