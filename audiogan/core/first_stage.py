"""A callback that first trains without some players, such as the critic, and stores the weights at the end of this
stage."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from torch import nn

from audiogan.core.ema import EMA
from audiogan.core.trainer import Callback, Trainer


class FirstStage(Callback):
    """Callback that divides a run into two stages. Some players are trained only in the second stage.

    Usually, the critic is paused in the first stage. The other networks then learn only from distances between outputs
    and targets. SRGAN (Ledig et al., CVPR 2017, section 3.2) and Real-ESRGAN (Wang et al., ICCV Workshops 2021, section
    4.1) begin with such a stage. The callback stores the weights at the end of the first stage. After training, these
    weights and the final ones can be interpolated.

    Put this callback after `EMA`. If the run averages weights with `EMA`, this callback stores the averages.

    Args:
        fraction: fraction of the run's budget (steps or minutes) that the first stage takes, above 0 and below 1.
        nets: names of the networks with weights to store. ``None`` selects the networks that `EMA` averages.
        paused: names of the players that are paused in the first stage. Games receive them in `Play.paused`. ``None``
            selects the players that train none of the networks in ``nets``.

    Attributes:
        paused: names of the players that are paused in the first stage.
        nets: copies of the networks with the weights at the end of the first stage. Until then, the weights
            are those at the start of the run.
        finished: whether the first stage is over.

    Raises:
        ValueError: a setting is out of range, or (found when a run starts) a network or player does not exist.

    Examples:
        >>> from audiogan.core import FirstStage
        >>> FirstStage(fraction=0.3).fraction
        0.3
    """

    def __init__(
        self, fraction: float = 0.5, nets: Sequence[str] | None = None, paused: Sequence[str] | None = None
    ) -> None:
        if isinstance(fraction, bool) or not isinstance(fraction, int | float) or not 0 < fraction < 1:
            raise ValueError(f"first_stage: fraction={fraction} must be above 0 and below 1")
        self.fraction, self._names, self._paused = fraction, nets, paused
        self.paused: frozenset[str] = frozenset()
        self.nets = nn.ModuleDict()
        self.finished = False

    def on_start(self, trainer: Trainer) -> None:
        averaged = [name for c in trainer.callbacks.values() if isinstance(c, EMA) for name in c.names]
        names = averaged if self._names is None else list(self._names)
        others = [player.name for player in trainer.players if not {*player.nets} & {*names}]
        self.paused = frozenset(others if self._paused is None else self._paused)
        for kind, wanted, available in (
            ("network", names, list(trainer.game.nets)),
            ("player", self.paused, [player.name for player in trainer.players]),
        ):
            if missing := sorted(set(wanted) - set(available)):
                raise ValueError(
                    f"first_stage: no {kind} is called {missing[0]!r}; choose one of {', '.join(available)}"
                )
        self.nets = nn.ModuleDict({name: copy.deepcopy(trainer.game.nets[name]) for name in names})
        self.nets.requires_grad_(False)
        self._pause(trainer)

    def on_resume(self, trainer: Trainer) -> None:
        self._pause(trainer)

    def on_step(self, trainer: Trainer) -> None:
        if not self.finished and trainer.engine.any_process(trainer.progress >= self.fraction):
            self.finished = True
            averages = [c.nets for c in trainer.callbacks.values() if isinstance(c, EMA)]
            for name, net in self.nets.items():
                latest = next((nets[name] for nets in averages if name in nets), trainer.game.nets[name])
                net.load_state_dict(latest.state_dict())
            self._pause(trainer)

    def _pause(self, trainer: Trainer) -> None:
        trainer.paused = frozenset() if self.finished else self.paused

    def state_dict(self) -> dict[str, Any]:
        return {"finished": self.finished, "first_stage": self.nets.state_dict() if self.finished else {}}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.finished = bool(state["finished"])
        if self.finished:
            self.nets.load_state_dict(state["first_stage"])
