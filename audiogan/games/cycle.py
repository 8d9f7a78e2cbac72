"""Translation between two domains without paired data (CycleGAN, Zhu et al., ICCV 2017)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from audiogan.core import Play
from audiogan.games.calling import call_network, check_input_names, check_shape, eval_mode
from audiogan.games.critics import critic_terms, logits_per_sample, sum_over_critics, to_critic_output
from audiogan.games.features import last_hidden_layer
from audiogan.games.generative import Generative, Route
from audiogan.games.image_pool import ImagePool
from audiogan.games.terms import add_terms, name_terms
from audiogan.inputs import Input, Signal
from audiogan.networks.base import CriticOutput
from audiogan.representations import Representation


class Cycle(Generative):
    """Game of two generators, which translate between two domains in opposite directions, and one critic per domain.

    The player ``generator`` trains both generators, and the player ``critic`` trains both critics. Each player draws
    batches from two data streams: the stream of the first domain, then the stream of the second domain. Batches hold
    signals in the column ``x``.

    Args:
        generators: two networks by name. The first translates to the second domain, and the second translates back.
            Each takes one `Signal`.
        critics: two networks by name. The first receives signals of the first domain, and the second receives signals
            of the second domain.
        loss: adversarial loss with the methods of `audiogan.losses.NonSaturating`.
        representation: transform between signals and the tensors that networks process.
        inputs: named inputs of the generators. One of them is a `Signal` of the column ``x``.
        cycle: distance between a signal and the result of translating it to the other domain and back (section 3.2),
            such as ``audiogan.losses.L1(weight=10)``.
        identity: distance between a signal of a generator's target domain and its translation by that generator
            (section 5.2). ``None`` disables it.
        pool: number of earlier translations that are stored for each critic. The critic receives some of them instead
            of new ones (section 4). With 0, none are stored. A game that stores translations runs in one process only.
        penalties: terms of the critics' loss. A term is added on steps that are multiples of its ``every``.
        constraint: function that is called with each critic after each of its optimizer steps.

    Raises:
        ValueError: there are not two generators and two critics, or a generator does not take exactly one signal.
    """

    def __init__(
        self,
        generators: Mapping[str, nn.Module],
        critics: Mapping[str, nn.Module],
        loss: Any,
        representation: Representation,
        inputs: Mapping[str, Input] | None = None,
        *,
        cycle: Any,
        identity: Any = None,
        pool: int = 50,
        penalties: Sequence[Any] | Mapping[str, Any] | None = (),
        constraint: Callable[[nn.Module], None] | None = None,
    ) -> None:
        if len(generators) != 2 or len(critics) != 2 or set(generators) & set(critics):
            raise ValueError(
                "Cycle needs two generators and two critics of different names, "
                f"got {', '.join(generators)} and {', '.join(critics)}"
            )
        there, back = generators
        super().__init__(generators, representation, inputs, {there: Route(0, 1), back: Route(1, 0)})
        sources = [name for name, given in self.inputs.items() if isinstance(given, Signal)]
        if len(sources) != 1:
            raise ValueError(f"the generators of Cycle must take one signal, not {', '.join(sources) or 'none'}")
        self.source = sources[0]
        self.critics = tuple(critics)
        for name, critic in critics.items():
            self.nets[name] = critic
            check_shape(critic, representation)
            check_input_names(critic, ())
        self.loss, self.penalties, self.constraint = loss, name_terms(penalties, "penalties"), constraint
        self.cycle, self.identity = cycle, identity
        terms = (cycle, identity, *self.penalties.values())
        self.penalty_state = nn.ModuleList(term for term in terms if isinstance(term, nn.Module))
        self.pools = nn.ModuleDict()
        if pool:
            self.pools.update({name: ImagePool(representation.shape, pool) for name in generators})
            self.single_process = "each process would have its own image pool; set game.pool=0 to use several"

    def losses(self, player: str, batch: dict[str, Any], context: Play) -> dict[str, Tensor]:
        if not isinstance(batch.get("x"), Tensor) and len(batch) == 2:
            domains = list(batch.values())
        else:
            raise ValueError(f"player {player!r} of Cycle needs two streams, one for each domain")
        given = [self.add_drawn_inputs(len(b["x"]), self.inputs_from_batch(b, context), context) for b in domains]
        signals = [part["x"] for part in domains]
        if player == "critic":
            return self._critic_losses(signals, given, context)
        losses: dict[str, Tensor] = {}
        logits = []
        there, back = self.generators
        for name, other, source in ((there, back, 0), (back, there, 1)):
            target = 1 - source
            made = call_network(self.nets[name], given[source])
            fake = self.representation.decode(made)
            out = self.apply_critic(target, made)
            logits.append(logits_per_sample(out))
            adversarial = {"loss": self._generator_loss(out, signals[target], target)}
            restored = self.representation.decode(
                call_network(self.nets[other], self._with_source(given[source], fake))
            )
            cycle = {"cycle": self.cycle(restored, signals[source])}
            identity = {}
            if self.identity is not None:
                same = self.representation.decode(call_network(self.nets[name], given[target]))
                identity = {"identity": self.identity(same, signals[target])}
            losses = add_terms(losses, adversarial, cycle, identity)
        context.record(fake_logits=torch.cat(logits))
        return losses

    def _generator_loss(self, out: CriticOutput, signal: Tensor, domain: int) -> Tensor:
        if not getattr(self.loss, "relativistic", False):
            return sum_over_critics(self.loss.generator, out)
        with torch.no_grad():
            real = self.apply_critic(domain, self.representation.encode(signal))
        return sum_over_critics(self.loss.generator, out, real)

    def _critic_losses(self, signals: list[Tensor], given: list[dict[str, Tensor]], context: Play) -> dict[str, Tensor]:
        losses: dict[str, Tensor] = {}
        real_logits, fake_logits = [], []
        for (name, net), source in zip(self.generator_nets.items(), (0, 1), strict=True):
            target = 1 - source
            fake = call_network(net, given[source]).detach()
            if name in self.pools:
                fake = self.pools[name](fake, context)
            real = self.representation.encode(signals[target]).detach()
            terms, of_real, of_fake = critic_terms(
                self.loss, partial(self.apply_critic, target), real, fake, self.penalties, context
            )
            losses = add_terms(losses, terms)
            real_logits.append(logits_per_sample(of_real))
            fake_logits.append(logits_per_sample(of_fake))
        context.record(real_logits=torch.cat(real_logits), fake_logits=torch.cat(fake_logits))
        return losses

    def apply_critic(self, domain: int, x: Tensor) -> CriticOutput:
        """Return the output of one critic.

        Args:
            domain: index of the domain, 0 or 1.
            x: encoded signals, ``[B, *representation.shape]``.
        """
        return to_critic_output(self.nets[self.critics[domain]](x))

    def _with_source(self, given: Mapping[str, Tensor], signal: Tensor) -> dict[str, Tensor]:
        encoder: Any = self.inputs[self.source]
        return {**given, self.source: encoder.encode(signal)}

    def after_step(self, player: str, context: Play) -> None:
        if player == "critic" and self.constraint is not None:
            for name in self.critics:
                self.constraint(self.nets[name])

    @property
    def critic(self) -> nn.Module:
        """The critic of the second domain, the target of the first generator."""
        return self.nets[self.critics[1]]

    def critic_input(self, signal: Tensor) -> Tensor:
        """Return signals ``[B, *signal_shape]`` in the form that the critics receive."""
        return self.representation.encode(signal)

    @torch.no_grad()
    def real_logits(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Return the logits ``[B]`` that the critic of the second domain gives to real examples ``x``."""
        device = next(self.critic.parameters()).device
        with eval_mode(self.critic):
            return logits_per_sample(self.apply_critic(1, self.critic_input(batch["x"].to(device))))

    @torch.no_grad()
    def features(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Return the last hidden layer ``[B, D]`` of the critic of the second domain for real examples ``x``."""
        device = next(self.critic.parameters()).device
        with eval_mode(self.critic):
            return last_hidden_layer(self.critic, self.critic_input(batch["x"].to(device)), {})
