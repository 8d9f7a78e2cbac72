"""Responses that report the progress of a long task as a stream of JSON lines."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import anyio
from starlette.responses import StreamingResponse

from audiogan.errors import UserError
from audiogan.studio.limits import Slots

PROGRESS_SECONDS = 0.2
"""Time between two progress messages, in seconds."""
Progress = Callable[[float], None]
"""Type of functions that a task calls with the completed fraction of its work, 0 ... 1."""


async def stream_progress(
    slots: Slots, work: Callable[[Progress], dict[str, Any]], error_message: Callable[[Exception], str]
) -> StreamingResponse:
    """Run a task in a thread, and return a response with its progress and its result as JSON lines.

    During the task, lines are ``{"progress": 0 ... 1}``. The last line is the result, or ``{"error"}`` if the task
    raised a `UserError`. The task ends early if the client closes the connection: the progress function then raises
    `InterruptedError`.

    Args:
        slots: task slots. One is occupied until the task ends.
        work: the task. It receives the progress function and returns the result as a JSON object.
        error_message: function that returns the message of a `UserError` for the client.

    Raises:
        Refused: all slots are busy (status 503).
    """
    # The slot is acquired before the response starts, because the status of a response cannot change to 503 (refused)
    # once it has started.
    await slots.acquire()
    return StreamingResponse(_lines(slots, work, error_message), media_type="application/x-ndjson")


async def _lines(
    slots: Slots, work: Callable[[Progress], dict[str, Any]], error_message: Callable[[Exception], str]
) -> AsyncIterator[str]:
    result: dict[str, Any] = {}
    share, gone = 0.0, False

    def progress(now: float) -> None:
        nonlocal share
        share = now
        if gone:
            raise InterruptedError

    def run() -> None:
        try:
            result.update(work(progress))
        except UserError as error:
            result["error"] = error_message(error)
        except InterruptedError:
            pass

    async def task() -> None:
        try:
            await anyio.to_thread.run_sync(run, limiter=anyio.CapacityLimiter(1))
        finally:
            slots.release()
            done.set()

    done = anyio.Event()
    async with anyio.create_task_group() as group:
        group.start_soon(task)
        try:
            while not done.is_set():
                with anyio.move_on_after(PROGRESS_SECONDS):
                    await done.wait()
                yield json.dumps({"progress": round(min(0.99, share), 3)}) + "\n"
        finally:
            gone = True
    yield json.dumps(result) + "\n"
