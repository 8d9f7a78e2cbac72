"""The base class of games, and `Play`, the context that a game receives for each update of a player."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


class Game(nn.Module):
    """Networks together with the losses of the players that train them. Subclasses implement `losses` and `sample`.

    The trainer calls ``backward`` and ``step``, clears gradients, moves networks to the device and enables autocast. A
    game does none of this. State that lasts longer than a step must be a registered buffer, because checkpoints store
    only parameters and buffers.

    Args:
        nets: networks by name.

    Attributes:
        single_process: text for an error message: the reason why the game must run in a single process. Empty if it can
            run in several. A game whose buffers differ between processes must set it, because a checkpoint stores only
            the buffers of the first process.
    """

    single_process: str = ""

    def __init__(self, nets: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self.nets = nn.ModuleDict(nets)

    def losses(self, player: str, batch: Any, context: Play) -> dict[str, Tensor]:
        """Return the weighted terms of a player's loss. The optimizer of the player minimises their sum.

        Args:
            player: name of the player to update.
            batch: tensors by the name of the data column. For a player with several streams, a dict of such batches by
                the name of the stream.
            context: random numbers, shared results and recorded values of this update.

        Returns:
            Scalars by name. The names appear in the log.
        """
        raise NotImplementedError

    @property
    def background_seconds(self) -> float:
        """CPU time in seconds that other processes have spent for the game since this process started. The clock
        ``cpu`` of a run includes it."""
        return 0.0

    def after_step(self, player: str, context: Play) -> None:
        """Change weights after the optimizer step of a player, for example to clip them. By default, do nothing."""

    def upgrade_state_dict(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return a state dict with the parameter names of this version of the game.

        Args:
            state: state dict of this version or of an older version.
        """
        return dict(state)

    def sample(
        self, n: int, *, nets: Mapping[str, nn.Module] | None = None, rng: torch.Generator | None = None
    ) -> Tensor:
        """Return ``n`` generated samples.

        Args:
            n: number of samples.
            nets: networks that replace networks of the game by name, such as averaged ones.
            rng: random number generator. ``None`` selects PyTorch's global random number generator.
        """
        raise NotImplementedError


class Play:
    """Context that a game receives for one update of a player: random numbers, shared results and recorded values.

    The random numbers of an update depend only on the seed, the step, the player and the repeat. They are drawn for the
    whole batch, and each micro-batch takes its rows. The numbers therefore depend neither on the number of processes
    nor on gradient accumulation, and checkpoints need not store the state of a random number generator.

    Args:
        step: number of the step, counted from 0.
        seed: seed of the random numbers.
        micro_batch_index: index of this micro-batch.
        micro_batch_count: number of micro-batches of an update over all processes.
        device: device on which random numbers are drawn.
        paused: names of the players that are not trained at present, see `FirstStage`.
        frozen: names of the networks that are not trained at present, see `FineTuning`.

    Attributes:
        player: name of the player to update.
        repeat: index of this update among the player's updates in this step, from 0.
        recorded_values: values that the game recorded with `record` in this update, by name.

    Examples:
        >>> from audiogan.core import Play
        >>> play = Play(step=0, seed=1)
        >>> play.begin_move("critic")
        >>> first = play.rand(3)
        >>> play.begin_move("critic")
        >>> bool((play.rand(3) == first).all())
        True
    """

    def __init__(
        self,
        step: int,
        *,
        seed: int = 0,
        micro_batch_index: int = 0,
        micro_batch_count: int = 1,
        device: str | torch.device = "cpu",
        paused: frozenset[str] = frozenset(),
        frozen: frozenset[str] = frozenset(),
    ) -> None:
        self.step, self.paused, self.frozen = step, paused, frozen
        self.micro_batch_index, self.micro_batch_count = micro_batch_index, micro_batch_count
        self.player, self.repeat = "", 0
        self.recorded_values: dict[str, Tensor] = {}
        self._seed = seed
        self._results: dict[str, Any] = {}
        self._stored: dict[str, Any] = {}
        self._rng = torch.Generator(device=device)

    def begin_move(self, player: str, repeat: int = 0) -> None:
        """Prepare for an update of a player: clear shared results and recorded values, and seed the random numbers.

        Args:
            player: name of the player to update.
            repeat: index of this update among the player's updates in this step, from 0.
        """
        self.player, self.repeat = player, repeat
        self._results.clear()
        self.recorded_values = {}
        words = [self._seed, self.step, zlib.crc32(player.encode()), repeat]
        shared, own = np.random.SeedSequence(words, spawn_key=()).generate_state(2, np.uint64)
        self._rng.manual_seed(int(shared))
        # Random numbers that networks draw themselves, such as dropout, must differ between micro-batches.
        torch.manual_seed((int(own) + self.micro_batch_index) % 2**63)

    def compute_once(self, name: str, compute: Callable[[], Any]) -> Any:
        """Return ``compute()``. Later calls with the same name in this update return the same result without computing
        it again."""
        if name not in self._results:
            self._results[name] = compute()
        return self._results[name]

    def store(self, name: str, x: Tensor) -> None:
        """Store ``x``, detached from the graph, for a later update in this step. `get_stored` returns it."""
        self._stored[name] = x.detach()

    def get_stored(self, name: str) -> Tensor:
        """Return the tensor that `store` stored under a name earlier in this step.

        Raises:
            KeyError: no tensor has this name.
        """
        if name not in self._stored:
            kept = sorted(self._stored)
            raise KeyError(f"no tensor was stored as {name!r} before the update of {self.player!r}; tensors: {kept}")
        return self._stored[name]

    def has_stored(self, name: str) -> bool:
        """Return whether a tensor was stored under a name earlier in this step."""
        return name in self._stored

    def record(self, **values: Tensor | float) -> None:
        """Record values of this update for monitors and logs. Tensors stay on their device, so that the CPU need not
        wait for the device."""
        for name, value in values.items():
            self.recorded_values[name] = torch.as_tensor(value).detach()

    def rand(self, *shape: int) -> Tensor:
        """Return uniform random numbers in [0, 1).

        Args:
            shape: shape of the result. The first dimension is the number of examples in this micro-batch.
        """
        return self._draw(torch.rand, shape)

    def randn(self, *shape: int) -> Tensor:
        """Return standard normal random numbers.

        Args:
            shape: shape of the result. The first dimension is the number of examples in this micro-batch.
        """
        return self._draw(torch.randn, shape)

    def choice(self, odds: Tensor, n: int) -> Tensor:
        """Draw ``n`` random indices, int64 ``[n]``. The probability of index ``i`` is proportional to ``odds[i]``."""
        odds = odds.to(self._rng.device)
        whole = torch.multinomial(odds, n * self.micro_batch_count, replacement=True, generator=self._rng)
        return whole[self.micro_batch_index * n : (self.micro_batch_index + 1) * n]

    def _draw(self, sampler: Callable[..., Tensor], shape: tuple[int, ...]) -> Tensor:
        n = shape[0]
        whole = sampler(n * self.micro_batch_count, *shape[1:], generator=self._rng, device=self._rng.device)
        return whole[self.micro_batch_index * n : (self.micro_batch_index + 1) * n]
