"""A callback that averages the weights of networks during training."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from audiogan.core.checking import check_count
from audiogan.core.trainer import Callback, Move, Trainer


class EMA(Callback):
    """Callback that keeps an exponential moving average of the weights of networks, for sampling.

    The average of a network is updated after each optimizer update of the network. The running mean and variance of
    normalisation layers are averaged as well. Other buffers are copied. After ``t`` updates, the decay is ``min(decay,
    (1 + t) / (ramp + t))``. Early in a run, the average therefore covers about the last ``t / ramp`` updates, so that
    the initial weights soon lose their influence.

    Args:
        nets: names of the networks in `Game.nets`.
        decay: largest decay per update, 0 to below 1.
        ramp: divisor that shortens the averaging period early in a run, at least 1: after ``t`` updates, the average
            covers about the last ``t / ramp`` updates.

    Attributes:
        nets: averaged copies of the networks by name.
        moves: number of updates of the average.

    Examples:
        >>> from audiogan.core import EMA
        >>> EMA(["generator"], decay=0.999).decay
        0.999
    """

    def __init__(self, nets: Sequence[str], decay: float = 0.999, ramp: float = 10.0) -> None:
        if not 0.0 <= decay < 1.0 or ramp < 1.0:
            raise ValueError(f"EMA: decay={decay} must be at least 0 and below 1, and ramp={ramp} at least 1")
        self.names, self.decay, self.ramp = tuple(nets), decay, ramp
        self.nets = nn.ModuleDict()
        self.moves = 0

    def on_start(self, trainer: Trainer) -> None:
        missing = [name for name in self.names if name not in trainer.game.nets]
        if missing:
            raise ValueError(f"EMA: the game has no network {missing[0]!r}; it has {', '.join(trainer.game.nets)}")
        self.nets = nn.ModuleDict({name: copy.deepcopy(trainer.game.nets[name]) for name in self.names})
        self.nets.requires_grad_(False)

    @torch.no_grad()
    def on_move(self, trainer: Trainer, move: Move) -> None:
        names = [name for name in self.names if name in move.player.nets]
        if not names:
            return
        decay = min(self.decay, (1 + self.moves) / (self.ramp + self.moves))
        for name in names:
            mine, theirs = self.nets[name], trainer.game.nets[name]
            buffers = list(zip(mine.named_buffers(), theirs.buffers(), strict=True))
            running = [(own, other) for (key, own), other in buffers if key.endswith(("running_mean", "running_var"))]
            averaged = [*zip(mine.parameters(), theirs.parameters(), strict=True), *running]
            torch._foreach_lerp_([own for own, _ in averaged], [other for _, other in averaged], 1.0 - decay)
            for (key, own), other in buffers:
                if not key.endswith(("running_mean", "running_var")):
                    own.copy_(other)
        self.moves += 1

    def on_resume(self, trainer: Trainer) -> None:
        if not self.moves:  # Without a stored average, the average starts with the loaded weights.
            for name, net in self.nets.items():
                net.load_state_dict(trainer.game.nets[name].state_dict())

    def state_dict(self) -> dict[str, Any]:
        return {"moves": self.moves, "nets": self.nets.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.moves = check_count(state["moves"], "the number of moves of an average")
        self.nets.load_state_dict(state["nets"])
