"""What a request may cost: bytes, numbers, seconds, and how many run at once."""

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

SOUNDS = 64
"""Most sounds that one request can ask for."""
LINGER = 2.0
"""Seconds for which the rest of a refused upload is thrown away, so that its sender hears why."""


@dataclass(frozen=True)
class Limits:
    """
    Attributes:
        json_bytes: of a JSON body.
        upload_bytes: of a recording.
        recording_seconds: that are decoded of a recording, however long it is.
        imitate_seconds: that an imitation may take.
        body_seconds: within which a body has to arrive.
        running: renders at once; by default one a core.
        waiting: requests that may wait for their turn; further ones get 503.
        patience: seconds after which a waiting request gets 503.
    """

    json_bytes: int = 1 << 20
    upload_bytes: int = 16 << 20
    recording_seconds: float = 10.0
    imitate_seconds: float = 20.0
    body_seconds: float = 30.0
    running: int = os.cpu_count() or 1
    waiting: int = 500
    patience: float = 60.0


class Refused(Exception):
    """A request that is answered with a status and one line."""

    def __init__(self, status: int, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.headers = status, message, headers or {}

    def response(self) -> JSONResponse:
        """What the client gets."""
        kind = Lingering if self.status == 413 else JSONResponse
        return kind({"error": self.message}, self.status, headers=self.headers)


class Lingering(JSONResponse):
    """An answer given while the body is still coming in. What comes is thrown away for a moment, then the line is cut:
    cut at once, many clients would see a broken connection instead of the answer.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [*self.raw_headers, (b"connection", b"close")]
        await send({"type": "http.response.start", "status": self.status_code, "headers": headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": True})
        with anyio.move_on_after(LINGER):
            while True:
                message = await receive()
                if message["type"] != "http.request" or not message.get("more_body"):
                    break
        await send({"type": "http.response.body", "body": b""})


class Strict(BaseModel):
    """A JSON object with the keys it has to have and no others; numbers are finite numbers, nothing is converted."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


async def read(request: Request, limit: int, seconds: float) -> bytes:
    """The body. It is given up as soon as it is larger than ``limit`` bytes, whatever its header promised.

    Raises:
        Refused: 413 where it is larger, 400 where it does not arrive within ``seconds``.
    """
    too_large = Refused(413, f"the body is larger than {limit:,} bytes")
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and (len(announced) > 15 or int(announced) > limit):
        raise too_large
    body = bytearray()
    try:
        with anyio.fail_after(seconds):
            async for part in request.stream():
                body += part
                if len(body) > limit:
                    raise too_large
    except TimeoutError:
        raise Refused(400, f"the body did not arrive within {seconds:g} seconds") from None
    return bytes(body)


class Slots:
    """Work in threads: so much at once, so much in the queue, and a clear word to everyone else."""

    def __init__(self, running: int, waiting: int, patience: float) -> None:
        self.turn, self.running, self.waiting, self.patience = asyncio.Semaphore(running), running, waiting, patience
        self.queued = 0
        self.threads = ThreadPoolExecutor(running)  # of its own: they are there already, and warm

    async def enter(self) -> None:
        """Wait for a turn; `leave` must follow. ``Refused`` with 503 if there is none to be had soon."""
        busy = Refused(503, "the studio is busy; try again in a moment", {"Retry-After": "1"})
        if self.turn.locked() and self.queued >= self.waiting:
            raise busy
        self.queued += 1
        try:
            with anyio.fail_after(self.patience):
                await self.turn.acquire()
        except TimeoutError:
            raise busy from None
        finally:
            self.queued -= 1

    def leave(self) -> None:
        self.turn.release()

    async def run(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """``work(*args, **kwargs)`` in a thread, in its turn."""
        await self.enter()
        try:
            return await asyncio.get_running_loop().run_in_executor(
                self.threads, partial(with_current_trust(work), *args, **kwargs)
            )
        finally:
            self.leave()
