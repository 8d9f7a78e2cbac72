"""How far a training is, while it runs."""

from __future__ import annotations

import contextlib
import math
import sys
import time
from typing import Any

from audiogan.core import Callback, Trainer
from audiogan.utils.terminal import is_terminal

BAR, LINE = 0.5, 30.0
"""Seconds between two updates of the bar on a terminal, and between two lines elsewhere."""
SETTLED = 5.0
"""Seconds after which the remaining time is estimated, at the earliest."""


class Progress(Callback):
    """The step, losses, examples a second and the time left, on standard error.

    On a terminal this is a bar, elsewhere (a log file, a pipe) one plain line every 30 seconds. Nothing happens if
    standard error is closed.

    Args:
        log: has the losses of its last line in ``last``.
    """

    def __init__(self, log: Any = None) -> None:
        self.log = log
        self._bar: Any = None
        self._begun: tuple[float, float] | None = None  # when, and the share of the budget that was spent
        self._shown: tuple[float, int] | None = None  # when, and the examples so far

    def on_step(self, trainer: Trainer) -> None:
        if not trainer.engine.is_main_process:
            return
        now, terminal = time.monotonic(), is_terminal(sys.stderr)
        if self._begun is None:
            self._begun = now, trainer.progress
        if self._shown is None and not terminal:
            self._shown = now, trainer.real_examples
        if self._shown is not None and now - self._shown[0] < (BAR if terminal else LINE):
            return
        with contextlib.suppress(OSError, ValueError):  # closed, or it cannot show a character
            self._show(trainer, now, terminal)
        self._shown = now, trainer.real_examples

    def _show(self, trainer: Trainer, now: float, terminal: bool) -> None:
        figures = self.figures(trainer, now)
        if sys.stderr is None:
            return
        if not terminal:
            # Of two budgets, the one that is spent further decides when the run ends.
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

    def figures(self, trainer: Trainer, now: float) -> dict[str, str]:
        """What is shown after the step: losses, speed and the time left, those that are known."""
        last = self.log.last if self.log else {}
        figures = {k.removesuffix("/loss"): f"{v:.3f}" for k, v in last.items() if k.endswith("/loss")}
        if self._shown is not None and now > self._shown[0]:
            figures["examples/s"] = f"{(trainer.real_examples - self._shown[1]) / (now - self._shown[0]):.0f}"
        if self._begun is not None:
            elapsed, done = now - self._begun[0], trainer.progress - self._begun[1]
            if elapsed >= SETTLED and done > 0:
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
