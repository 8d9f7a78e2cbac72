"""A generator against several critics, each with its own part of the training data (MD-GAN, Hardy et al., IPDPS
2019)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from audiogan.core import Play
from audiogan.games.adversarial import Adversarial
from audiogan.games.critics import logits_per_sample
from audiogan.games.terms import add_terms
from audiogan.representations import Representation


class MultiCritic(Adversarial):
    """Game of one generator and several critics (MD-GAN). Each critic trains on its own part of the training data.

    The players are ``generator`` and the names of the critics. The generator minimises the mean of its losses over all
    critics (section IV-B2). The generator uses its data streams only for the batch size and the labels. With one
    stream, all critics receive the same generated batch. With ``k`` streams, ``k`` batches are generated, and critic
    ``i`` receives batch ``i % k``.

    Every ``swap_every`` steps, the critics exchange their weights and buffers by a random permutation without fixed
    points (section IV-C1, algorithm 1). Over time, the weights of each critic are therefore trained on all parts of the
    data. Optimizer states are not exchanged, because a game has no access to them.

    Args:
        generator: network from named inputs to ``[B, *representation.shape]``.
        critics: networks with the same architecture, by name.
        loss: adversarial loss with the methods of `audiogan.losses.NonSaturating`.
        representation: transform between signals and the tensors that networks process.
        swap_every: number of steps between two swaps, a multiple of the generator's ``every``. 0 disables swaps. In the
            paper, ``swap_every`` is the number of examples per critic, times the number of epochs between two
            swaps, divided by the batch size.
        seed: seed of the permutations. A permutation depends on the seed and the step only.
        options: further arguments of `Adversarial`.

    Raises:
        ValueError: the critics differ in their architecture, or there are swaps but fewer than two critics.
    """

    def __init__(
        self,
        generator: nn.Module,
        critics: Mapping[str, nn.Module],
        loss: Any,
        representation: Representation,
        *,
        swap_every: int = 0,
        seed: int = 0,
        **options: Any,
    ) -> None:
        if not critics or "generator" in critics:
            raise ValueError(f"MultiCritic needs critics, none of them named 'generator', not {list(critics)}")
        if swap_every < 0 or (swap_every and len(critics) < 2):
            raise ValueError(f"swap_every={swap_every} needs at least two critics, not {len(critics)}")
        first = next(iter(critics.values()))
        super().__init__(generator, first, loss, representation, **options)
        for name, critic in critics.items():
            if _shapes(critic) != _shapes(first):
                raise ValueError(f"critic {name!r} differs in architecture from {next(iter(critics))!r}")
        self.nets = nn.ModuleDict({"generator": generator, **critics})
        self.critics, self.swap_every, self.seed = tuple(critics), swap_every, seed
        self._selected_critic = self.critics[0]

    def losses(self, player: str, batch: dict[str, Any], context: Play) -> dict[str, Tensor]:
        if player != "generator":
            with self._select_critic(player):
                return super().losses("critic", batch, context)
        batches = [batch] if isinstance(batch.get("x"), Tensor) else list(batch.values())
        made = [(*self._make(len(part["x"]), self.inputs_from_batch(part, context), context), part) for part in batches]
        terms: dict[str, list[Tensor]] = {}
        logits = []
        for i, name in enumerate(self.critics):
            inputs, _, fake, part = made[i % len(made)]
            with self._select_critic(name):
                losses, out = self._adversarial_terms(fake, inputs, part, context)
            logits.append(logits_per_sample(out))
            for term, value in losses.items():
                terms.setdefault(term, []).append(value)
        context.record(fake_logits=torch.cat(logits))
        inputs, x, _, part = made[0]
        means = {term: torch.stack(values).mean() for term, values in terms.items()}
        return add_terms(means, self._generator_terms(inputs, x, part["x"], context))

    @property
    def critic(self) -> nn.Module:
        return self.nets[self._selected_critic]

    @contextlib.contextmanager
    def _select_critic(self, critic: str) -> Iterator[None]:
        """Select the critic that methods of `Adversarial` use while the block runs."""
        if critic not in self.critics:
            raise ValueError(f"there is no critic {critic!r}; the players are generator, {', '.join(self.critics)}")
        before, self._selected_critic = self._selected_critic, critic
        try:
            yield
        finally:
            self._selected_critic = before

    def after_step(self, player: str, context: Play) -> None:
        if player in self.critics and self.constraint is not None:
            self.constraint(self.nets[player])
        due = bool(self.swap_every) and (context.step + 1) % self.swap_every == 0
        if player == "generator" and context.repeat == 0 and due:
            self.swap_critics(context.step)

    @torch.no_grad()
    def swap_critics(self, step: int) -> list[int]:
        """Permute the weights and buffers of the critics.

        Args:
            step: number of the step, which determines the permutation.

        Returns:
            For each critic, the index of the critic from which its weights came.
        """
        rng = np.random.default_rng([self.seed, step])
        places = np.arange(len(self.critics))
        order = rng.permutation(places)
        while (order == places).any():  # The loop needs few passes, because 37 % of permutations have no fixed point.
            order = rng.permutation(places)
        states = [_tensors(self.nets[name]) for name in self.critics]
        copies = [[tensor.clone() for tensor in state] for state in states]
        for state, source in zip(states, order, strict=True):
            for mine, theirs in zip(state, copies[source], strict=True):
                mine.copy_(theirs)
        return [int(i) for i in order]

    def real_logits(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Return the logits ``[B]`` for real examples, averaged over all critics, without augmentation.

        Args:
            batch: signals ``x``, and the columns that the critics' inputs need.
        """
        logits = []
        for name in self.critics:
            with self._select_critic(name):
                logits.append(super().real_logits(batch))
        return torch.stack(logits).mean(0)


def _tensors(net: nn.Module) -> list[Tensor]:
    return [*net.parameters(), *net.buffers()]


def _shapes(net: nn.Module) -> list[tuple[int, ...]]:
    return [tuple(tensor.shape) for tensor in _tensors(net)]
