"""The training loop for all games, and the base class of callbacks."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from audiogan.core.checking import (
    CheckpointError,
    check_count,
    check_duration,
    check_optimizer_state,
    check_weights,
    describe_differences,
)
from audiogan.core.engine import Engine, frozen_except
from audiogan.core.game import Game, Play
from audiogan.core.player import Player
from audiogan.core.stream import Stream


@dataclass
class Move:
    """Result of one move: one optimizer update of a player. Tensors are detached and stay on the device.

    Attributes:
        player: player whose networks were updated.
        step: number of the step, counted from 0.
        repeat: index of this update among the player's updates in this step, from 0.
        losses: terms of the loss by name, averaged over micro-batches.
        grad_norm: norm of the whole gradient before clipping.
        recorded_values: values that the game recorded with `Play.record`, such as ``real_logits``, for all
            micro-batches.
        examples: number of examples in the batches of this update, over all processes.
        applied: whether the optimizer changed the weights. ``False`` if a callback refused the step.
    """

    player: Player
    step: int
    repeat: int
    losses: dict[str, Tensor]
    grad_norm: Tensor
    recorded_values: dict[str, Tensor] = field(default_factory=dict)
    examples: int = 0
    applied: bool = True


class Callback:
    """Base class of callbacks. The trainer calls the methods at fixed points of a run. By default, they do nothing.

    Examples:
        >>> from audiogan.core import Callback
        >>> class Count(Callback):
        ...     steps = 0
        ...     def on_step(self, trainer):
        ...         self.steps += 1
        >>> Count().steps
        0
    """

    def on_start(self, trainer: Trainer) -> None:
        """Called when the trainer is created, before a checkpoint is loaded and before the first step. Create state
        here."""

    def on_resume(self, trainer: Trainer) -> None:
        """Called after a checkpoint has been loaded. Adapt files outside the checkpoint here, such as logs with
        later steps."""

    def on_gradients(self, trainer: Trainer, move: Move) -> bool | None:
        """Called after the backward pass of a player and before its optimizer step.

        Returns:
            ``False`` to refuse the optimizer step, so that no weight changes.
        """

    def on_move(self, trainer: Trainer, move: Move) -> None:
        """Called after each move (optimizer update of a player)."""

    def on_step(self, trainer: Trainer) -> None:
        """Called at the end of each step, after the updates of all players. `Trainer.step` has already been
        increased."""

    def on_end(self, trainer: Trainer) -> None:
        """Called once after the last step, even if the run ended before its budget was used up."""

    def state_dict(self) -> dict[str, Any]:
        """Return the state of this callback for a checkpoint. A resumed run must continue exactly from this state."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Load a state that `state_dict` has returned."""


class Trainer:
    """Training loop: each step updates the players of a game in order.

    A player that is due is updated ``repeats`` times in a step. For each update, the trainer draws a batch from each
    stream of the player, sums the terms of `Game.losses`, and computes the gradients of the player's networks. It
    averages the gradients over processes, clips them, and takes an optimizer step. Then it calls the callbacks.

    Args:
        game: networks and losses.
        players: players in the order in which they are updated.
        streams: data streams by name.
        callbacks: callbacks by name, in the order in which they are called. A checkpoint stores their states by name.
        engine: hardware. By default, CUDA if available, with float32.
        steps: largest number of steps. ``None`` sets no limit; then ``minutes`` is required.
        minutes: largest duration of the run by ``clock``, in minutes. ``None`` sets no limit; then ``steps`` is
            required.
        seed: seed of the random numbers that games draw.
        clock: function that returns the time in seconds. For example, ``time.process_time`` limits CPU time.

    Attributes:
        step: number of completed steps.
        examples: number of examples in the batches of all updates of all players.
        real_examples: number of real examples since this trainer was created, over all processes. If several players
            draw from the same stream in a step, only the largest number among these players is added. With one critic,
            ``real_examples`` is the number of real examples shown to the critic, as papers report it.
        stop_reason: reason why the run ended before its budget was used up. ``None`` if the budget was used up.
        paused: names of the players that are not trained at present. Callbacks may change this set, see `FirstStage`.
        frozen: names of the networks that no player trains at present. Callbacks may change this set, see `FineTuning`.

    Examples:
        >>> from functools import partial
        >>> from audiogan.core import Engine, Player, Stream
        >>> from audiogan.data.toys.points import open_points
        >>> from audiogan.games import Adversarial
        >>> from audiogan.losses import NonSaturating
        >>> from audiogan.networks.mlp import MLPCritic, MLPGenerator
        >>> from audiogan.representations import Identity
        >>> game = Adversarial(MLPGenerator((2,)), MLPCritic((2,)), NonSaturating(), Identity((2,)))
        >>> adam = partial(torch.optim.Adam, lr=1e-3)
        >>> players = [Player("critic", ("critic",), adam), Player("generator", ("generator",), adam)]
        >>> streams = {"train": Stream(open_points(count=500), batch_size=32)}
        >>> trainer = Trainer(game, players, streams, engine=Engine("cpu"), steps=5)
        >>> trainer.run()
        >>> trainer.step
        5
    """

    def __init__(
        self,
        game: Game,
        players: Sequence[Player],
        streams: Mapping[str, Stream],
        callbacks: Mapping[str, Callback] | None = None,
        engine: Engine | None = None,
        *,
        steps: int | None = None,
        minutes: float | None = None,
        seed: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if steps is None and minutes is None:
            raise ValueError("the run has no end; give steps, minutes or both")
        self.game, self.streams = game, dict(streams)
        self.players = tuple(sorted(players, key=lambda player: player.order))
        self.callbacks = dict(callbacks or {})
        self.engine = engine or Engine()
        self.steps, self.minutes, self.seed, self.clock = steps, minutes, seed, clock
        self._check()
        self._gradient_callbacks = [
            c for c in self.callbacks.values() if type(c).on_gradients is not Callback.on_gradients
        ]
        self.step = 0
        self.examples = 0
        self.real_examples = 0
        self.stop_reason: str | None = None
        self.paused: frozenset[str] = frozenset()
        self.frozen: frozenset[str] = frozenset()
        self._seconds_before = 0.0
        self._started: float | None = None
        self.engine.prepare(game)
        game.requires_grad_(False)
        game.train()
        self.optimizers = {
            p.name: p.optimizer([w for net in p.nets for w in game.nets[net].parameters()]) for p in self.players
        }
        for stream in self.streams.values():
            stream.pin_memory = self.engine.device.type == "cuda"
        for callback in self.callbacks.values():
            callback.on_start(self)

    def _check(self) -> None:
        names = [p.name for p in self.players]
        if len(set(names)) < len(names):
            raise ValueError(f"two players have the same name: {', '.join(names)}; give each its own name")
        if self.game.single_process and self.engine.world_size > 1:
            raise ValueError(
                f"{type(self.game).__name__} must run in one process, not {self.engine.world_size}: "
                f"{self.game.single_process}; start it without torchrun"
            )
        for p in self.players:
            for kind, wanted, have in (("network", p.nets, self.game.nets), ("stream", p.streams, self.streams)):
                for name in wanted:
                    if name not in have:
                        raise ValueError(f"player {p.name!r} needs {kind} {name!r}; there are {', '.join(have)}")

    @property
    def seconds(self) -> float:
        """Duration of the run by ``clock``, in seconds. After a resume, it includes the time before the interruption,
        but not the pause."""
        return self._seconds_before + (0.0 if self._started is None else self.clock() - self._started)

    @property
    def budget_used_up(self) -> bool:
        """Whether the run has reached its number of steps or minutes."""
        out_of_steps = self.steps is not None and self.step >= self.steps
        return out_of_steps or (self.minutes is not None and self.seconds >= 60 * self.minutes)

    @property
    def progress(self) -> float:
        """Fraction of the budget that is used up, 0 to 1. If both steps and minutes are limited, it is the
        larger of the two fractions."""
        shares = [0.0]
        if self.steps is not None:
            shares.append(self.step / max(self.steps, 1))
        if self.minutes is not None:
            shares.append(self.seconds / max(60 * self.minutes, 1e-9))
        return min(1.0, max(shares))

    def stop(self, reason: str) -> None:
        """End the run after the present step.

        Args:
            reason: message for the user: why the run ends.
        """
        self.stop_reason = reason

    def run(self) -> None:
        """Train until the budget is used up or `stop` is called."""
        self._started = self.clock()
        while not self.engine.any_process(self.budget_used_up or self.stop_reason is not None):
            self._step()
        if self.stop_reason is None and not self.budget_used_up:
            self.stop_reason = "another process stopped"
        failed: Exception | None = None
        for callback in self.callbacks.values():
            try:
                callback.on_end(self)
            # The other callbacks are still called, so that `Checkpoints` can save the run.
            except Exception as error:
                failed = failed or error
        if failed is not None:
            raise failed
        self.engine.barrier()
        self._seconds_before, self._started = self.seconds, None

    def _step(self) -> None:
        engine = self.engine
        contexts = [
            Play(
                self.step,
                seed=self.seed,
                micro_batch_index=index,
                micro_batch_count=engine.micro_batch_count,
                device=engine.device,
                paused=self.paused,
                frozen=self.frozen,
            )
            for index in engine.micro_batch_indices
        ]
        shown = dict.fromkeys(self.streams, 0)
        for player in self.players:
            moves = player.name not in self.paused and not self.frozen.issuperset(player.nets)
            if moves and player.is_due(self.step):
                for repeat in range(player.repeats):
                    move = self._move(player, repeat, contexts)
                    for callback in self.callbacks.values():
                        callback.on_move(self, move)
                for name in player.streams:
                    drawn = player.repeats * engine.micro_batch_count * self.streams[name].batch_size
                    shown[name] = max(shown[name], drawn)
        self.real_examples += sum(shown.values())
        self.step += 1
        for callback in self.callbacks.values():
            callback.on_step(self)

    def _move(self, player: Player, repeat: int, contexts: list[Play]) -> Move:
        engine, optimizer = self.engine, self.optimizers[player.name]
        parts = engine.micro_batch_indices, engine.micro_batch_count
        drawn = {name: self.streams[name].next(*parts) for name in player.streams}
        terms: list[dict[str, Tensor]] = []
        with frozen_except(self.game, [name for name in player.nets if name not in self.frozen]) as params:
            optimizer.zero_grad(set_to_none=True)
            for i, context in enumerate(contexts):
                context.begin_move(player.name, repeat)
                batches = {name: engine.to_device(own[i]) for name, own in drawn.items()}
                batch = next(iter(batches.values())) if len(batches) == 1 else batches
                with engine.autocast():
                    losses = self.game.losses(player.name, batch, context)
                    if not losses:
                        raise ValueError(f"player {player.name!r} has no loss; give it a term with a weight above 0")
                    total = torch.stack([term.float() for term in losses.values()]).sum()
                if total.requires_grad or not self.frozen:
                    engine.backward(player.name, total)
                terms.append({name: term.detach() for name, term in losses.items()})
            norm = engine.average_and_clip_gradients(player.name, optimizer, params, player.clip)
            examples = engine.micro_batch_count * sum(self.streams[name].batch_size for name in player.streams)
            recorded = _concatenate_values([p.recorded_values for p in contexts])
            move = Move(player, self.step, repeat, _mean_terms(terms), norm, recorded, examples)
            move.applied = not self._refused(move)
            engine.step(player.name, optimizer, move.applied)
        if move.applied:
            self.game.after_step(player.name, contexts[0])
        self.examples += examples
        return move

    def _refused(self, move: Move) -> bool:
        """Return whether a callback of any process refuses the optimizer step."""
        if not self._gradient_callbacks:
            return False
        answers = [callback.on_gradients(self, move) for callback in self._gradient_callbacks]  # Call all of them.
        return self.engine.any_process(any(answer is False for answer in answers))

    def state_dict(self) -> dict[str, Any]:
        """Return the complete state of the run. A run that loads it continues exactly as if it had not been
        interrupted."""
        return {
            "step": self.step,
            "examples": self.examples,
            "seconds": self.seconds,
            "seed": self.seed,
            "game": self.game.state_dict(),
            "optimizers": {name: optimizer.state_dict() for name, optimizer in self.optimizers.items()},
            "streams": {name: stream.state_dict() for name, stream in self.streams.items()},
            "engine": self.engine.state_dict(),
            "callbacks": {name: callback.state_dict() for name, callback in self.callbacks.items()},
        }

    def load_state_dict(self, state: dict[str, Any]) -> list[str]:
        """Load a state that `state_dict` has returned.

        Hyperparameters of optimizers, such as learning rates, keep their present values. The saved ones are ignored.

        Args:
            state: state of a trainer with the same networks and players.

        Returns:
            A warning for each part, such as a callback, whose state is missing. Such a part starts as in a new run.

        Raises:
            CheckpointError: networks or players differ, or a value is invalid.
        """
        step, examples = check_count(state["step"], "trainer.step"), check_count(state["examples"], "trainer.examples")
        spent = check_duration(state["seconds"], "trainer.seconds")
        game = self.game.upgrade_state_dict(state["game"])
        different = describe_differences(self.game.state_dict(), game)
        if different:
            raise CheckpointError(f"the networks differ from those in the checkpoint: {different}")
        check_weights(game)
        if set(state["optimizers"]) != set(self.optimizers):
            mine, theirs = sorted(self.optimizers), sorted(state["optimizers"])
            raise CheckpointError(f"the players are {mine}, but {theirs} in the checkpoint")
        self.game.load_state_dict(game)
        missing = []
        for player in self.players:
            optimizer = self.optimizers[player.name]
            configured = [{k: v for k, v in group.items() if k != "params"} for group in optimizer.param_groups]
            optimizer.load_state_dict(state["optimizers"][player.name])
            for group, options in zip(optimizer.param_groups, configured, strict=True):
                group.update(options)
            missing.append(check_optimizer_state(player, optimizer, step))
        for kind, parts in (("stream", self.streams), ("callback", self.callbacks)):
            saved = state[f"{kind}s"]
            for name, part in parts.items():
                if name in saved:
                    part.load_state_dict(saved[name])
                elif part.state_dict():
                    missing.append(f"the {kind} {name!r} is not in the checkpoint; it starts empty")
        self.step, self.examples = step, examples
        self._seconds_before = spent
        self._started = None if self._started is None else self.clock()
        self.engine.load_state_dict(state["engine"])
        for callback in self.callbacks.values():
            callback.on_resume(self)
        return [line for line in missing if line]


def _mean_terms(terms: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    return terms[0] if len(terms) == 1 else {k: torch.stack([t[k] for t in terms]).mean(0) for k in terms[0]}


def _concatenate_values(recorded: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    if len(recorded) == 1:
        return recorded[0]
    return {name: torch.cat([values[name].reshape(-1) for values in recorded]) for name in recorded[0]}
