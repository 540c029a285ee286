"""Work over parts in this process, or in several of this machine. Torch-free."""

import warnings
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, as_completed, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Any, TypeVar

from distill.errors import EdgeproofError
from distill.pool import process_pool

Part = TypeVar("Part")
Result = TypeVar("Result")
_work: Callable[[Any], Any] | None = None  # of a worker process


@dataclass(frozen=True)
class Local:
    """Processes of this machine; one worker is this process itself."""

    workers: int = 1

    def map(self, work: Callable[[Part], Result], parts: Iterable[Part]) -> Generator[Result, None, None]:
        """See :meth:`distill.engine.Engine.map`; in order if there is one worker."""
        if self.workers <= 1:
            yield from map(work, parts)
            return
        try:
            with process_pool(self.workers, initializer=_take, initargs=(work,)) as pool:
                waiting: set[Future[Result]] = set()
                for part in parts:
                    waiting.add(pool.submit(_do, part))
                    if len(waiting) > 2 * self.workers:  # a million parts must not be a million waiting jobs
                        done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                        yield from (future.result() for future in done)
                yield from (future.result() for future in as_completed(waiting))
        except BrokenProcessPool:
            raise EdgeproofError("a worker process was killed, most likely for want of memory") from None


def _take(work: Callable[[Any], Any]) -> None:
    global _work
    warnings.simplefilter("ignore")  # they would tear the progress bar; what matters is an error
    _work = work


def _do(part: Any) -> Any:
    if _work is None:
        raise RuntimeError("a worker works after it took its work")
    return _work(part)
