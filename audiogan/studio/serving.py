"""The HTTP server of the studio: uvicorn's, with limits on how long and how many connections stay open.

uvicorn waits without end for a request with headers that never finish, and accepts connections until the process has no
file descriptors left. Here a few hundred idle connections shut nobody out.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

HEADER_SECONDS = 10.0
"""A connection without a complete request header is closed after this time."""
REQUEST_SECONDS = 150.0
"""A request that is not answered completely after this time is cut off, whoever is slow."""
CONNECTIONS = 500
"""Most open connections; fewer where the system allows few file descriptors."""
ACCEPTED = 16
"""Connections accepted at once, before the oldest idle ones are closed."""


class Connection(H11Protocol):
    """One connection: closed when it is idle or slow for too long, or idle while a new one needs its place."""

    most = CONNECTIONS
    header_seconds = HEADER_SECONDS
    request_seconds = REQUEST_SECONDS

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._timer: asyncio.TimerHandle | None = None
        self._timed: Any = None
        self._start(None)
        others = [c for c in self.connections if isinstance(c, Connection) and not c.transport.is_closing()]
        if len(others) > self.most:
            idle = [c for c in others if c is not self and not c.busy]
            min(idle, key=lambda connection: connection._since, default=self).transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._timer is not None:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._watch()

    @property
    def busy(self) -> bool:
        """Whether a request is being answered."""
        return self.cycle is not None and not self.cycle.response_complete

    def _watch(self) -> None:
        """Start the time anew when a request begins or ends, but not when more bytes of it come."""
        now = self.cycle if self.busy else None
        if now is not self._timed:
            self._start(now)

    def _start(self, request: Any) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timed, self._since = request, self.loop.time()
        seconds = self.header_seconds if request is None else self.request_seconds
        self._timer = self.loop.call_later(seconds, self.transport.abort)


class Server(uvicorn.Server):
    """A server of an application on a socket that listens already."""

    def __init__(self, app: ASGIApp) -> None:
        protocol = type("Limited", (Connection,), {"most": connections()})
        super().__init__(
            uvicorn.Config(
                app,
                http=protocol,
                loop="asyncio",  # uvloop accepts all that wait at once, whatever the backlog
                log_level="warning",
                access_log=False,
                server_header=False,
                proxy_headers=False,
                ws="none",
                lifespan="off",
                backlog=ACCEPTED,
                timeout_graceful_shutdown=2,
            )
        )

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for listener in sockets or []:
            # So many may wait in the system; the backlog above is also what asyncio accepts at once.
            listener.listen(512)


def connections() -> int:
    """Most open connections: half of the file descriptors that this process may have, at most `CONNECTIONS`."""
    try:
        import resource
    except ImportError:  # Windows
        return CONNECTIONS // 2
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return CONNECTIONS if soft == resource.RLIM_INFINITY else max(8, min(CONNECTIONS, soft // 2))
