"""One generator against many critics, each with data of its own (MD-GAN: Hardy, Le Merrer & Sericola, IPDPS 2019)."""

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
    """A generator that never sees data learns from critics that each see one share of it.

    Players are called ``generator`` and as the critics are; a critic's stream is its worker's share. The generator
    minimises the mean over critics of its loss, so its gradient is the mean of their feedback (section IV-B2). Of the
    generator's streams only the batch sizes count, and the labels where there are classes: one stream makes one batch
    of fakes that all critics judge, ``k`` streams make ``k`` batches that are dealt out in turn (the paper's k).

    Every ``swap_every`` steps, after the generator's move, the critics change places by a random permutation that
    leaves none where it was, so that each comes to see all the data (section IV-C1). As in the paper's algorithm 1 it
    is the parameters that move, here with the buffers. What a worker's optimizer remembers stays with the worker: the
    paper does not speak of it, and a game has no optimizers.

    Args:
        generator, loss, representation, options: as in `Adversarial`.
        critics: by name, all built alike.
        swap_every: steps between two swaps; 0 for none. The paper's ``m E / b``: examples of a share, times epochs,
            by the batch size. A multiple of the generator's ``every``.
        seed: of the permutations, which are a function of it and of the step: all processes, and a run taken up again,
            swap alike.
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
            raise ValueError(f"MultiCritic wants critics, none of them named 'generator'; got {list(critics)}")
        if swap_every < 0 or (swap_every and len(critics) < 2):
            raise ValueError(f"swap_every={swap_every} with {len(critics)} critics: there must be two to swap")
        first = next(iter(critics.values()))
        super().__init__(generator, first, loss, representation, **options)
        for name, critic in critics.items():
            if _shapes(critic) != _shapes(first):
                raise ValueError(f"critic {name!r} is not built as {next(iter(critics))!r} is; swapped critics must be")
        self.nets = nn.ModuleDict({"generator": generator, **critics})
        self.critics, self.swap_every, self.seed = tuple(critics), swap_every, seed
        self._facing = self.critics[0]

    def losses(self, player: str, batch: dict[str, Any], context: Play) -> dict[str, Tensor]:
        if player != "generator":
            with self._against(player):
                return super().losses("critic", batch, context)
        batches = [batch] if isinstance(batch.get("x"), Tensor) else list(batch.values())
        made = [(*self._make(len(part["x"]), self.inputs_from_batch(part, context), context), part) for part in batches]
        terms: dict[str, list[Tensor]] = {}
        logits = []
        for i, name in enumerate(self.critics):
            inputs, _, fake, part = made[i % len(made)]
            with self._against(name):
                losses, out = self._adversarial_terms(fake, inputs, part, context)
            logits.append(logits_per_sample(out))
            for term, value in losses.items():
                terms.setdefault(term, []).append(value)
        context.note(fake_logits=torch.cat(logits))
        inputs, x, _, part = made[0]
        means = {term: torch.stack(values).mean() for term, values in terms.items()}
        return add_terms(means, self._generator_terms(inputs, x, part["x"], context))

    @property
    def critic(self) -> nn.Module:
        return self.nets[self._facing]

    @contextlib.contextmanager
    def _against(self, critic: str) -> Iterator[None]:
        """The critic that judges, for a while."""
        if critic not in self.critics:
            raise ValueError(f"there is no critic {critic!r}; the players are generator, {', '.join(self.critics)}")
        before, self._facing = self._facing, critic
        try:
            yield
        finally:
            self._facing = before

    def after_step(self, player: str, context: Play) -> None:
        if player in self.critics and self.constraint is not None:
            self.constraint(self.nets[player])
        due = bool(self.swap_every) and (context.step + 1) % self.swap_every == 0
        if player == "generator" and context.repeat == 0 and due:
            self.swap_critics(context.step)

    @torch.no_grad()
    def swap_critics(self, step: int) -> list[int]:
        """Move critics between workers now; worker ``i`` gets the critic of worker ``p[i]`` of what is returned."""
        rng = np.random.default_rng([self.seed, step])
        places = np.arange(len(self.critics))
        order = rng.permutation(places)
        while (order == places).any():  # one in e permutations has no fixed point
            order = rng.permutation(places)
        states = [_tensors(self.nets[name]) for name in self.critics]
        copies = [[tensor.clone() for tensor in state] for state in states]
        for state, source in zip(states, order, strict=True):
            for mine, theirs in zip(state, copies[source], strict=True):
                mine.copy_(theirs)
        return [int(i) for i in order]

    def score(self, batch: Mapping[str, Tensor]) -> Tensor:
        """The mean over critics of their logits ``[B]`` of real examples as they are, without augmentation."""
        logits = []
        for name in self.critics:
            with self._against(name):
                logits.append(super().score(batch))
        return torch.stack(logits).mean(0)


def _tensors(net: nn.Module) -> list[Tensor]:
    return [*net.parameters(), *net.buffers()]


def _shapes(net: nn.Module) -> list[tuple[int, ...]]:
    return [tuple(tensor.shape) for tensor in _tensors(net)]
