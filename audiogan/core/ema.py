"""An exponential moving average of weights, the networks one samples from."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from audiogan.core.checking import check_count
from audiogan.core.trainer import Callback, Move, Trainer


class EMA(Callback):
    """Averages the weights of some networks after each move of their owner, and with them the running statistics of
    their normalisations, which belong to the weights; other buffers are copied.

    The decay ramps up as ``min(decay, (1 + t) / (ramp + t))``: after ``t`` moves the average reaches back over about
    ``t / ramp`` of them, so that a short run is not dragged down by its first weights.

    Args:
        nets: names of the networks to average.
        decay: the decay reached in the end, in [0, 1).
        ramp: larger averages over less in a young run, at least 1.
    """

    def __init__(self, nets: Sequence[str], decay: float = 0.999, ramp: float = 10.0) -> None:
        if not 0.0 <= decay < 1.0 or ramp < 1.0:
            raise ValueError(f"EMA wants 0 <= decay < 1 and ramp >= 1, got decay={decay}, ramp={ramp}")
        self.names, self.decay, self.ramp = tuple(nets), decay, ramp
        self.nets = nn.ModuleDict()
        self.moves = 0

    def on_start(self, trainer: Trainer) -> None:
        missing = [name for name in self.names if name not in trainer.game.nets]
        if missing:
            raise ValueError(f"EMA of {missing}: the game's networks are {list(trainer.game.nets)}")
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
        if not self.moves:  # the checkpoint knew no average: begin with its weights
            for name, net in self.nets.items():
                net.load_state_dict(trainer.game.nets[name].state_dict())

    def state_dict(self) -> dict[str, Any]:
        return {"moves": self.moves, "nets": self.nets.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.moves = check_count(state["moves"], "the number of moves of an average")
        self.nets.load_state_dict(state["nets"])
