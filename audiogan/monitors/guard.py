"""The guard: a step that would blow the networks up is not taken."""

from __future__ import annotations

import math
import statistics
import sys
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from audiogan.core import Callback, CheckpointError, Move, Trainer
from audiogan.core.checking import check_count
from audiogan.monitors.advice import offered
from audiogan.monitors.callback import Monitors
from audiogan.monitors.explosion import ADVICE, KIND, RUNAWAY
from audiogan.monitors.finding import Finding
from audiogan.run.optional import notify

ACTIONS = ("stop", "skip", "rollback")
EARLY = 32  # moves of a player that say what is usual
CALM = 0.05  # of the limit: a state is kept only while everything is as small as this


class Guard(Callback):
    """Refuses moves whose loss or gradient is NaN, infinite or beyond all measure.

    The refused step is not applied: weights stay as they were. Then, by ``action``,

    * ``stop``: the run ends, with its last checkpoint from before;
    * ``skip``: the run goes on with the next batch, and ends after ``patience`` refused moves in a row;
    * ``rollback``: the run goes back to the last good state, kept in memory, and goes on from there with learning rates
      times ``slower``; after ``rollbacks`` times it ends.

    Put it first among the callbacks, so that a state is kept before the others have acted on its step.

    Args:
        action: see above.
        limit: times the player's early median (or 1, if that is smaller) from which on a loss or gradient norm is
            refused.
        every: steps between states kept in memory, for ``rollback`` only. The state is not part of checkpoints: after
            a resumption there is none until the next is due.
        rollbacks: how often to go back.
        slower: what learning rates are multiplied by each time.
        patience: refused moves of one player in a row that end a run that skips.
    """

    def __init__(
        self,
        action: str = "rollback",
        limit: float = RUNAWAY,
        every: int = 200,
        rollbacks: int = 3,
        slower: float = 0.5,
        patience: int = 10,
    ) -> None:
        if action not in ACTIONS:
            raise ValueError(f"action={action!r} is none of {', '.join(ACTIONS)}")
        if limit <= 1 or every < 1 or rollbacks < 0 or not 0 < slower <= 1 or patience < 1:
            raise ValueError(
                f"limit={limit} must be above 1, every={every} and patience={patience} at least 1, "
                f"rollbacks={rollbacks} not negative, slower={slower} in (0, 1]"
            )
        self.action, self.limit, self.every = action, limit, every
        self.rollbacks, self.slower, self.patience = rollbacks, slower, patience
        self.done = 0  # rollbacks so far
        self._applied = 0  # how many of them the optimizers know of
        self._usual: dict[str, list[list[float]]] = {}
        self._bounds: dict[str, list[float]] = {}
        self._streak: dict[str, int] = {}
        self._calm = True
        self._reason: str | None = None
        self._refused: str | None = None
        self._state: dict[str, Any] | None = None

    # Judging.

    def on_gradients(self, trainer: Trainer, move: Move) -> bool | None:
        norm = float(move.grad_norm)  # the one wait for the device: the losses are ready by then
        loss = sum(float(term) for term in move.losses.values())
        self._reason = self._judge(trainer, move, loss, norm)
        return None if self._reason is None else False

    def _judge(self, trainer: Trainer, move: Move, loss: float, norm: float) -> str | None:
        name = move.player.name
        if not math.isfinite(loss):
            return f"the loss of {name} is {loss}"
        if not math.isfinite(norm):
            # With fp16 the loss scaler feels its way by overflows, and skips those steps itself.
            return None if trainer.engine.precision == "fp16" else f"the gradient of {name} is {norm}"
        usual = self._usual.setdefault(name, [])
        if len(usual) < EARLY:
            usual.append([abs(loss), norm])
            self._bounds[name] = [self.limit * max(1.0, statistics.median(v)) for v in zip(*usual, strict=True)]
        if len(usual) <= EARLY // 4:
            return None
        for what, value, bound in zip(("loss", "gradient"), (abs(loss), norm), self._bounds[name], strict=True):
            if value > bound:
                return f"the {what} of {name} is {value:.3g}, above {bound:.3g}"
            self._calm = self._calm and value <= CALM * bound
        return None

    def on_move(self, trainer: Trainer, move: Move) -> None:
        name = move.player.name
        if move.applied:
            self._streak[name] = 0
            return
        self._streak[name] = self._streak.get(name, 0) + 1
        self._refused = self._reason or f"another process refused a step of {name}"

    # Acting.

    def on_step(self, trainer: Trainer) -> None:
        reason, self._refused = self._refused, None
        if reason is None:
            self._keep(trainer)
        elif self.action == "stop":
            self._stop(trainer, reason)
        elif self.action == "skip":
            self._skip(trainer, reason)
        else:
            self._roll_back(trainer, reason)

    def _keep(self, trainer: Trainer) -> None:
        if self.action != "rollback" or (self._state is not None and trainer.step % self.every):
            return
        if not trainer.engine.any_process(not self._calm):  # the same decision in every process
            self._state = _copy(trainer.state_dict())
        self._calm = True

    def _stop(self, trainer: Trainer, reason: str) -> None:
        text = f"{reason}; the step was not applied, the run ends with the weights of before"
        self._echo(trainer, "failure", trainer.step, text)
        trainer.stop(f"explosion: {reason}")

    def _skip(self, trainer: Trainer, reason: str) -> None:
        worst = max(self._streak.values())
        if worst >= self.patience:
            self._stop(trainer, f"{reason}, {worst} times in a row")
        elif worst == 1:
            self._echo(trainer, "warning", trainer.step, f"{reason}; the step was not applied, the run goes on")

    def _roll_back(self, trainer: Trainer, reason: str) -> None:
        if self._state is None or self.done >= self.rollbacks:
            past = f", after {self.done} rollbacks" if self.done else ", and there is no good state to go back to"
            self._stop(trainer, reason + past)
            return
        at, seconds = trainer.step, trainer.seconds
        self.done += 1
        state = _copy(self._state)
        name = next(name for name, callback in trainer.callbacks.items() if callback is self)
        state["callbacks"][name] = self.state_dict()
        state["seconds"] = seconds  # time that is spent stays spent
        trainer.load_state_dict(state)
        self._streak.clear()
        text = (
            f"{reason} at step {at:,}; the step was not applied, the run went back to step {trainer.step:,} "
            f"and learns at {self.slower**self.done:.3g} of its rate"
        )
        self._echo(trainer, "warning", trainer.step, text)

    def _echo(self, trainer: Trainer, severity: str, step: int, text: str) -> None:
        if not trainer.engine.is_main_process:
            return
        names = [p.name for p in trainer.players if {p.role, p.name} & {"critic", "generator"}]
        clips = [f"players.{name}.clip=1" for name in names]
        monitors = next((c for c in trainer.callbacks.values() if isinstance(c, Monitors)), None)
        settings = monitors.settings if monitors is not None else {}
        # Players that are copies of one section have no key of their own.
        override = offered(settings, [" ".join(clips), *clips]) if settings else " ".join(clips)
        finding = Finding(KIND, step, severity, text, ADVICE, override)
        if monitors is not None:
            monitors.report([finding])
        else:
            notify("\n".join(finding.lines), sys.stdout)

    # Being resumed.

    def on_resume(self, trainer: Trainer) -> None:
        """Learning rates are configured anew; slow them down as often as was done."""
        for optimizer in trainer.optimizers.values():
            for group in optimizer.param_groups:
                for rate in {"lr", "initial_lr"} & group.keys():  # what it is, and what an `Anneal` begins with
                    group[rate] *= self.slower ** (self.done - self._applied)
        self._applied = self.done
        self._calm, self._refused = True, None

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
            raise CheckpointError("the guard's limits are not one finite pair for each player")
        self.done, self._usual, self._bounds = check_count(state["rollbacks"], "the number of rollbacks"), usual, bounds
        self._streak = {str(name): check_count(n, "a number of refused moves") for name, n in state["streak"].items()}
        self._calm = bool(state["calm"])


def _copy(value: Any) -> Any:
    """Nested containers with every tensor copied to the CPU."""
    if isinstance(value, Tensor):
        return value.detach().to("cpu", copy=True)
    if isinstance(value, Mapping):
        return {key: _copy(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_copy(each) for each in value)
    return value
