"""A generator against a critic (Goodfellow et al., NeurIPS 2014), with conditional inputs, penalties and paired
targets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from audiogan.core import Play
from audiogan.games.calling import call_network, check_input_names, check_shape, eval_mode, input_names
from audiogan.games.critics import critic_terms, logits_per_sample, sum_over_critics, to_critic_output
from audiogan.games.features import last_hidden_layer
from audiogan.games.generative import Generative
from audiogan.games.terms import add_terms, due_penalties, name_terms
from audiogan.inputs import Input, Seeded, Signal
from audiogan.networks.base import CriticOutput
from audiogan.representations import Representation

Inputs = Mapping[str, Tensor]


class Adversarial(Generative):
    """Game of a generator and a critic with any adversarial loss.

    The players are called ``generator`` and ``critic``. A batch has the real signals in the column ``x``, and the
    columns that the inputs need. If the generator translates a source, ``x`` is the target.

    Args:
        generator: network from named inputs to ``[B, *representation.shape]``.
        critic: network from ``[B, *representation.shape]`` and its named inputs to logits or a `CriticOutput`. If the
            output has class logits, both players also minimise the cross-entropy of these logits (AC-GAN, Odena et al.,
            ICML 2017, section 4). If the critic has a method ``view``, the game passes ``view(signals)`` to it instead
            of encoded signals.
        loss: adversarial loss with the methods ``critic(real_logits, fake_logits)`` and ``generator(fake_logits)``. A
            relativistic loss has the attribute ``relativistic = True`` and ``generator(fake_logits, real_logits)``.
        representation: transform between signals and the tensors that networks process.
        inputs: named inputs of the networks. The default is derived from the generator's attributes, such as
            ``latent_dim``.
        penalties: terms of the critic's loss. A term is added on steps that are multiples of its ``every``. The keys of
            a mapping are the names in the log. A term in a sequence is named after its class.
        generator_penalties: penalties on the generator, such as `audiogan.losses.PathLength`. Each is called with the
            generator, its inputs and ``context.randn``, and added to the generator's loss.
        distances: terms of the generator's loss that compare its output with the target, such as `audiogan.losses.L1`.
        adversarial_weight: factor on the adversarial loss of the generator. With 0, the generator does not use the
            critic. For training without a critic, also remove the player ``critic`` (``'~players.critic'``).
        feature_matching_weight: factor on the mean absolute difference between the critic's features of the output and
            those of the target (pix2pixHD, Wang et al., CVPR 2018, equation 4). It requires a critic that returns
            features.
        auxiliary_weight: factor on the cross-entropy of class logits.
        augment: random transform of real and generated signals before the critic (DiffAugment, Zhao et al., NeurIPS
            2020).
        through_signal: whether to decode the generator's output to signals and encode them again before the critic.
            ``augment`` then transforms signals. The representation must be differentiable.
        reuse_samples: whether the critic receives the samples of the generator's update in the same step, which saves
            time. It has no effect if the generator is updated after the critic, see `audiogan.core.Player.order`.
        constraint: function that is called with the critic after each of its optimizer steps, such as weight clipping.

    Raises:
        ValueError: networks, inputs and representation do not fit together.
    """

    def __init__(
        self,
        generator: nn.Module,
        critic: nn.Module,
        loss: Any,
        representation: Representation,
        inputs: Mapping[str, Input] | None = None,
        penalties: Sequence[Any] | Mapping[str, Any] | None = (),
        generator_penalties: Sequence[Any] | Mapping[str, Any] | None = (),
        distances: Sequence[Any] | Mapping[str, Any] | None = (),
        adversarial_weight: float = 1.0,
        feature_matching_weight: float = 0.0,
        auxiliary_weight: float = 1.0,
        augment: nn.Module | None = None,
        through_signal: bool = False,
        reuse_samples: bool = False,
        constraint: Callable[[nn.Module], None] | None = None,
    ) -> None:
        super().__init__(generator, representation, inputs)
        self.nets["critic"] = critic
        self.loss, self.augment = loss, augment
        self.adversarial_weight, self.auxiliary_weight = adversarial_weight, auxiliary_weight
        self.penalties = name_terms(penalties, "penalties")
        self.generator_penalties = name_terms(generator_penalties, "generator_penalties")
        self.distances, self.feature_matching_weight = name_terms(distances, "distances"), feature_matching_weight
        stateful = (*self.generator_penalties.values(), *self.penalties.values())
        if odd := [penalty for penalty in stateful if not hasattr(penalty, "every")]:
            raise ValueError(f"penalties: {odd[0]!r} is not a penalty; give a section with _target_")
        terms = (*stateful, *self.distances.values())
        self.penalty_state = nn.ModuleList(term for term in terms if isinstance(term, nn.Module))
        self.constraint, self.reuse_samples = constraint, reuse_samples
        view = getattr(critic, "view", representation.encode if through_signal else None)
        self._view: Callable[[Tensor], Tensor] | None = view
        if not hasattr(critic, "view"):
            check_shape(critic, representation)
        mine, theirs = getattr(generator, "classes", 0), getattr(critic, "classes", 0)
        if mine != theirs and isinstance(mine, int) and isinstance(theirs, int):
            raise ValueError(f"the generator has {mine} classes, but the critic has {theirs}")
        check_input_names(critic, self.inputs)
        if augment is not None and any(isinstance(self.inputs[name], Signal) for name in input_names(critic)):
            raise ValueError("augment transforms only x, so the critic must not also receive a source; remove augment")

    def losses(self, player: str, batch: dict[str, Tensor], context: Play) -> dict[str, Tensor]:
        return self.player_losses(player, batch, self.inputs_from_batch(batch, context), context)

    def player_losses(self, player: str, batch: Inputs, batch_inputs: Inputs, context: Play) -> dict[str, Tensor]:
        """Return the terms of a player's loss.

        Args:
            player: ``generator`` or ``critic``.
            batch: signals ``x``, and other columns of the data by name.
            batch_inputs: result of `inputs_from_batch` for this batch.
            context: context of this update.
        """
        signal = batch["x"]
        if player == "critic":
            real = self.critic_view(self._prepare_real(signal), context).detach()
            if self.reuse_samples and context.has_stored("samples"):
                inputs = {name: context.get_stored(f"samples.{name}") for name in self.inputs}
                fake = context.get_stored("samples")
                given = self.inputs_for_real_examples(batch, {**inputs, **batch_inputs})
                return self._critic_losses(real, fake, inputs, given, context)
            inputs = self.add_drawn_inputs(len(signal), batch_inputs, context)
            made = call_network(self.nets["generator"], inputs)
            fake = self.critic_view(self._prepare_generated(made), context).detach()
            return self._critic_losses(real, fake, inputs, self.inputs_for_real_examples(batch, inputs), context)
        if "critic" in context.paused or not (self.adversarial_weight or self.feature_matching_weight):
            inputs = self.add_drawn_inputs(len(signal), batch_inputs, context)
            return self._generator_terms(inputs, call_network(self.nets["generator"], inputs), signal, context)
        inputs, made, fake = self._make(len(signal), batch_inputs, context)
        if self.reuse_samples:
            context.store("samples", fake)
            for name, value in inputs.items():
                context.store(f"samples.{name}", value)
        losses, out = self._adversarial_terms(fake, inputs, batch, context)
        context.record(fake_logits=logits_per_sample(out))
        return add_terms(losses, self._generator_terms(inputs, made, signal, context))

    def _make(self, n: int, batch_inputs: Inputs, context: Play) -> tuple[dict[str, Tensor], Tensor, Tensor]:
        """Return all inputs, the generator's output, and this output as the critic receives it."""
        inputs = self.add_drawn_inputs(n, batch_inputs, context)
        made = call_network(self.nets["generator"], inputs)
        return inputs, made, self.critic_view(self._prepare_generated(made), context)

    def _adversarial_terms(
        self, fake: Tensor, inputs: Inputs, batch: Inputs, context: Play
    ) -> tuple[dict[str, Tensor], CriticOutput]:
        """Return the terms of the generator's loss that depend on the critic, and the critic's output for generated
        samples."""
        out = self._apply_critic(fake, inputs)
        if getattr(self.loss, "relativistic", False) or self.feature_matching_weight:
            with torch.no_grad():
                real_view = self.critic_view(self._prepare_real(batch["x"]), context)
                real = self._apply_critic(real_view, self.inputs_for_real_examples(batch, inputs))
        if getattr(self.loss, "relativistic", False):
            losses = {"loss": self.adversarial_weight * sum_over_critics(self.loss.generator, out, real)}
        else:
            losses = {"loss": self.adversarial_weight * sum_over_critics(self.loss.generator, out)}
        if self.feature_matching_weight:
            losses["features"] = self.feature_matching_weight * _feature_distance(out, real)
        return losses | self._auxiliary(inputs, fake=out), out

    def _generator_terms(self, inputs: Inputs, made: Tensor, target: Tensor, context: Play) -> dict[str, Tensor]:
        """Return the terms of the generator's loss that do not depend on the critic: distances, penalties and
        `output_terms`."""
        generator = self.nets["generator"]
        penalties = due_penalties(
            self.generator_penalties, context.step, lambda penalty: penalty(generator, inputs, context.randn)
        )
        distances = {}
        if self.distances:
            output = self.representation.decode(made)
            distances = {name: distance(output, target) for name, distance in self.distances.items()}
        return add_terms(self.output_terms(made, inputs), distances, penalties)

    def output_terms(self, output: Tensor, inputs: Inputs) -> dict[str, Tensor]:
        """Return additional terms of the generator's loss. By default, there are none.

        Args:
            output: output of the generator, ``[B, *representation.shape]``.
            inputs: inputs of the generator by name.
        """
        return {}

    def inputs_for_real_examples(self, batch: Inputs, inputs: Inputs) -> dict[str, Tensor]:
        """Return the critic's inputs for the real examples of a batch.

        Args:
            batch: tensors by the name of the data column.
            inputs: inputs of the generated samples, by name. Inputs that differ for real examples, such as
                a random target class, are replaced.
        """
        values = {name: each.values_for_real_examples(batch) for name, each in self.inputs.items()}  # type: ignore[operator]
        return {**inputs, **{name: self.inputs[name].encode(x) for name, x in values.items() if x is not None}}  # type: ignore[operator]

    def _critic_losses(
        self, real: Tensor, fake: Tensor, inputs: Inputs, inputs_for_real_examples: Inputs, context: Play
    ) -> dict[str, Tensor]:
        terms, of_real, of_fake = critic_terms(
            self.loss,
            lambda x: self._apply_critic(x, inputs_for_real_examples),
            real,
            fake,
            self.penalties,
            context,
            lambda x: self._apply_critic(x, inputs),
        )
        context.record(real_logits=logits_per_sample(of_real), fake_logits=logits_per_sample(of_fake))
        auxiliary = self._auxiliary(inputs_for_real_examples, real=of_real) | self._auxiliary(inputs, fake=of_fake)
        first = {"loss": terms.pop("loss")}
        return add_terms(first | auxiliary, terms)

    def _apply_critic(self, x: Tensor, inputs: Inputs) -> CriticOutput:
        return to_critic_output(call_network(self.critic, inputs, x))

    def _auxiliary(self, inputs: Inputs, **outputs: CriticOutput) -> dict[str, Tensor]:
        """Return the weighted cross-entropy of class logits, if the critic returns any."""
        return {
            f"class_{name}": self.auxiliary_weight * nn.functional.cross_entropy(out.classes, inputs["classes"])
            for name, out in outputs.items()
            if out.classes is not None and "classes" in inputs
        }

    def _prepare_real(self, signal: Tensor) -> Tensor:
        """Return real signals in the form that `critic_view` takes: signals if the critic has a view, else encoded."""
        return signal if self._view else self.representation.encode(signal)

    def _prepare_generated(self, x: Tensor) -> Tensor:
        """Return generator output in the form that `critic_view` takes: signals if the critic has a view, else
        encoded."""
        return self.representation.decode(x) if self._view else x

    def critic_view(self, x: Tensor, context: Play) -> Tensor:
        """Return ``x`` (signals or generator output) in the form that the critic receives in training, with
        augmentation."""
        if self.augment is not None:
            x = self.augment(x, context.rand)
        return self._view(x) if self._view else x

    def after_step(self, player: str, context: Play) -> None:
        if player == "critic" and self.constraint is not None:
            self.constraint(self.nets["critic"])

    @property
    def critic(self) -> nn.Module:
        """The critic network."""
        return self.nets["critic"]

    def critic_input(self, signal: Tensor) -> Tensor:
        """Return real signals ``[B, *signal_shape]`` in the form that the critic receives, without augmentation."""
        return (self._view or self.representation.encode)(signal)

    @torch.no_grad()
    def real_logits(self, batch: Inputs) -> Tensor:
        """Return the critic's logits ``[B]`` for real examples, without augmentation.

        Args:
            batch: signals ``x``, and the columns that the critic's inputs need.
        """
        with eval_mode(self.critic):
            return logits_per_sample(self._apply_critic(*self._for_critic(batch)))

    @torch.no_grad()
    def features(self, batch: Inputs) -> Tensor:
        """Return the critic's last hidden layer ``[B, D]`` for real examples.

        As its class input, the critic receives equal weights for all classes, so that the features do not depend on the
        label of an example.

        Args:
            batch: signals ``x``, and the columns that the critic's inputs need.
        """
        with eval_mode(self.critic):
            return last_hidden_layer(self.critic, *self._for_critic(batch, neutral=True))

    def _for_critic(self, batch: Inputs, *, neutral: bool = False) -> tuple[Tensor, dict[str, Tensor]]:
        device = next(self.critic.parameters()).device
        batch, random = {name: value.to(device) for name, value in batch.items()}, Seeded(0)
        inputs = {}
        for name in input_names(self.critic):
            given: Any = self.inputs[name]
            value = given.neutral_values(len(batch["x"])) if neutral else None
            value = given.values_for_real_examples(batch) if value is None else value
            value = given.from_batch(batch, random) if value is None else value
            inputs[name] = given.encode(value.to(device))
        return self.critic_input(batch["x"]), inputs


def _feature_distance(fake: CriticOutput, real: CriticOutput) -> Tensor:
    if not fake.features or not real.features:
        raise ValueError("feature_matching_weight needs a critic that returns features (CriticOutput.features)")
    pairs = zip(fake.features, real.features, strict=True)
    return torch.stack([(a - b).abs().mean() for a, b in pairs]).mean()
