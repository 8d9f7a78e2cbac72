"""The `Guard` callback, which rejects training steps with exploding losses or gradients."""

from __future__ import annotations

import math
import statistics
import sys
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from audiogan.core import Callback, CheckpointError, Move, Trainer
from audiogan.core.checking import check_count
from audiogan.monitors.advice import first_valid_override
from audiogan.monitors.callback import Monitors
from audiogan.monitors.explosion import ADVICE, KIND, RUNAWAY
from audiogan.monitors.finding import Finding
from audiogan.run.optional import notify

ACTIONS = ("stop", "skip", "rollback")
EARLY = 32  # Number of first updates of a player from which the typical size of its loss and gradient is estimated.
CALM_FRACTION = 0.05  # A state is saved only if losses and gradients are below this fraction of their limits.


class Guard(Callback):
    """Callback that rejects an optimizer update if the loss or gradient norm is NaN, infinite or extremely large.

    A rejected update does not change the weights. The reaction depends on ``action``:

    * ``stop``: training ends. The last checkpoint is from before the explosion.
    * ``skip``: training continues with the next batch. It ends after ``patience`` consecutive rejected updates of one
      player.
    * ``rollback``: training returns to the last good state, kept in memory, and continues with learning rates
      multiplied by ``lr_factor``. Training ends instead if ``rollbacks`` rollbacks have been made already, or if no
      good state is available.

    The guard must be the first callback, so that it saves a state before other callbacks act on the same step.

    Args:
        action: ``stop``, ``skip`` or ``rollback``.
        limit: an update is rejected if the loss or gradient norm exceeds ``limit`` times the median of the same
            quantity in the player's first 32 updates. A median below 1 counts as 1. ``limit`` must be greater than 1.
        every: number of steps between saved states, for ``rollback``. Checkpoints do not contain saved states, so a
            resumed run cannot roll back before it has saved a state.
        rollbacks: largest number of rollbacks.
        lr_factor: factor by which each rollback multiplies the learning rates, in (0, 1].
        patience: number of consecutive rejected updates of one player after which ``skip`` ends training.

    Examples:
        >>> from audiogan.monitors import Guard
        >>> Guard(action="skip", limit=100.0).limit
        100.0
    """

    def __init__(
        self,
        action: str = "rollback",
        limit: float = RUNAWAY,
        every: int = 200,
        rollbacks: int = 3,
        lr_factor: float = 0.5,
        patience: int = 10,
    ) -> None:
        if action not in ACTIONS:
            raise ValueError(f"action={action!r} must be one of {', '.join(ACTIONS)}")
        if limit <= 1 or every < 1 or rollbacks < 0 or not 0 < lr_factor <= 1 or patience < 1:
            raise ValueError(
                f"limit={limit} must be above 1, every={every} and patience={patience} at least 1, "
                f"rollbacks={rollbacks} not negative, lr_factor={lr_factor} in (0, 1]"
            )
        self.action, self.limit, self.every = action, limit, every
        self.rollbacks, self.lr_factor, self.patience = rollbacks, lr_factor, patience
        self.done = 0
        self._applied = 0  # Number of rollbacks already applied to the learning rates.
        self._usual: dict[str, list[list[float]]] = {}
        self._bounds: dict[str, list[float]] = {}
        self._streak: dict[str, int] = {}
        self._calm = True
        self._reason: str | None = None
        self._rejected: str | None = None
        self._state: dict[str, Any] | None = None

    def on_gradients(self, trainer: Trainer, move: Move) -> bool | None:
        # Reading the norm waits for the device. Reading the losses afterwards takes no additional time.
        norm = float(move.grad_norm)
        loss = sum(float(term) for term in move.losses.values())
        self._reason = self._rejection_reason(trainer, move, loss, norm)
        return None if self._reason is None else False

    def _rejection_reason(self, trainer: Trainer, move: Move, loss: float, norm: float) -> str | None:
        name = move.player.name
        if not math.isfinite(loss):
            return f"the loss of {name} is {loss}"
        if not math.isfinite(norm):
            # With fp16, infinite gradients are normal: the loss scaler provokes overflows to find its scale, and skips
            # these steps itself.
            return None if trainer.engine.precision == "fp16" else f"the gradient of {name} is {norm}"
        usual = self._usual.setdefault(name, [])
        if len(usual) < EARLY:
            usual.append([abs(loss), norm])
            self._bounds[name] = [self.limit * max(1.0, statistics.median(v)) for v in zip(*usual, strict=True)]
        if len(usual) <= EARLY // 4:
            return None
        for quantity, value, bound in zip(("loss", "gradient"), (abs(loss), norm), self._bounds[name], strict=True):
            if value > bound:
                return f"the {quantity} of {name} is {value:.3g}, above {bound:.3g}"
            self._calm = self._calm and value <= CALM_FRACTION * bound
        return None

    def on_move(self, trainer: Trainer, move: Move) -> None:
        name = move.player.name
        if move.applied:
            self._streak[name] = 0
            return
        self._streak[name] = self._streak.get(name, 0) + 1
        self._rejected = self._reason or f"another process rejected a step of {name}"

    def on_step(self, trainer: Trainer) -> None:
        reason, self._rejected = self._rejected, None
        if reason is None:
            self._save_state(trainer)
        elif self.action == "stop":
            self._stop(trainer, reason)
        elif self.action == "skip":
            self._skip(trainer, reason)
        else:
            self._roll_back(trainer, reason)

    def _save_state(self, trainer: Trainer) -> None:
        if self.action != "rollback" or (self._state is not None and trainer.step % self.every):
            return
        if not trainer.engine.any_process(not self._calm):  # All processes must make the same decision.
            self._state = _copy(trainer.state_dict())
        self._calm = True

    def _stop(self, trainer: Trainer, reason: str) -> None:
        text = f"{reason}; the step was not applied, and training ends with the previous weights"
        self._report(trainer, "failure", trainer.step, text)
        trainer.stop(f"explosion: {reason}")

    def _skip(self, trainer: Trainer, reason: str) -> None:
        worst = max(self._streak.values())
        if worst >= self.patience:
            self._stop(trainer, f"{reason}, {worst} times in a row")
        elif worst == 1:
            self._report(trainer, "warning", trainer.step, f"{reason}; the step was not applied, training continues")

    def _roll_back(self, trainer: Trainer, reason: str) -> None:
        if self._state is None or self.done >= self.rollbacks:
            past = f", after {self.done} rollbacks" if self.done else ", and no good state is available"
            self._stop(trainer, reason + past)
            return
        at, seconds = trainer.step, trainer.seconds
        self.done += 1
        state = _copy(self._state)
        name = next(name for name, callback in trainer.callbacks.items() if callback is self)
        state["callbacks"][name] = self.state_dict()
        state["seconds"] = seconds  # The time budget counts the time of discarded steps.
        trainer.load_state_dict(state)
        self._streak.clear()
        text = (
            f"{reason} at step {at:,}; the step was not applied, training went back to step {trainer.step:,}, "
            f"and learning rates are {self.lr_factor**self.done:.3g} of the configured ones"
        )
        self._report(trainer, "warning", trainer.step, text)

    def _report(self, trainer: Trainer, severity: str, step: int, text: str) -> None:
        if not trainer.engine.is_main_process:
            return
        names = [p.name for p in trainer.players if {p.role, p.name} & {"critic", "generator"}]
        clips = [f"players.{name}.clip=1" for name in names]
        monitors = next((c for c in trainer.callbacks.values() if isinstance(c, Monitors)), None)
        settings = monitors.settings if monitors is not None else {}
        # Players that are copies of one configuration section have no section of their own to override.
        override = first_valid_override(settings, [" ".join(clips), *clips]) if settings else " ".join(clips)
        finding = Finding(KIND, step, severity, text, ADVICE, override)
        if monitors is not None:
            monitors.report([finding])
        else:
            notify("\n".join(finding.lines), sys.stdout)

    def on_resume(self, trainer: Trainer) -> None:
        """Apply the learning rate factors of earlier rollbacks again, because a resumed run starts without them."""
        for optimizer in trainer.optimizers.values():
            for group in optimizer.param_groups:
                # ``lr`` is the current learning rate; ``initial_lr`` is the rate from which `Anneal` starts.
                for rate in {"lr", "initial_lr"} & group.keys():
                    group[rate] *= self.lr_factor ** (self.done - self._applied)
        self._applied = self.done
        self._calm, self._rejected = True, None

    def state_dict(self) -> dict[str, Any]:
        return {
            "rollbacks": self.done,
            "usual": self._usual,
            "bounds": self._bounds,
            "streak": self._streak,
            "calm": self._calm,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        usual = {str(name): [[float(a), float(b)] for a, b in moves] for name, moves in state["usual"].items()}
        bounds = {str(name): [float(a), float(b)] for name, (a, b) in state["bounds"].items()}
        pairs = [*bounds.values(), *(pair for moves in usual.values() for pair in moves)]
        if usual.keys() != bounds.keys() or not all(math.isfinite(value) for pair in pairs for value in pair):
            raise CheckpointError("the state of the guard must have one pair of finite limits per player")
        self.done, self._usual, self._bounds = check_count(state["rollbacks"], "the number of rollbacks"), usual, bounds
        self._streak = {str(name): check_count(n, "a number of rejected moves") for name, n in state["streak"].items()}
        self._calm = bool(state["calm"])


def _copy(value: Any) -> Any:
    """Return a copy of nested containers with every tensor on the CPU."""
    if isinstance(value, Tensor):
        return value.detach().to("cpu", copy=True)
    if isinstance(value, Mapping):
        return {key: _copy(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_copy(item) for item in value)
    return value
