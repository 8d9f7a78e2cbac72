"""Work of seconds to hours: how far it is, and how it stops without leaving anything half done."""

from __future__ import annotations

import contextlib
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from audiogan.utils.terminal import is_terminal

PATIENCE = 2.0
"""Seconds after which progress is shown."""
LINES = 60.0
"""Most seconds between two lines of progress where there is no terminal."""
SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


class ItemProgress:
    """A bar on a terminal; elsewhere a line now and then. Work that is done sooner than `PATIENCE` shows nothing.

    Args:
        total: steps of the work.
        noun: one of the things that are made.
        echo: prints a line.
    """

    def __init__(self, total: int, noun: str, echo: Callable[[str], None]) -> None:
        self.total, self.noun, self.echo, self.done = total, noun, echo, 0
        self._wait = PATIENCE
        self._due = time.monotonic() + PATIENCE
        self._bar: Any = None
        if is_terminal(sys.stderr):
            from tqdm import tqdm

            size = shutil.get_terminal_size()  # with a default for terminals that report none
            shape = {"ncols": size.columns, "nrows": size.lines}
            self._bar = tqdm(total=total, unit=noun, delay=PATIENCE, leave=False, **shape)

    def step(self, count: int = 1) -> None:
        """Count more steps as done."""
        self.done += count
        if self._bar is not None:
            self._bar.update(count)
        elif time.monotonic() >= self._due and self.done < self.total:
            self.echo(f"{self.done:,} of {self.total:,} {self.noun}s")
            self._wait = min(2 * self._wait, LINES)
            self._due = time.monotonic() + self._wait

    def close(self) -> None:
        """Remove the bar."""
        if self._bar is not None:
            self._bar.close()


class Interrupts:
    """The effect of Ctrl-C, SIGTERM and a closed terminal inside `interruptible`."""

    def __init__(self) -> None:
        self._holding = self._pending = False

    def arrive(self, number: int, frame: Any) -> None:
        """Handle a signal."""
        if not self._holding or self._pending:  # the second one takes effect at once
            raise KeyboardInterrupt
        self._pending = True

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Delay the first signal until the block is done."""
        self._holding = True
        try:
            yield
        finally:
            self._holding = False
        if self._pending:
            raise KeyboardInterrupt


@contextlib.contextmanager
def interruptible() -> Iterator[Interrupts]:
    """Turn SIGTERM and SIGHUP into KeyboardInterrupt, as Ctrl-C is, except in `Interrupts.held`.

    Signals that are ignored, as by ``nohup``, stay so, and so do handlers of the program's own. Outside the main thread
    nothing changes.
    """
    interrupts, before = Interrupts(), {}
    try:
        for number in SIGNALS:
            if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
                before[number] = signal.signal(number, interrupts.arrive)
    except ValueError:  # not the main thread
        pass
    try:
        yield interrupts
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
