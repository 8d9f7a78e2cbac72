"""Learning rates that fall towards the end of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from audiogan.core.callback import Callback

if TYPE_CHECKING:
    from audiogan.core.trainer import Trainer

LEAST = 0.01
"""Share of a rate that is left at the end."""


class Anneal(Callback):
    """Lets all learning rates fall, in a straight line, to a hundredth at the end of the budget.

    As in CycleGAN (Zhu et al., ICCV 2017, section 4). The players of a game circle around where they want to be, in
    circles as large as their steps. A run that goes on with a larger budget starts at its full rates again.

    Args:
        start: share of the budget (steps or minutes, whichever is spent further) after which rates fall; 1: never.
    """

    def __init__(self, start: float = 0.5) -> None:
        if not 0 <= start <= 1:
            raise ValueError(f"start={start} must be from 0 to 1")
        self.start = start

    def on_start(self, trainer: Trainer) -> None:
        for group in _groups(trainer):
            group["initial_lr"] = group["lr"]  # the name that PyTorch's own schedulers have for it
        self.on_step(trainer)

    def on_resume(self, trainer: Trainer) -> None:
        self.on_step(trainer)

    def on_step(self, trainer: Trainer) -> None:
        left = (1 - trainer.spent) / (1 - self.start) if self.start < 1 else 1.0
        for group in _groups(trainer):
            group["lr"] = group["initial_lr"] * min(1.0, max(LEAST, left))


def _groups(trainer: Trainer) -> list[dict[str, Any]]:
    return [group for optimizer in trainer.optimizers.values() for group in optimizer.param_groups]
