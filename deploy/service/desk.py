"""What every route needs at hand: one object for each process that answers."""

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from fastapi import Request

from deploy.service.catalogue import Catalogue, Loaded
from deploy.service.forms import Judged
from deploy.service.judge import judge
from deploy.service.metrics import Metrics
from deploy.service.settings import Settings
from deploy.service.store import Store
from deploy.shipped import DEFAULT
from distill.preprocess import Policy


class Desk:
    """The parts of a service in one process.

    Attributes:
        settings: what it was started with.
        store: jobs and the active model.
        metrics: what it counts.
        catalogue: its models.
        threads: where images are judged and models loaded; the event loop only reads and writes.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.store = Store(settings.database)
        self.metrics = Metrics()
        self.threads = ThreadPoolExecutor(settings.threads, thread_name_prefix="judge")
        self.catalogue = Catalogue(settings, executor=self.threads)

    def active(self) -> str:
        """The name of the model that answers where none is named."""
        return active_model(self.store)

    async def model(self, name: str | None = None) -> Loaded:
        """The active model, or the named one; raises :class:`deploy.service.problems.Problem` 404."""
        return await self.catalogue.load(name or self.active())

    def close(self) -> None:
        """Take nothing new, and let go of the models: processes that run one end with it."""
        self.threads.shutdown(wait=False, cancel_futures=True)
        self.catalogue.close()

    async def judge(
        self, loaded: Loaded, images: list[tuple[str, bytes]], *, policy: Policy | None, explained: bool
    ) -> list[Judged]:
        """Every (name, bytes) in a worker thread; answers in their order.

        Where the model gives none to one image, the others are not waited for: it would take the time of each.

        Raises:
            NoAnswerError: too late, or the model's process ended.
        """
        loop = asyncio.get_running_loop()
        work = partial(judge, loaded, policy=policy, explained=explained, metrics=self.metrics)
        waiting = [
            loop.run_in_executor(self.threads, partial(work, image, name=name)) for name, image in images
        ]
        try:
            return list(await asyncio.gather(*waiting))
        except BaseException:
            for one in waiting:
                one.cancel()
            raise


def active_model(store: Store) -> str:
    """The model that was set last, at first the shipped one."""
    return store.active() or DEFAULT


async def desk_of(request: Request) -> Desk:
    """The desk of the service that got the request; async, since FastAPI would take a thread for anything else."""
    desk: Desk = request.app.state.desk
    return desk


def default_threads() -> int:
    """One thread a core that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
