"""A player: networks with one optimizer, their data streams, and the schedule of their updates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn
from torch.optim import Optimizer

ROLES = ("generator", "critic", "other")
"""Roles that a player may have. Monitors use the role to interpret its losses."""


@dataclass(frozen=True)
class Player:
    """Settings of a player: networks that are trained together with one optimizer, such as the critic.

    Args:
        name: name of the player. `Game.losses` receives it.
        nets: names of the networks in `Game.nets` that this player trains. All other networks are frozen during its
            updates.
        optimizer: function from a list of parameters to an optimizer, such as ``partial(torch.optim.Adam, lr=1e-4)``.
        streams: names of the data streams. Each update draws one batch from each stream.
        every: interval between updates, in steps. The player is updated on steps that are multiples of ``every``.
        repeats: number of updates per step, each with a new batch. For a critic, papers call this number ``n_critic``.
        active: pair ``(start, stop)``: the player is updated from step ``start`` until step ``stop`` (exclusive). If
            ``stop`` is ``None``, it is updated until the end of the run.
        clip: largest norm of the player's gradient. ``None`` disables clipping.
        order: position of the player's update within a step. Players with smaller numbers are updated first. Players
            with equal numbers are updated in the order of the configuration.
        role: ``generator``, ``critic`` or ``other``. Monitors use it to interpret the losses and logits.

    Raises:
        ValueError: a setting is out of range.

    Examples:
        >>> from functools import partial
        >>> import torch
        >>> from audiogan.core import Player
        >>> player = Player("critic", ("critic",), partial(torch.optim.Adam, lr=1e-4), every=2)
        >>> [player.is_due(step) for step in range(4)]
        [True, False, True, False]
    """

    name: str
    nets: tuple[str, ...]
    optimizer: Callable[[list[nn.Parameter]], Optimizer]
    streams: tuple[str, ...] = ("train",)
    every: int = 1
    repeats: int = 1
    active: tuple[int, int | None] = (0, None)
    clip: float | None = None
    role: str = "other"
    order: int = 0

    def __post_init__(self) -> None:
        for name in ("nets", "streams", "active"):
            value = getattr(self, name)
            object.__setattr__(self, name, (value,) if isinstance(value, str) else tuple(value))
        if self.role not in ROLES:
            raise ValueError(f"player {self.name!r}: role={self.role!r} must be one of {', '.join(ROLES)}")
        if not self.nets:
            raise ValueError(f"player {self.name!r} owns no networks")
        if self.clip is not None and not (isinstance(self.clip, int | float) and self.clip > 0):
            raise ValueError(f"player {self.name!r}: clip={self.clip!r} must be a number above 0, or null")
        if self.every < 1 or self.repeats < 1:
            raise ValueError(f"player {self.name!r}: every={self.every} and repeats={self.repeats} must be at least 1")

    def is_due(self, step: int) -> bool:
        """Return whether this player is updated on a step. Steps are counted from 0."""
        first, last = self.active
        return step >= first and (last is None or step < last) and step % self.every == 0
