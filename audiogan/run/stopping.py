"""Stop a training run cleanly when the process receives a signal."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator
from typing import Any

from audiogan.core import Trainer

INTERRUPTED = ("interrupted", "asked to terminate")
"""Values of `Trainer.stop_reason` for a run stopped by Ctrl-C, and by SIGTERM or SIGHUP."""


@contextlib.contextmanager
def stop_on_signals(trainer: Trainer, echo: Callable[[str], None]) -> Iterator[None]:
    """Stop the run after the current step on Ctrl-C, SIGTERM or SIGHUP (sent when a terminal closes).

    A second Ctrl-C raises `KeyboardInterrupt` immediately. Repeated SIGTERM and SIGHUP signals are ignored, because
    terminals and service managers may send several. Under ``nohup``, SIGHUP is ignored. Outside the main thread, this
    context manager has no effect.

    Args:
        trainer: trainer to stop.
        echo: function that prints a line.
    """
    stopping = False

    def stop(number: int, frame: Any) -> None:
        nonlocal stopping
        if stopping:
            if number == signal.SIGINT:
                raise KeyboardInterrupt
            return
        stopping = True
        trainer.stop(INTERRUPTED[0] if number == signal.SIGINT else INTERRUPTED[1])
        # Printing fails if the terminal is closed or if the signal interrupted another print.
        with contextlib.suppress(OSError, ValueError, RuntimeError):
            echo("\nsaving after this step; press Ctrl-C again to quit immediately")

    numbers: list[int] = [signal.SIGINT, signal.SIGTERM]
    hangup = getattr(signal, "SIGHUP", None)  # Windows has no SIGHUP.
    if hangup is not None and signal.getsignal(hangup) != signal.SIG_IGN:
        numbers.append(hangup)
    before: dict[int, Any] = {}
    try:
        for number in numbers:
            before[number] = signal.signal(number, stop)
    except ValueError:  # Signal handlers can only be set in the main thread.
        pass
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
