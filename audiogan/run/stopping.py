"""Ending a training by a signal, without loss of work."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator
from typing import Any

from audiogan.core import Trainer

INTERRUPTED = ("interrupted", "asked to terminate")
"""Values of `Trainer.stop_reason` for a run that ended because someone wanted it to."""


@contextlib.contextmanager
def stop_on_signals(trainer: Trainer, echo: Callable[[str], None]) -> Iterator[None]:
    """End the run after the current step at Ctrl-C, SIGTERM or SIGHUP (a terminal that closes).

    A second Ctrl-C raises `KeyboardInterrupt` at once. Further SIGTERMs and SIGHUPs are ignored, because terminals and
    service managers may send several. SIGHUP stays ignored under ``nohup``. Does nothing outside the main thread.
    """
    asked = False

    def stop(number: int, frame: Any) -> None:
        nonlocal asked
        if asked:
            if number == signal.SIGINT:
                raise KeyboardInterrupt
            return
        asked = True
        trainer.stop(INTERRUPTED[0] if number == signal.SIGINT else INTERRUPTED[1])
        with contextlib.suppress(OSError, ValueError, RuntimeError):  # the terminal is closed, or a print was under way
            echo("\nfinishing this step and saving; Ctrl-C again to leave at once")

    numbers: list[int] = [signal.SIGINT, signal.SIGTERM]
    hangup = getattr(signal, "SIGHUP", None)  # not on Windows
    if hangup is not None and signal.getsignal(hangup) != signal.SIG_IGN:
        numbers.append(hangup)
    before: dict[int, Any] = {}
    try:
        for number in numbers:
            before[number] = signal.signal(number, stop)
    except ValueError:  # not the main thread
        pass
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
