"""Progress display and safe interruption of long tasks."""

from __future__ import annotations

import contextlib
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from audiogan.utils.terminal import is_terminal

DELAY_SECONDS = 2.0
"""Time from the start of a task until its progress is displayed, in seconds."""
MAX_INTERVAL_SECONDS = 60.0
"""Maximum interval between two progress lines when the output is not a terminal, in seconds."""
SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


class ItemProgress:
    """A progress bar on a terminal, or an occasional line of text elsewhere.

    Tasks shorter than `DELAY_SECONDS` display nothing.

    Args:
        total: number of items.
        noun: singular name of an item, such as "sound".
        echo: function that prints a line.
    """

    def __init__(self, total: int, noun: str, echo: Callable[[str], None]) -> None:
        self.total, self.noun, self.echo, self.done = total, noun, echo, 0
        self._wait = DELAY_SECONDS
        self._due = time.monotonic() + DELAY_SECONDS
        self._bar: Any = None
        if is_terminal(sys.stderr):
            from tqdm import tqdm

            size = shutil.get_terminal_size()  # falls back to 80 x 24 if the terminal reports no size
            shape = {"ncols": size.columns, "nrows": size.lines}
            self._bar = tqdm(total=total, unit=noun, delay=DELAY_SECONDS, leave=False, **shape)

    def step(self, count: int = 1) -> None:
        """Advance the progress by `count` items."""
        self.done += count
        if self._bar is not None:
            self._bar.update(count)
        elif time.monotonic() >= self._due and self.done < self.total:
            self.echo(f"{self.done:,} of {self.total:,} {self.noun}s")
            self._wait = min(2 * self._wait, MAX_INTERVAL_SECONDS)
            self._due = time.monotonic() + self._wait

    def close(self) -> None:
        """Remove the progress bar from the terminal."""
        if self._bar is not None:
            self._bar.close()


class Interrupts:
    """Handler of Ctrl-C, SIGTERM and SIGHUP inside `interruptible`. It can delay the first signal."""

    def __init__(self) -> None:
        self._holding = self._pending = False

    def handle_signal(self, signal_number: int, frame: Any) -> None:
        """Raise KeyboardInterrupt. Inside `delayed`, only remember the first signal; a second one raises at once."""
        if not self._holding or self._pending:  # a second signal is never delayed
            raise KeyboardInterrupt
        self._pending = True

    @contextlib.contextmanager
    def delayed(self) -> Iterator[None]:
        """Delay the first signal until the block ends, so that the block is not interrupted half-way."""
        self._holding = True
        try:
            yield
        finally:
            self._holding = False
        if self._pending:
            raise KeyboardInterrupt


@contextlib.contextmanager
def interruptible() -> Iterator[Interrupts]:
    """Convert SIGTERM and SIGHUP into KeyboardInterrupt, as Python does for Ctrl-C.

    Use the yielded `Interrupts.delayed` for blocks that must not be interrupted. Signals that are ignored, for example
    under ``nohup``, stay ignored. Handlers installed by the program stay installed. Outside the main thread, nothing
    changes.
    """
    interrupts, before = Interrupts(), {}
    try:
        for number in SIGNALS:
            if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
                before[number] = signal.signal(number, interrupts.handle_signal)
    except ValueError:  # Python allows signal handlers in the main thread only
        pass
    try:
        yield interrupts
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
