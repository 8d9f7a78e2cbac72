"""A game: networks, the losses each player minimises, and how to sample. And the scratch pad of a step."""

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

    def losses(self, player: str, batch: Any, play: Play) -> dict[str, Tensor]:
        """Named, weighted scalar terms whose sum ``player`` minimises in this move.

        ``batch`` is what the player's stream yields; for a player of several streams, a dict of them by name.
        """
        raise NotImplementedError

    def after_step(self, player: str, play: Play) -> None:
        """Called after the optimizer step of ``player``: the place for constraints on weights and for swaps."""

    def upgrade_state_dict(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return a state dict of this game, or of an older version of it, as this version has it."""
        return dict(state)

    def sample(
        self, n: int, *, nets: Mapping[str, nn.Module] | None = None, rng: torch.Generator | None = None
    ) -> Tensor:
        """Return ``n`` samples; ``nets`` replaces networks by name, such as by an average of their weights."""
        raise NotImplementedError


class Play:
    """The scratch pad of one training step: shared forwards, notes, and all the randomness a game needs.

    Random numbers are a pure function of (seed, step, player, repeat) and are drawn for the whole batch of a move: a
    process, or a part of an accumulated batch, takes its rows. So the numbers do not depend on how many processes share
    a batch, and no state of theirs need be saved.

    Attributes:
        step: the step, counted from 0.
        player, repeat: whose move this is, and which of its repeats.
        part, parts: which share of the move's batch this is, of how many.
    """

    def __init__(self, step: int, *, seed: int = 0, part: int = 0, parts: int = 1, device: str | torch.device = "cpu"):
        self.step = step
        self.part, self.parts = part, parts
        self.player, self.repeat = "", 0
        self.notes: dict[str, Tensor] = {}
        self._seed = seed
        self._once: dict[str, Any] = {}
        self._kept: dict[str, Any] = {}
        self._rng = torch.Generator(device=device)

    def begin(self, player: str, repeat: int = 0) -> None:
        """Open the move of ``player``: forget shared forwards and notes of the last, seed the random numbers."""
        self.player, self.repeat = player, repeat
        self._once.clear()
        self.notes = {}
        words = [self._seed, self.step, zlib.crc32(player.encode()), repeat]
        shared, own = np.random.SeedSequence(words, spawn_key=()).generate_state(2, np.uint64)
        self._rng.manual_seed(int(shared))
        # What a network draws by itself (dropout, noise) differs from part to part.
        torch.manual_seed((int(own) + self.part) % 2**63)

    def once(self, name: str, make: Callable[[], Any]) -> Any:
        """``make()``, computed once a move however often it is asked for."""
        if name not in self._once:
            self._once[name] = make()
        return self._once[name]

    def keep(self, name: str, x: Tensor) -> None:
        """Keep ``x``, detached, for a later move of the same step."""
        self._kept[name] = x.detach()

    def kept(self, name: str) -> Tensor:
        """What an earlier move of this step kept as ``name``; ``KeyError`` if none did."""
        if name not in self._kept:
            kept = sorted(self._kept)
            raise KeyError(f"nothing was kept as {name!r} before the move of {self.player!r}; kept: {kept}")
        return self._kept[name]

    def note(self, **stats: Tensor | float) -> None:
        """Figures of this move for whoever watches. Tensors stay where they are: nothing waits for the device."""
        for name, value in stats.items():
            self.notes[name] = torch.as_tensor(value).detach()

    def rand(self, *shape: int) -> Tensor:
        """Uniform in [0, 1), first dimension is this part's batch."""
        return self._draw(torch.rand, shape)

    def randn(self, *shape: int) -> Tensor:
        """Standard normal, first dimension is this part's batch."""
        return self._draw(torch.randn, shape)

    def choice(self, odds: Tensor, n: int) -> Tensor:
        """``n`` indices, int64 ``[n]``, with probabilities in proportion to ``odds``."""
        odds = odds.to(self._rng.device)
        whole = torch.multinomial(odds, n * self.parts, replacement=True, generator=self._rng)
        return whole[self.part * n : (self.part + 1) * n]

    def _draw(self, sampler: Callable[..., Tensor], shape: tuple[int, ...]) -> Tensor:
        n = shape[0]
        whole = sampler(n * self.parts, *shape[1:], generator=self._rng, device=self._rng.device)
        return whole[self.part * n : (self.part + 1) * n]
