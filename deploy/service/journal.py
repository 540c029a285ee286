"""A name for every request, one line of JSON about it, and the counters that ``/metrics`` shows."""

import json
import logging
import re
import sys
import time
import uuid
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deploy.service.metrics import Metrics

_REQUEST: ContextVar[str] = ContextVar("request", default="")
_NAME = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_HEADER = b"x-request-id"
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message", "taskName"}
log = logging.getLogger("edgeproof.service")


def current_request() -> str:
    """The name of the request that is being answered; empty outside of one."""
    return _REQUEST.get()


class JsonLines(logging.Formatter):
    """A record as one line of JSON, with the request that it belongs to and whatever ``extra`` holds."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        found: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
        }
        if request := current_request():
            found["request_id"] = request
        found |= {key: value for key, value in vars(record).items() if key not in _OWN}
        if record.exc_info:
            found["traceback"] = self.formatException(record.exc_info)
        return json.dumps(found, default=str)


def write_json_logs(level: str) -> None:
    """Everything that this process logs goes to standard error as JSON."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)


class Journal:
    """The outermost layer: names a request, times it, counts it and logs it."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        name = _name_of(scope)
        token, status, started = _REQUEST.set(name), 0, time.perf_counter()

        async def named(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (_HEADER, name.encode())]
            await send(message)

        try:
            await self._app(scope, receive, named)
        finally:
            self._tell(scope, status=status, seconds=time.perf_counter() - started)
            _REQUEST.reset(token)

    def _tell(self, scope: Scope, *, status: int, seconds: float) -> None:
        route = getattr(
            scope.get("route"), "path", "other"
        )  # its pattern: names of models make no new series
        method = scope["method"] if scope["method"] in _METHODS else "other"  # anybody can make up more
        self._metrics.requests.labels(method, route, str(status)).inc()
        self._metrics.request_seconds.labels(route).observe(seconds)
        level = logging.ERROR if status in (0, 500) else logging.INFO
        client = scope.get("client")
        fields = {
            "method": scope["method"], "path": scope["path"], "status": status,
            "ms": round(1000 * seconds, 2), "client": client[0] if client else None,
        }  # fmt: skip
        log.log(level, "request" if status else "request without an answer", extra=fields)


def _name_of(scope: Scope) -> str:
    """What the client calls it, if that is harmless in a log; otherwise something new."""
    for key, value in scope["headers"]:
        if key == _HEADER and _NAME.fullmatch(value):
            found: str = value.decode()
            return found
    return uuid.uuid4().hex
