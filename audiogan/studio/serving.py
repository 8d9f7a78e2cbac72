"""HTTP server of the studio: uvicorn with limits on the number and duration of connections.

By default, uvicorn waits forever for incomplete request headers and accepts connections until the process has no file
descriptors left. With these limits, idle connections cannot block the server.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

HEADER_SECONDS = 10.0
"""Time after which a connection without a complete request header is closed, in seconds."""
REQUEST_SECONDS = 150.0
"""Time after which a request without a complete response is aborted, in seconds."""
MAX_CONNECTIONS = 500
"""Largest number of open connections. `connection_limit` reduces it if the process has few file descriptors."""
ACCEPT_BATCH = 16
"""Number of connections that asyncio accepts at a time, before idle connections are closed."""


class Connection(H11Protocol):
    """HTTP connection with time limits. If there are too many connections, a new connection
    closes the one that was idle longest."""

    max_connections = MAX_CONNECTIONS
    header_seconds = HEADER_SECONDS
    request_seconds = REQUEST_SECONDS

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._timer: asyncio.TimerHandle | None = None
        self._timed: Any = None
        self._start(None)
        others = [c for c in self.connections if isinstance(c, Connection) and not c.transport.is_closing()]
        if len(others) > self.max_connections:
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
        """Whether the connection has a request without a complete response."""
        return self.cycle is not None and not self.cycle.response_complete

    def _watch(self) -> None:
        """Restart the timer if a request began or ended. Further bytes of a request do not restart it."""
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
    """HTTP server for an ASGI application. `run` is called with sockets that are already listening."""

    def __init__(self, app: ASGIApp) -> None:
        protocol = type("Limited", (Connection,), {"max_connections": connection_limit()})
        super().__init__(
            uvicorn.Config(
                app,
                http=protocol,
                loop="asyncio",  # uvloop ignores the backlog and accepts all waiting connections at once.
                log_level="warning",
                access_log=False,
                server_header=False,
                proxy_headers=False,
                ws="none",
                lifespan="off",
                backlog=ACCEPT_BATCH,
                timeout_graceful_shutdown=2,
            )
        )

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for listener in sockets or []:
            # Number of connections that wait in the kernel. It is set here, because ``backlog`` would also make asyncio
            # accept this number at a time.
            listener.listen(512)


def connection_limit() -> int:
    """Return the largest number of open connections: half of the available file descriptors, at most 500."""
    try:
        import resource
    except ImportError:  # Windows has no module ``resource``.
        return MAX_CONNECTIONS // 2
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MAX_CONNECTIONS if soft == resource.RLIM_INFINITY else max(8, min(MAX_CONNECTIONS, soft // 2))
