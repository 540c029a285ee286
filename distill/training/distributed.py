"""One training on several devices: Lightning's DDP, a process each.

They are started from the stage's own process, or were by ``torchrun`` on one or several machines and each calls
:func:`distill.training.fit.fit` with the same folder, which all machines share. Each reads its own part of every epoch
(:mod:`distill.training.sampler`), and ``batch_size`` counts in each of them.
"""

import itertools
import os
import platform
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import torch
import torch.distributed
import torch.multiprocessing
from torch.distributed import is_torchelastic_launched
from torch.distributed.distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous
from torch.multiprocessing.spawn import ProcessExitedException, ProcessRaisedException

from distill.errors import EdgeproofError
from distill.shared_folder import marked, not_shared, sees
from distill.training.sampler import rank_and_processes

_trainings = itertools.count()  # of this process, and as many of each of the others
Progress = Callable[[int, int], None]
Part = TypeVar("Part")

_SILENCE = timedelta(minutes=30)
"""A machine that vanished says nothing, but neither does one that asks its teachers a little longer than the others do.

A process that was killed is missed at once.
"""


class Processes(NamedTuple):
    """What Lightning's trainer is told: how many devices on each of how many machines, and how they work together."""

    devices: int
    num_nodes: int
    strategy: str


def processes(devices: int) -> Processes:
    """The processes of a training for ``training.devices``, or those that ``torchrun`` has started.

    A batch without a known face box leaves the localiser without a gradient: that is no error.

    Raises:
        EdgeproofError: ``torchrun`` started another number of processes on this machine than ``devices``.
    """
    if not is_torchelastic_launched():
        strategy = "auto" if devices == 1 else "ddp_spawn_find_unused_parameters_true"
        return Processes(devices=devices, num_nodes=1, strategy=strategy)
    here = int(os.environ["LOCAL_WORLD_SIZE"])
    if devices not in (1, here):
        raise EdgeproofError(
            f"training.devices: given {devices}, but torchrun started {here} on this machine, expected the same number"
        )
    nodes = int(os.environ["GROUP_WORLD_SIZE"])
    return Processes(devices=here, num_nodes=nodes, strategy="ddp_find_unused_parameters_true")


@contextmanager
def process_group(accelerator: str, *, folder: Path) -> Iterator[None]:
    """Where ``torchrun`` started this process: together with the others while the block runs, alone again afterwards.

    Raises:
        EdgeproofError: another of the processes is gone or has been silent for half an hour, or a machine sees another
            ``folder`` than the first does.
    """
    if not is_torchelastic_launched():
        yield
        return
    on_gpu = accelerator != "cpu" and torch.cuda.is_available()
    if on_gpu:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    with _loss_told():
        _join("nccl" if on_gpu else "gloo")
        try:
            _require_shared(folder)
            yield
        finally:
            torch.distributed.destroy_process_group()


def _join(backend: str) -> None:
    """Meet the other processes at a place of this training's own: torchrun's keeps the last training's addresses."""
    store, rank, count = next(rendezvous("env://", timeout=_SILENCE))
    place = PrefixStore(f"training-{next(_trainings)}", store)
    torch.distributed.init_process_group(backend, store=place, rank=rank, world_size=count, timeout=_SILENCE)


@contextmanager
def _loss_told() -> Iterator[None]:
    """What gloo and NCCL say of a process that they cannot reach, in a line that says what to do."""
    try:
        yield
    except RuntimeError as error:
        said = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        if not isinstance(error, torch.distributed.DistError) and "gloo" not in said and "NCCL" not in said:
            raise
        raise EdgeproofError(
            f"training: another of the processes that train together is gone or silent ({said}); "
            "the same commands go on after the last whole epoch"
        ) from None


def _require_shared(folder: Path) -> None:
    """Every process must see what the first writes."""
    rank, _ = rank_and_processes()
    with nullcontext("") if rank else marked(folder) as mark:
        told = [mark]
        torch.distributed.broadcast_object_list(told)
        blind = gather([] if sees(folder, told[0]) else [platform.node()])
    if blind:
        raise not_shared(folder, ", ".join(sorted(set(blind))))


@contextmanager
def one_first() -> Iterator[bool]:
    """Whether this is the process that prepares something for all; the others come when it is done."""
    rank, count = rank_and_processes()
    if rank:
        torch.distributed.barrier()
    yield rank == 0
    if rank == 0 and count > 1:
        torch.distributed.barrier()


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
