"""Limits of the studio's API: size and duration of requests, number of concurrent tasks, and validation of JSON."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import ParamSpec, TypeVar

import anyio
from pydantic import BaseModel, ConfigDict
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from audiogan.run.trust import with_current_trust

P = ParamSpec("P")
R = TypeVar("R")

MAX_SOUNDS = 64
"""Largest number of sounds that one request can generate."""
DRAIN_SECONDS = 2.0
"""Longest time for which `DrainingResponse` reads the rest of a refused upload, in seconds."""


@dataclass(frozen=True)
class Limits:
    """Limits for requests to the studio.

    Attributes:
        json_bytes: largest size of a JSON request body, in bytes.
        upload_bytes: largest size of an uploaded recording, in bytes.
        opened_bytes: largest size of a kit or sound that is opened, in bytes. Archives of kits contain sounds.
        recording_seconds: number of seconds of a recording that are decoded, from its beginning.
        apply_seconds: number of seconds of a recording that the page Apply translates, from its beginning.
        imitate_seconds: longest duration of a search by ``/api/imitate``, in seconds.
        body_seconds: time within which a request body must arrive, in seconds.
        max_running: number of tasks that run at the same time. By default the number of CPU cores.
        max_waiting: number of requests that can wait for a task slot. Further requests get status 503.
        wait_seconds: longest waiting time for a task slot, in seconds. After it, the request gets status 503.
    """

    json_bytes: int = 1 << 20
    upload_bytes: int = 16 << 20
    opened_bytes: int = 64 << 20
    recording_seconds: float = 10.0
    apply_seconds: float = 60.0
    imitate_seconds: float = 20.0
    body_seconds: float = 30.0
    max_running: int = os.cpu_count() or 1
    max_waiting: int = 500
    wait_seconds: float = 60.0


class Refused(Exception):
    """Exception that ends a request with an HTTP status and a one-line error message.

    Args:
        status: HTTP status.
        message: error message on one line.
        headers: additional response headers.
    """

    def __init__(self, status: int, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.headers = status, message, headers or {}

    def response(self) -> JSONResponse:
        """Return the response for the client, a JSON object with the key ``error``."""
        kind = DrainingResponse if self.status == 413 else JSONResponse
        return kind({"error": self.message}, self.status, headers=self.headers)


class DrainingResponse(JSONResponse):
    """Response that is sent before the whole body of the request has arrived. The rest of the body is read and
    discarded for a short time. If the connection were closed at once, many clients would report a broken connection
    instead of the response.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [*self.raw_headers, (b"connection", b"close")]
        await send({"type": "http.response.start", "status": self.status_code, "headers": headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": True})
        with anyio.move_on_after(DRAIN_SECONDS):
            while True:
                message = await receive()
                if message["type"] != "http.request" or not message.get("more_body"):
                    break
        await send({"type": "http.response.body", "body": b""})


class StrictModel(BaseModel):
    """Base class for JSON request bodies. Unknown keys, NaN, infinity and values of another type are errors."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


async def read_body(request: Request, max_bytes: int, seconds: float) -> bytes:
    """Read the body of a request. Reading stops as soon as the body exceeds ``max_bytes``.

    Args:
        request: the request.
        max_bytes: largest size of the body, in bytes.
        seconds: time within which the body must arrive, in seconds.

    Raises:
        Refused: the body is too large (status 413) or does not arrive in time (status 400).
    """
    too_large = Refused(413, f"the body is larger than {max_bytes:,} bytes")
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and (len(announced) > 15 or int(announced) > max_bytes):
        raise too_large
    body = bytearray()
    try:
        with anyio.fail_after(seconds):
            async for part in request.stream():
                body += part
                if len(body) > max_bytes:
                    raise too_large
    except TimeoutError:
        raise Refused(400, f"the body did not arrive within {seconds:g} seconds") from None
    return bytes(body)


class Slots:
    """Thread pool with a limited number of running tasks and a limited queue.

    Args:
        max_running: number of tasks that run at the same time.
        max_waiting: number of tasks that can wait for a slot.
        wait_seconds: longest waiting time for a slot, in seconds.
    """

    def __init__(self, max_running: int, max_waiting: int, wait_seconds: float) -> None:
        self.semaphore, self.max_waiting, self.wait_seconds = asyncio.Semaphore(max_running), max_waiting, wait_seconds
        self.queued = 0
        # A separate thread pool is used, because other tasks may occupy the threads of the default executor.
        self.threads = ThreadPoolExecutor(max_running)

    async def acquire(self) -> None:
        """Wait for a free slot and occupy it. The caller must call `release` when the task ends.

        Raises:
            Refused: the queue is full, or no slot became free in time (status 503).
        """
        busy = Refused(503, "the studio is busy; try again in a moment", {"Retry-After": "1"})
        if self.semaphore.locked() and self.queued >= self.max_waiting:
            raise busy
        self.queued += 1
        try:
            with anyio.fail_after(self.wait_seconds):
                await self.semaphore.acquire()
        except TimeoutError:
            raise busy from None
        finally:
            self.queued -= 1

    def release(self) -> None:
        self.semaphore.release()

    async def run(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Wait for a free slot, call ``function(*args, **kwargs)`` in a thread and return its result."""
        await self.acquire()
        try:
            return await asyncio.get_running_loop().run_in_executor(
                self.threads, partial(with_current_trust(function), *args, **kwargs)
            )
        finally:
            self.release()
