"""The service put together: routes below, limits above them, the journal outermost."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from deploy.service import health_routes, job_routes, model_routes, oip_routes, predict_routes
from deploy.service.desk import Desk
from deploy.service.guard import Guard
from deploy.service.journal import Journal, write_json_logs
from deploy.service.problems import RESPONSES, add_handlers
from deploy.service.queue import JobQueue
from deploy.service.settings import Settings

_ROUTERS = (
    predict_routes.router,
    model_routes.router,
    job_routes.router,
    oip_routes.router,
    health_routes.router,
)


def create_app(settings: Settings) -> ASGIApp:
    """The service as an ASGI application.

    Raises:
        EdgeproofError: no such folder or key, or a state folder that is none.
    """
    settings.check()
    desk = Desk(settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await desk.model()  # the first request must not wait for it
        queue = JobQueue(settings, desk.store)
        queue.start()
        yield
        await asyncio.to_thread(queue.stop)
        desk.close()

    app = FastAPI(
        title="edgeproof",
        version=version("edgeproof"),
        description="Real or generated: what a small INT8 model says of images, and how to train another.",
        lifespan=lifespan,
        docs_url=None,  # its page would fetch scripts from elsewhere; /openapi.json is there
        redoc_url=None,
        responses=RESPONSES,
    )
    app.state.desk = desk
    add_handlers(app)
    for router in _ROUTERS:
        app.include_router(router)
    guarded: ASGIApp = Guard(app, settings=settings, metrics=desk.metrics, key=settings.api_key())
    if settings.cors_origins:
        guarded = CORSMiddleware(
            guarded, allow_origins=settings.cors_origins, allow_methods=["*"], allow_headers=["*"]
        )
    return Journal(guarded, metrics=desk.metrics)


def handed_on_app() -> ASGIApp:
    """The service of a process that another one started."""
    settings = Settings.handed_on()
    write_json_logs(settings.log_level)
    return create_app(settings)
