"""Callbacks: all that watches a training or acts beside it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from torch import Tensor

if TYPE_CHECKING:
    from audiogan.core.player import Player
    from audiogan.core.trainer import Trainer


@dataclass
class Move:
    """What one move of one player did. Tensors are detached and still on the device.

    Attributes:
        player: who moved.
        step, repeat: when.
        losses: the terms, averaged over the parts of the batch.
        grad_norm: norm of the player's whole gradient, before clipping.
        notes: what the game noted (``real_logits`` ...), parts concatenated.
        examples: examples of this move over all processes.
        applied: whether the optimizer stepped; a callback may have refused.
    """

    player: Player
    step: int
    repeat: int
    losses: dict[str, Tensor]
    grad_norm: Tensor
    notes: dict[str, Tensor] = field(default_factory=dict)
    examples: int = 0
    applied: bool = True


class Callback:
    """Does nothing at each of the moments at which something can be done."""

    def on_start(self, trainer: Trainer) -> None:
        """Before the first step, and before a checkpoint is loaded: make whatever state there is."""

    def on_resume(self, trainer: Trainer) -> None:
        """After a checkpoint was loaded: bring what lies outside of it (log files) into line with it."""

    def on_gradients(self, trainer: Trainer, move: Move) -> bool | None:
        """Between the backward of a move and its optimizer step; ``False`` refuses the step: no weight changes."""

    def on_move(self, trainer: Trainer, move: Move) -> None:
        """After each move of each player."""

    def on_step(self, trainer: Trainer) -> None:
        """After all moves of a step; ``trainer.step`` already counts it."""

    def on_end(self, trainer: Trainer) -> None:
        """After the last step, also when stopped early."""

    def state_dict(self) -> dict[str, Any]:
        """All that a resumed run needs to go on as if never stopped."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what ``state_dict`` gave."""
