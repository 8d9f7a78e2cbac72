"""The trainer: the one loop for every kind of game."""

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
    check_optimizer,
    check_weights,
    describe_differences,
)
from audiogan.core.engine import Engine, frozen_except
from audiogan.core.game import Game, Play
from audiogan.core.player import Player
from audiogan.core.stream import Stream


@dataclass
class Move:
    """What one move of one player did. Tensors are detached and still on the device.

    Attributes:
        player: who moved.
        step, repeat: when.
        losses: the terms, averaged over the parts of the batch.
        grad_norm: norm of the player's whole gradient, before clipping.
        notes: what the game noted (``real_logits`` ...), parts concatenated.
        examples: examples of this move over all processes.
        applied: whether the optimizer stepped; a callback may have refused.
    """

    player: Player
    step: int
    repeat: int
    losses: dict[str, Tensor]
    grad_norm: Tensor
    notes: dict[str, Tensor] = field(default_factory=dict)
    examples: int = 0
    applied: bool = True


class Callback:
    """Does nothing at each of the moments at which something can be done."""

    def on_start(self, trainer: Trainer) -> None:
        """Before the first step, and before a checkpoint is loaded: make whatever state there is."""

    def on_resume(self, trainer: Trainer) -> None:
        """After a checkpoint was loaded: bring what lies outside of it (log files) into line with it."""

    def on_gradients(self, trainer: Trainer, move: Move) -> bool | None:
        """Between the backward of a move and its optimizer step; ``False`` refuses the step: no weight changes."""

    def on_move(self, trainer: Trainer, move: Move) -> None:
        """After each move of each player."""

    def on_step(self, trainer: Trainer) -> None:
        """After all moves of a step; ``trainer.step`` already counts it."""

    def on_end(self, trainer: Trainer) -> None:
        """After the last step, also when stopped early."""

    def state_dict(self) -> dict[str, Any]:
        """All that a resumed run needs to go on as if never stopped."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what ``state_dict`` gave."""


class Trainer:
    """Lets the players of a game move, in order, step after step.

    Each step every player that is due moves ``repeats`` times: it draws its streams, its networks are unfrozen,
    ``losses`` are summed and differentiated, gradients averaged over processes, clipped and stepped, and the callbacks
    are told. That is all.

    Args:
        game: the networks and their losses.
        players: in the order in which they move.
        streams: data by name.
        callbacks: by name, in the order in which they are told; the name is their key in a checkpoint.
        engine: the hardware; default: CUDA if there is any, float32.
        steps, minutes: the budget; the run ends with whichever is spent first. One of them must be given.
        seed: of the games' random numbers.
        clock: what ``minutes`` are measured by, in seconds; ``time.process_time`` gives CPU minutes.

    Attributes:
        step: steps so far.
        examples: examples of all moves of all players so far.
        real_examples: real examples since this object was made, over all processes. Of each stream, a step counts the
            examples of the player that draws the most: one batch where all players move once, five where the critic
            moves five times. This is what papers call the real examples shown to the critic.
        stop_reason: why the run ended before its budget was spent; `None` if it did not.

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
            raise ValueError("a training needs an end: give steps, minutes or both")
        self.game, self.players, self.streams = game, tuple(players), dict(streams)
        self.callbacks = dict(callbacks or {})
        self.engine = engine or Engine()
        self.steps, self.minutes, self.seed, self.clock = steps, minutes, seed, clock
        self._check()
        self._judges = [c for c in self.callbacks.values() if type(c).on_gradients is not Callback.on_gradients]
        self.step = 0
        self.examples = 0  # of all moves: a measure of the work
        self.real_examples = 0
        self.stop_reason: str | None = None
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
            raise ValueError(f"two players share a name: {names}")
        if self.game.single_process and self.engine.world > 1:
            raise ValueError(
                f"{type(self.game).__name__} must run in one process, not {self.engine.world}: "
                f"{self.game.single_process}; start it without torchrun"
            )
        for p in self.players:
            for kind, wanted, have in (("network", p.nets, self.game.nets), ("stream", p.streams, self.streams)):
                for name in wanted:
                    if name not in have:
                        raise ValueError(f"player {p.name!r} wants {kind} {name!r}; there are {list(have)}")

    @property
    def seconds(self) -> float:
        """Time spent in this run by ``clock``, over all its sessions; it begins with `run`."""
        return self._seconds_before + (0.0 if self._started is None else self.clock() - self._started)

    @property
    def budget_spent(self) -> bool:
        """Whether the steps or the minutes are used up."""
        out_of_steps = self.steps is not None and self.step >= self.steps
        return out_of_steps or (self.minutes is not None and self.seconds >= 60 * self.minutes)

    @property
    def progress(self) -> float:
        """Share of the budget that is used up, 0 ... 1."""
        shares = [0.0]
        if self.steps is not None:
            shares.append(self.step / max(self.steps, 1))
        if self.minutes is not None:
            shares.append(self.seconds / max(60 * self.minutes, 1e-9))
        return min(1.0, max(shares))

    def stop(self, reason: str) -> None:
        """End the run after the step under way."""
        self.stop_reason = reason

    def run(self) -> None:
        """Train until the budget is spent or someone calls ``stop``."""
        self._started = self.clock()
        while not self.engine.any_process(self.budget_spent or self.stop_reason is not None):
            self._step()
        if self.stop_reason is None and not self.budget_spent:
            self.stop_reason = "another process stopped"
        failed: Exception | None = None
        for callback in self.callbacks.values():
            try:
                callback.on_end(self)
            except Exception as error:  # the others still end, above all the checkpoints
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
                micro_batches=engine.micro_batches,
                device=engine.device,
            )
            for index in engine.micro_batch_indices
        ]
        shown = dict.fromkeys(self.streams, 0)
        for player in self.players:
            if player.is_due(self.step):
                for repeat in range(player.repeats):
                    move = self._move(player, repeat, contexts)
                    for callback in self.callbacks.values():
                        callback.on_move(self, move)
                for name in player.streams:
                    drawn = player.repeats * engine.micro_batches * self.streams[name].batch_size
                    shown[name] = max(shown[name], drawn)
        self.real_examples += sum(shown.values())
        self.step += 1
        for callback in self.callbacks.values():
            callback.on_step(self)

    def _move(self, player: Player, repeat: int, contexts: list[Play]) -> Move:
        engine, optimizer = self.engine, self.optimizers[player.name]
        drawn = {
            name: self.streams[name].next(engine.micro_batch_indices, engine.micro_batches) for name in player.streams
        }
        terms: list[dict[str, Tensor]] = []
        with frozen_except(self.game, player.nets) as params:
            optimizer.zero_grad(set_to_none=True)
            for i, context in enumerate(contexts):
                context.begin(player.name, repeat)
                batches = {name: engine.to_device(parts[i]) for name, parts in drawn.items()}
                batch = next(iter(batches.values())) if len(batches) == 1 else batches
                with engine.autocast():
                    losses = self.game.losses(player.name, batch, context)
                    total = torch.stack([term.float() for term in losses.values()]).sum()
                engine.backward(player.name, total)
                terms.append({name: term.detach() for name, term in losses.items()})
            norm = engine.average_and_clip_gradients(player.name, optimizer, params, player.clip)
            examples = engine.micro_batches * sum(self.streams[name].batch_size for name in player.streams)
            notes = _joined([p.notes for p in contexts])
            move = Move(player, self.step, repeat, _mean(terms), norm, notes, examples)
            move.applied = not self._refused(move)
            engine.step(player.name, optimizer, move.applied)
        if move.applied:
            self.game.after_step(player.name, contexts[0])
        self.examples += examples
        return move

    def _refused(self, move: Move) -> bool:
        """Whether a callback of any process wants this step not to be taken."""
        if not self._judges:
            return False
        answers = [judge.on_gradients(self, move) for judge in self._judges]  # each is asked
        return self.engine.any_process(any(answer is False for answer in answers))

    def state_dict(self) -> dict[str, Any]:
        """Everything: a run resumed from it goes on as if never stopped."""
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
        """Continue from a saved state.

        Hyperparameters of optimizers (learning rates ...) stay as they are configured now.

        Returns:
            Lines for the user: what the state lacks, and so starts anew.

        Raises:
            CheckpointError: networks or players are not the same, or a value makes no sense.
        """
        step, examples = check_count(state["step"], "trainer.step"), check_count(state["examples"], "trainer.examples")
        spent = check_duration(state["seconds"], "trainer.seconds")
        game = self.game.upgrade_state_dict(state["game"])
        different = describe_differences(self.game.state_dict(), game)
        if different:
            raise CheckpointError(f"the networks are not those of the checkpoint: {different}")
        check_weights(game)
        if set(state["optimizers"]) != set(self.optimizers):
            mine, theirs = sorted(self.optimizers), sorted(state["optimizers"])
            raise CheckpointError(f"players are {mine}, in the checkpoint {theirs}")
        self.game.load_state_dict(game)
        missing = []
        for player in self.players:
            optimizer = self.optimizers[player.name]
            configured = [{k: v for k, v in group.items() if k != "params"} for group in optimizer.param_groups]
            optimizer.load_state_dict(state["optimizers"][player.name])
            for group, options in zip(optimizer.param_groups, configured, strict=True):
                group.update(options)
            missing.append(check_optimizer(player, optimizer, step))
        for kind, parts in (("stream", self.streams), ("callback", self.callbacks)):
            saved = state[f"{kind}s"]
            for name, part in parts.items():
                if name in saved:
                    part.load_state_dict(saved[name])
                elif part.state_dict():
                    missing.append(f"the {kind} {name!r} is not in the checkpoint and starts anew")
        self.step, self.examples = step, examples
        self._seconds_before = spent
        self._started = None if self._started is None else self.clock()
        self.engine.load_state_dict(state["engine"])
        for callback in self.callbacks.values():
            callback.on_resume(self)
        return [line for line in missing if line]


def _mean(terms: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    return terms[0] if len(terms) == 1 else {k: torch.stack([t[k] for t in terms]).mean(0) for k in terms[0]}


def _joined(notes: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    return notes[0] if len(notes) == 1 else {k: torch.cat([n[k].reshape(-1) for n in notes]) for k in notes[0]}
