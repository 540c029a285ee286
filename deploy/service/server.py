"""The processes and the socket: uvicorn around the application."""

import errno
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from deploy.service.places import folder_of
from deploy.service.settings import Settings
from distill.errors import EdgeproofError

_APP = "deploy.service.app:handed_on_app"
_PROTOCOL = "deploy.service.protocol:ImpatientProtocol"
_BACKLOG = 1024
_SHUTDOWN_S = 30


def serve(settings: Settings, *, host: str, port: int, workers: int = 1) -> None:
    """Answer until SIGTERM or Ctrl-C; what is being answered then is answered, and nothing new is taken.

    Args:
        settings: see :class:`Settings`.
        host: address to listen on.
        port: 0 takes one that is free.
        workers: processes; they share jobs and the active model.

    Raises:
        EdgeproofError: the address is in use or none of this machine's, a setting does not fit, or the model cannot be
            loaded.
    """
    import uvicorn
    from uvicorn.supervisors import Multiprocess

    from deploy.service.journal import log, write_json_logs

    settings.check()
    settings.hand_on()
    with listening(host, port) as listener:
        _choose_model(settings)
        write_json_logs(settings.log_level)
        if workers > 1:
            _count_together(settings)
        config = uvicorn.Config(
            _APP, factory=True, workers=workers, http=_PROTOCOL, ws="none", log_config=None, access_log=False,
            server_header=False, timeout_graceful_shutdown=_SHUTDOWN_S, backlog=_BACKLOG,
        )  # fmt: skip
        log.info("listening on http://%s:%d", *listener.getsockname()[:2])
        try:
            if workers > 1:
                Multiprocess(config, sockets=[listener]).run()
            else:
                uvicorn.Server(config).run(sockets=[listener])
        except KeyboardInterrupt:  # uvicorn has ended well, and passes on what ended it
            pass


@contextmanager
def listening(host: str, port: int) -> Iterator[socket.socket]:
    """A socket that is bound, so that whoever connects from now on waits and is not turned away.

    Raises:
        EdgeproofError: the address is in use, or none of this machine's.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(_BACKLOG)
            listener.set_inheritable(True)
            yield listener
    except (OSError, OverflowError, ValueError) as error:  # ValueError: a name that no host can have
        if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
            raise EdgeproofError(f"port {port} of {host} is in use; choose another with --port") from None
        raise EdgeproofError(f"{host}:{port}: cannot listen there ({error})") from None


def _choose_model(settings: Settings) -> None:
    """Make the model that was asked for the active one, and see that the active one answers before anybody is told."""
    from deploy.service.catalogue import open_model
    from deploy.service.desk import active_model
    from deploy.service.store import Store

    store = Store(settings.database)
    try:
        name = settings.model or active_model(store)
    except sqlite3.Error as error:
        raise EdgeproofError(
            f"{settings.database}: is damaged ({error}); without it the service begins anew"
        ) from None
    open_model(folder_of(settings, name), settings)
    if settings.model:
        store.set_active(name)


def _count_together(settings: Settings) -> None:
    from deploy.service.metrics import share_between_processes

    share_between_processes(settings.state / "metrics")
