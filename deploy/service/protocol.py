"""uvicorn's HTTP protocol, which waits only so long for a request's headers: a slow client would hold its connection for good."""

import asyncio
from typing import Any

from uvicorn.protocols.http.auto import AutoHTTPProtocol

_Base: Any = AutoHTTPProtocol  # of two classes the one whose parser is installed


class ImpatientProtocol(_Base):  # type: ignore[misc]
    """Closes a connection on which no request has begun in time; bodies and answers are the guard's business.

    Attributes:
        headers_s: seconds from the connection, or from a further request's first byte, to the end of its headers.
    """

    headers_s = 10.0
    _alarm: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start to wait."""
        super().connection_made(transport)
        self._arm()

    def data_received(self, data: bytes) -> None:
        """Wait for more, or no longer."""
        super().data_received(data)
        if self.cycle is None or self.cycle.response_complete:
            self._arm()
        else:
            self._disarm()

    def send_400_response(self, msg: str) -> None:
        """Say that this is no HTTP; what an application that has begun with it would say has nowhere to go."""
        super().send_400_response(msg)
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True
            self.cycle.message_event.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing to wait for."""
        self._disarm()
        super().connection_lost(exc)

    def _arm(self) -> None:
        if self._alarm is None:  # one that is set stays: every further byte would put it off
            self._alarm = self.loop.call_later(self.headers_s, self._close)

    def _disarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    def _close(self) -> None:
        if not self.transport.is_closing():
            self.transport.close()
