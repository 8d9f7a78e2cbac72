"""A callback that lowers learning rates towards the end of a run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from audiogan.core.trainer import Callback, Trainer

MIN_FACTOR = 0.01
"""Default ratio of the final learning rate to the configured learning rate."""
SHAPES = ("linear", "cosine")
"""Names of the available learning rate schedules."""


class _Schedule(NamedTuple):
    """Learning rate schedule of one player. `Anneal` documents the fields."""

    start: float
    shape: str
    min_factor: float

    def factor(self, spent: float) -> float:
        """Return the factor that multiplies the learning rate.

        Args:
            spent: share of the budget that is used, 0 to 1.

        Returns:
            A factor from ``min_factor`` to 1.
        """
        left = (1 - spent) / (1 - self.start) if self.start < 1 else 1.0
        if self.shape == "linear":
            return min(1.0, max(self.min_factor, left))
        return self.min_factor + (1 - self.min_factor) * 0.5 * (1 - math.cos(math.pi * min(1.0, left)))


class Anneal(Callback):
    """Callback that lowers the learning rates of players towards the end of the budget.

    A learning rate is constant until the fraction ``start`` of the run's budget (steps or minutes) is used. Then it
    falls with the given shape. If both steps and minutes are limited, the larger of the two used fractions counts. The
    default follows CycleGAN (Zhu et al., ICCV 2017, section 4): a constant rate for half of the budget, then a linear
    decrease. With ``start=0`` and ``shape="cosine"``, the schedule is cosine annealing (Loshchilov & Hutter, ICLR 2017,
    equation 5). If a finished run is resumed with a larger budget, the schedule is computed for the larger budget, so
    the rates rise again.

    Args:
        start: fraction of the budget during which learning rates are constant, 0 to 1. With 1, they never fall.
        shape: ``linear`` (a straight line towards 0 that stops at ``min_factor``) or ``cosine``.
        min_factor: final learning rate divided by the configured learning rate, 0 to 1.
        players: names of the players whose learning rates fall. ``None`` selects all players. A mapping gives a player
            its own settings, for example ``{"critic": {"start": 0.8}}``. Players that it does not contain keep their
            learning rates.

    Raises:
        ValueError: a setting is out of range, or (found when a run starts) a player does not exist.
    """

    def __init__(
        self,
        start: float = 0.5,
        shape: str = "linear",
        min_factor: float = MIN_FACTOR,
        players: Sequence[str] | Mapping[str, Mapping[str, Any] | None] | None = None,
    ) -> None:
        common = {"start": start, "shape": shape, "min_factor": min_factor}
        self._common = _to_schedule(common, "")
        self._own: dict[str, _Schedule] | None = None
        if isinstance(players, str):
            raise ValueError(f"players={players!r} must be a list of names, or a mapping from names to settings")
        if isinstance(players, Mapping):
            self._own = {
                name: _to_schedule(common | dict(own or {}), f"players.{name}.") for name, own in players.items()
            }
        elif players is not None:
            self._own = dict.fromkeys(players, self._common)

    def on_start(self, trainer: Trainer) -> None:
        missing = [name for name in self._own or () if name not in trainer.optimizers]
        if missing:
            raise ValueError(f"anneal: no player is called {missing[0]!r}; players are {', '.join(trainer.optimizers)}")
        for optimizer in trainer.optimizers.values():
            for group in optimizer.param_groups:
                # As in PyTorch's learning rate schedulers, the key `initial_lr` holds the configured rate.
                group["initial_lr"] = group["lr"]
        self.on_step(trainer)

    def on_resume(self, trainer: Trainer) -> None:
        self.on_step(trainer)

    def on_step(self, trainer: Trainer) -> None:
        for name, optimizer in trainer.optimizers.items():
            schedule = self._common if self._own is None else self._own.get(name)
            factor = 1.0 if schedule is None else schedule.factor(trainer.progress)
            for group in optimizer.param_groups:
                group["lr"] = group["initial_lr"] * factor


def _to_schedule(options: Mapping[str, Any], prefix: str) -> _Schedule:
    unknown = [key for key in options if key not in _Schedule._fields]
    if unknown:
        raise ValueError(f"{prefix}{unknown[0]} is not a setting; the settings are {', '.join(_Schedule._fields)}")
    schedule = _Schedule(**options)
    for name in ("start", "min_factor"):
        value = getattr(schedule, name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
            raise ValueError(f"{prefix}{name}={value} must be from 0 to 1")
    if schedule.shape not in SHAPES:
        raise ValueError(f"{prefix}shape={schedule.shape!r} must be one of {', '.join(SHAPES)}")
    return schedule
