"""A callback for runs that start from trained weights (setting ``init``)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from audiogan.core.anneal import Anneal
from audiogan.core.checking import CheckpointError
from audiogan.core.trainer import Callback, Trainer


class FineTuning(Callback):
    """Callback that protects trained weights at the beginning of a run. It has no effect before `begin` is called.

    If some networks start from new weights, such as a critic that the model file does not contain, the networks in
    ``held`` are frozen for the first ``hold`` steps. Only the new networks are trained in these steps. Otherwise, the
    gradients of a new critic, which are meaningless at first, would destroy trained weights.

    After these steps, the learning rates of all players that train loaded networks rise linearly from 0 to their full
    values in ``ramp`` steps. The moment estimates of a new Adam optimizer are noisy, so its first steps are too large.

    Put this callback after `Anneal`.

    Args:
        hold: number of steps in which the networks in ``held`` are frozen, 0 or more.
        ramp: number of steps in which the learning rates rise, 0 or more.

    Attributes:
        loaded: names of the networks that started from trained weights.
        held: names of the networks that are frozen in the first ``hold`` steps.

    Raises:
        ValueError: a setting is out of range.

    Examples:
        >>> from audiogan.core import FineTuning
        >>> FineTuning(hold=100).hold
        100
    """

    def __init__(self, hold: int = 100, ramp: int = 50) -> None:
        if hold < 0 or ramp < 0:
            raise ValueError(f"fine_tuning: hold={hold} and ramp={ramp} must be at least 0")
        self.hold, self.ramp = hold, ramp
        self.loaded: tuple[str, ...] = ()
        self.held: tuple[str, ...] = ()

    def begin(self, trainer: Trainer, loaded: Sequence[str], protected: Sequence[str]) -> None:
        """Start the protection. Call it once, before the first step of a run that starts from trained weights.

        Args:
            trainer: trainer of the run.
            loaded: names of the networks that started from trained weights.
            protected: names of the networks to freeze at first. Names that are not in ``loaded`` have no effect.
        """
        self.loaded = tuple(loaded)
        # No protection is needed while players such as the critic are paused (`FirstStage`).
        new = not trainer.paused and set(trainer.game.nets) - set(loaded)
        self.held = tuple(name for name in protected if name in loaded) if new else ()
        self.on_step(trainer)

    def on_resume(self, trainer: Trainer) -> None:
        self.on_step(trainer)

    def on_step(self, trainer: Trainer) -> None:
        hold = self.hold if self.held else 0
        trainer.frozen = frozenset(self.held if trainer.step < hold else ())
        if not self.loaded or trainer.step > hold + self.ramp:
            return
        factor = 1.0 if trainer.step < hold else (trainer.step - hold + 1) / (self.ramp + 1)
        annealed = any(isinstance(callback, Anneal) for callback in trainer.callbacks.values())
        for player in trainer.players:
            if not {*player.nets} & {*self.loaded}:
                continue
            for group in trainer.optimizers[player.name].param_groups:
                if not annealed:  # Without `Anneal`, the rates still contain the factor of the previous step.
                    group["lr"] = group.setdefault("initial_lr", group["lr"])
                group["lr"] *= factor

    def state_dict(self) -> dict[str, Any]:
        return {"loaded": list(self.loaded), "held": list(self.held)} if self.loaded else {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name in ("loaded", "held"):
            value = state.get(name, [])
            if not isinstance(value, list) or not all(isinstance(net, str) for net in value):
                raise CheckpointError(f"fine_tuning: {name} must be a list of names of networks")
            setattr(self, name, tuple(value))
