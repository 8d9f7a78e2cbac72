"""Progress bar of a training run."""

from __future__ import annotations

import contextlib
import math
import sys
import time
from typing import Any

from audiogan.core import Callback, Trainer
from audiogan.utils.terminal import is_terminal

BAR_INTERVAL, LINE_INTERVAL = 0.5, 30.0
"""Seconds between two updates of the bar on a terminal (``BAR_INTERVAL``), and between two lines in a file or pipe
(``LINE_INTERVAL``)."""
MIN_SECONDS = 5.0
"""Seconds of training before the first estimate of the remaining time."""


class Progress(Callback):
    """Progress display on standard error: step, losses, examples per second and remaining time.

    A terminal shows a progress bar. A log file or a pipe gets one line of text every 30 seconds. If standard error is
    closed, nothing is printed.

    Args:
        log: `MetricsLog` whose newest losses are shown. Without a log, no losses are shown.
    """

    def __init__(self, log: Any = None) -> None:
        self.log = log
        self._bar: Any = None
        self._begun: tuple[float, float] | None = None  # Start time in seconds, and budget fraction used by then.
        self._shown: tuple[float, int] | None = None  # Time in seconds and number of examples at the last update.

    def on_step(self, trainer: Trainer) -> None:
        if not trainer.engine.is_main_process:
            return
        now, terminal = time.monotonic(), is_terminal(sys.stderr)
        if self._begun is None:
            self._begun = now, trainer.progress
        if self._shown is None and not terminal:
            self._shown = now, trainer.real_examples
        if self._shown is not None and now - self._shown[0] < (BAR_INTERVAL if terminal else LINE_INTERVAL):
            return
        with contextlib.suppress(OSError, ValueError):  # The stream is closed or cannot encode the text.
            self._show(trainer, now, terminal)
        self._shown = now, trainer.real_examples

    def _show(self, trainer: Trainer, now: float, terminal: bool) -> None:
        figures = self.status_values(trainer, now)
        if sys.stderr is None:
            return
        if not terminal:
            # If both steps and minutes are limited, the limit that is reached first ends the run.
            by_steps = trainer.steps is not None and trainer.step >= trainer.progress * trainer.steps
            of = f" of {trainer.steps:,}" if by_steps else ""
            parts = [f"step {trainer.step:,}{of} ({trainer.progress:.0%}{'' if by_steps else ' of the time'})"]
            parts += [f"{name} {value}" for name, value in figures.items()]
            print(", ".join(parts), file=sys.stderr, flush=True)
            return
        if self._bar is None:
            from tqdm import tqdm

            layout = "{desc} {percentage:3.0f}%|{bar}| {elapsed}{postfix}"
            self._bar = tqdm(total=1.0, initial=trainer.progress, bar_format=layout, dynamic_ncols=True)
        self._bar.set_description_str(f"step {trainer.step:,}", refresh=False)
        self._bar.set_postfix(figures, refresh=False)
        self._bar.n = trainer.progress
        self._bar.refresh()

    def status_values(self, trainer: Trainer, now: float) -> dict[str, str]:
        """Return formatted values for the display: losses, examples per second and, if known, remaining time."""
        last = self.log.last if self.log else {}
        figures = {k.removesuffix("/loss"): f"{v:.3f}" for k, v in last.items() if k.endswith("/loss")}
        if self._shown is not None and now > self._shown[0]:
            figures["examples/s"] = f"{(trainer.real_examples - self._shown[1]) / (now - self._shown[0]):.0f}"
        if self._begun is not None:
            elapsed, done = now - self._begun[0], trainer.progress - self._begun[1]
            if elapsed >= MIN_SECONDS and done > 0:
                figures["left"] = _duration(elapsed * (1 - trainer.progress) / done)
        return figures

    def on_end(self, trainer: Trainer) -> None:
        if self._bar is not None:
            with contextlib.suppress(OSError, ValueError):
                self._bar.n = trainer.progress
                self._bar.refresh()
                self._bar.close()


def _duration(seconds: float) -> str:
    minutes = math.ceil(seconds / 60)
    return f"{seconds:.0f} s" if seconds < 60 else f"{minutes} min" if minutes < 120 else f"{minutes / 60:.1f} h"
