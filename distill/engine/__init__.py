"""Where work over many parts is done: processes of this machine, or a Ray cluster. One interface; torch-free.

Work is a picklable callable of one part. Each worker has a copy of its own, which may keep what is dear to open (a
detector, a network). A part may be worked on again after its worker was killed, so that work must be *idempotent*: what
it writes appears at once, and twice the same.
"""

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from typing import Protocol, TypeVar

from distill.engine.local import Local
from distill.errors import EdgeproofError, unknown_name

__all__ = ["ENGINES", "Engine", "Local", "open_engine"]

Part = TypeVar("Part")
Result = TypeVar("Result")
ENGINES = ("local", "ray")


class Engine(Protocol):
    """What does the work."""

    def map(self, work: Callable[[Part], Result], parts: Iterable[Part]) -> Generator[Result, None, None]:
        """Yield ``work(part)`` of every part once, in any order, as they are done.

        Raises:
            EdgeproofError: what ``work`` raised, or workers that were killed over and over.
        """
        ...


@contextmanager
def open_engine(name: str, *, workers: int = 0, address: str = "") -> Iterator[Engine]:
    """The engine with this name, until the block ends.

    Args:
        name: ``local`` or ``ray``.
        workers: how many at most; 0 is one for every core, of this machine or of the cluster.
        address: ``HOST:PORT`` of a Ray cluster that is running; without one, ``ray`` starts a Ray of its own here.

    Raises:
        EdgeproofError: an unknown name, Ray is not installed, or no cluster answers.
    """
    from distill.machine import thread_count

    if name not in ENGINES:
        raise unknown_name(kind="engine", given=name, choices=ENGINES)
    if name == "local":
        if address:
            raise EdgeproofError(f"--address {address}: found without --engine ray, which alone has one")
        yield Local(thread_count(workers))
        return
    from distill.engine.cluster import connect

    with connect(address, workers=workers) as engine:
        yield engine
