"""The base class of games, and the context of one training step."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


class Game(nn.Module):
    """Networks and the losses of the players who own them.

    A game never calls ``backward``, ``step``, ``zero_grad`` or ``.to(device)`` and never touches autocast: the trainer
    does. State that matters between steps is a registered buffer, so that checkpoints hold it.

    Attributes:
        single_process: why this game must run in one process, for the error; empty if it may run in several. Give the
            reason where buffers come to differ between processes: a checkpoint holds those of the first only.
    """

    single_process: str = ""

    def __init__(self, nets: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self.nets = nn.ModuleDict(nets)

    def losses(self, player: str, batch: Any, context: Play) -> dict[str, Tensor]:
        """Return named, weighted scalar terms; the player minimises their sum in this move.

        Args:
            player: name of the player that moves.
            batch: the batch of the player's stream; for a player with several streams, a dict of batches by stream.
            context: shared forwards, notes and random numbers of this step.
        """
        raise NotImplementedError

    def after_step(self, player: str, context: Play) -> None:
        """Hook after the optimizer step of ``player``, for constraints on weights and for swaps of networks."""

    def upgrade_state_dict(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return a state dict of this game or of an older version of it, with the names of this version."""
        return dict(state)

    def sample(
        self, n: int, *, nets: Mapping[str, nn.Module] | None = None, rng: torch.Generator | None = None
    ) -> Tensor:
        """Return ``n`` samples; ``nets`` replaces networks by name, such as by an average of their weights."""
        raise NotImplementedError


class Play:
    """The context of one training step: shared forwards, notes, and all random numbers that a game needs.

    Random numbers are a pure function of (seed, step, player, repeat). They are drawn for the whole batch of a move,
    and each micro-batch takes its rows. So the numbers depend neither on the number of processes that share a batch
    nor on gradient accumulation, and no state of theirs has to be saved.

    Attributes:
        step: the step, counted from 0.
        player: name of the player that moves.
        repeat: index of the move among the player's repeats in this step.
        micro_batch_index: index of this micro-batch in the move's batch.
        micro_batches: number of micro-batches of the move: processes times ``engine.accumulate``.
    """

    def __init__(
        self,
        step: int,
        *,
        seed: int = 0,
        micro_batch_index: int = 0,
        micro_batches: int = 1,
        device: str | torch.device = "cpu",
    ) -> None:
        self.step = step
        self.micro_batch_index, self.micro_batches = micro_batch_index, micro_batches
        self.player, self.repeat = "", 0
        self.notes: dict[str, Tensor] = {}
        self._seed = seed
        self._once: dict[str, Any] = {}
        self._kept: dict[str, Any] = {}
        self._rng = torch.Generator(device=device)

    def begin(self, player: str, repeat: int = 0) -> None:
        """Begin a move: clear the shared forwards and notes of the last move, and seed the random numbers."""
        self.player, self.repeat = player, repeat
        self._once.clear()
        self.notes = {}
        words = [self._seed, self.step, zlib.crc32(player.encode()), repeat]
        shared, own = np.random.SeedSequence(words, spawn_key=()).generate_state(2, np.uint64)
        self._rng.manual_seed(int(shared))
        # What a network draws by itself (dropout, noise) differs between micro-batches.
        torch.manual_seed((int(own) + self.micro_batch_index) % 2**63)

    def once(self, name: str, compute: Callable[[], Any]) -> Any:
        """Return ``compute()``; within a move, later calls with the same name return the first result."""
        if name not in self._once:
            self._once[name] = compute()
        return self._once[name]

    def keep(self, name: str, x: Tensor) -> None:
        """Keep ``x``, detached, for a later move of the same step."""
        self._kept[name] = x.detach()

    def get_kept(self, name: str) -> Tensor:
        """Return the tensor that an earlier move of this step kept as ``name``; ``KeyError`` if there is none."""
        if name not in self._kept:
            kept = sorted(self._kept)
            raise KeyError(f"nothing was kept as {name!r} before the move of {self.player!r}; kept: {kept}")
        return self._kept[name]

    def note(self, **stats: Tensor | float) -> None:
        """Record figures of this move for monitors and logs. Tensors stay on their device: nothing waits for it."""
        for name, value in stats.items():
            self.notes[name] = torch.as_tensor(value).detach()

    def rand(self, *shape: int) -> Tensor:
        """Draw uniform numbers in [0, 1). The first dimension is the size of this micro-batch."""
        return self._draw(torch.rand, shape)

    def randn(self, *shape: int) -> Tensor:
        """Draw standard normal numbers. The first dimension is the size of this micro-batch."""
        return self._draw(torch.randn, shape)

    def choice(self, odds: Tensor, n: int) -> Tensor:
        """Draw ``n`` indices, int64 ``[n]``, with probabilities in proportion to ``odds``."""
        odds = odds.to(self._rng.device)
        whole = torch.multinomial(odds, n * self.micro_batches, replacement=True, generator=self._rng)
        return whole[self.micro_batch_index * n : (self.micro_batch_index + 1) * n]

    def _draw(self, sampler: Callable[..., Tensor], shape: tuple[int, ...]) -> Tensor:
        n = shape[0]
        whole = sampler(n * self.micro_batches, *shape[1:], generator=self._rng, device=self._rng.device)
        return whole[self.micro_batch_index * n : (self.micro_batch_index + 1) * n]
