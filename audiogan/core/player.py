"""A player: who owns which networks, with which optimizer, moves when, and on which data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn
from torch.optim import Optimizer

ROLES = ("generator", "critic", "other")


@dataclass(frozen=True)
class Player:
    """One side of a game.

    Args:
        name: ``Game.losses`` is called with it.
        nets: names in ``Game.nets`` that this player moves; all others are frozen while it moves.
        optimizer: makes the optimizer from a list of parameters, e.g. ``partial(torch.optim.Adam, lr=1e-4)``.
        streams: names of the data streams it draws from, one batch each a move.
        every: it moves on steps where ``step % every == 0``.
        repeats: consecutive moves a step, each on a fresh batch (``n_critic`` of the literature).
        active: first step on which it moves, and the first on which it no longer does (``None``: never stops).
        clip: largest norm of its gradient; ``None`` leaves it as it is.
        role: ``generator``, ``critic`` or ``other``: how monitors read its losses and scores.
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
        """Whether this player moves on ``step`` (counted from 0)."""
        first, last = self.active
        return step >= first and (last is None or step < last) and step % self.every == 0
