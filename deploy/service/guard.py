"""What is refused before any work: strangers, bodies too long, requests too slow, and more than can be worked on."""

import asyncio
import hmac

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deploy.service.metrics import Metrics
from deploy.service.problems import Problem, problem_response
from deploy.service.settings import Settings

_OPEN = ("/v2/health/",)  # whoever starts and watches services must be able to ask without a key
_BODIES = frozenset({"POST", "PUT", "PATCH"})
_RETRY_S = "1"
_IMAGES = ("/predict", "/infer")  # ends of paths whose bodies may be long; elsewhere it is a form of JSON
_LONGEST_FORM = 2**20
_BODIES_AT_ONCE = 6  # of the longest that may be; shorter ones are more


class Guard:
    """The layer below the journal.

    Args:
        app: what is guarded.
        settings: the limits.
        metrics: where requests in flight are shown.
        key: that every request must bring as ``Authorization: Bearer KEY`` or ``X-API-Key: KEY``; None asks for none.
    """

    def __init__(self, app: ASGIApp, *, settings: Settings, metrics: Metrics, key: bytes | None) -> None:
        self._app, self._settings, self._metrics, self._key = app, settings, metrics, key
        self._in_flight, self._held = 0, 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or say why not."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            headers = dict(scope["headers"])
            self._check_key(scope["path"], headers)
            self._check_length(headers, most=self._most(scope["path"]))
            await (self._counted if scope["method"] in _BODIES else self._timed)(scope, receive, send)
        except Problem as problem:
            await problem_response(problem)(scope, receive, send)

    def _check_key(self, path: str, headers: dict[bytes, bytes]) -> None:
        if self._key is None or path.startswith(_OPEN):
            return
        scheme, _, token = headers.get(b"authorization", b"").partition(b" ")
        given = token.strip() if scheme.lower() == b"bearer" else headers.get(b"x-api-key", b"")
        if not hmac.compare_digest(given, self._key):
            found = "another key" if given else "no key"
            raise Problem(
                401,
                f"{found}, expected the service's in Authorization: Bearer or X-API-Key",
                headers={"WWW-Authenticate": "Bearer"},
            )

    def _most(self, path: str) -> int:
        """Bytes of a body. JSON takes some thirty times its length in memory, so that of forms is short."""
        most = self._settings.max_bytes
        return most if path.endswith(_IMAGES) else min(most, _LONGEST_FORM)

    def _check_length(self, headers: dict[bytes, bytes], *, most: int) -> None:
        length = headers.get(b"content-length", b"")
        if length.isdigit() and int(length) > most:
            raise _too_long(f"{int(length)} bytes", most=most)

    async def _counted(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._in_flight >= self._settings.max_in_flight:
            raise _busy(f"{self._in_flight} requests are")
        self._in_flight += 1
        self._metrics.in_flight.inc()
        try:
            await self._timed(scope, receive, send)
        finally:
            self._in_flight -= 1
            self._metrics.in_flight.dec()

    async def _timed(self, scope: Scope, receive: Receive, send: Send) -> None:
        arrived, begun, read, most = False, False, 0, self._most(scope["path"])

        async def measured() -> Message:
            nonlocal arrived, read
            message = await receive()
            read += len(message.get("body", b""))
            self._held += len(message.get("body", b""))
            arrived = not message.get("more_body", False)
            if read > most:
                raise _too_long(f"{read} bytes and more", most=most)
            if self._held > _BODIES_AT_ONCE * self._settings.max_bytes:
                raise _busy(f"{self._held} bytes are", Connection="close")
            return message

        async def noted(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            async with asyncio.timeout(self._settings.request_s):
                await self._app(scope, measured, noted)
        except TimeoutError:
            if begun:  # half an answer: only closing the connection says that it is none
                raise
            raise self._too_slow(arrived=arrived) from None
        finally:
            self._held -= read

    def _too_slow(self, *, arrived: bool) -> Problem:
        seconds = f"{self._settings.request_s:g} seconds"
        if arrived:
            return Problem(503, f"no answer within {seconds}; try again", headers={"Retry-After": _RETRY_S})
        return Problem(408, f"the body had not arrived after {seconds}", headers={"Connection": "close"})


def _too_long(found: str, *, most: int) -> Problem:
    return Problem(413, f"body: {found}, at most {most} are read", headers={"Connection": "close"})


def _busy(found: str, **headers: str) -> Problem:
    told = f"{found} being worked on, which is the most; try again in a second"
    return Problem(503, told, headers={"Retry-After": _RETRY_S, **headers})
