"""Semi-supervised classification with a GAN, and a callback that measures the classification accuracy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from audiogan.core import EMA, Callback, Play, Trainer
from audiogan.games.adversarial import Adversarial
from audiogan.games.calling import call_network, eval_mode
from audiogan.games.terms import add_terms, due_penalties
from audiogan.representations import Representation

Batch = Mapping[str, Tensor]


class SemiSupervised(Adversarial):
    """Game whose critic also learns to classify, from few labelled and many unlabelled examples.

    The critic returns logits ``l`` of K classes. The logit of an additional class "generated" is fixed at 0. With ``Z =
    sum(exp(l))``, the probability that an example is real is ``Z / (Z + 1)``. The adversarial loss uses the logit of
    this probability, ``log Z``. `audiogan.losses.NonSaturating` is the loss of the paper.

    The player ``critic`` draws batches from the data streams ``labelled`` and ``unlabelled``. The player ``generator``
    draws from ``unlabelled``. Labels in ``unlabelled`` are not used. The generator has no class input.

    Args:
        generator: network from latents to ``[B, *representation.shape]``.
        critic: network with the attribute ``outputs`` (the number of classes K), ``forward(x)`` for class logits
            ``[B, K]``, and ``features(x)`` for features ``[B, D]``.
        loss: adversarial loss with the methods of `audiogan.losses.NonSaturating`.
        representation: transform between signals and the tensors that networks process.
        supervised_weight: weight of the cross-entropy of labelled examples.
        unsupervised_weight: weight of the critic's adversarial loss. With 0, the critic becomes an ordinary classifier
            of labelled examples, without penalties. The authors' code uses 0.5.
        feature_matching_weight: weight of feature matching: the squared difference between the critic's mean features
            of real and of generated examples, averaged over features (section 3.1). Means are taken over a micro-batch.
        adversarial_weight: weight of the generator's adversarial loss.
        options: further arguments of `Adversarial`, except ``auxiliary_weight``.

    Source:
        Salimans et al., "Improved Techniques for Training GANs", NeurIPS 2016, section 5; Odena, "Semi-Supervised
        Learning with Generative Adversarial Networks", 2016.
    """

    def __init__(
        self,
        generator: nn.Module,
        critic: nn.Module,
        loss: Any,
        representation: Representation,
        *,
        supervised_weight: float = 1.0,
        unsupervised_weight: float = 0.5,
        feature_matching_weight: float = 1.0,
        adversarial_weight: float = 0.0,
        **options: Any,
    ) -> None:
        if getattr(generator, "classes", 0):
            raise ValueError(f"SemiSupervised needs a generator without classes, not with {generator.classes}")
        if "auxiliary_weight" in options:
            raise ValueError(
                "SemiSupervised has no auxiliary_weight; set supervised_weight, the weight of labelled examples"
            )
        super().__init__(generator, critic, loss, representation, **options)
        if not feature_matching_weight and not adversarial_weight:
            raise ValueError(
                "the generator has no loss: set feature_matching_weight or adversarial_weight to more than 0"
            )
        self.supervised_weight, self.unsupervised_weight = supervised_weight, unsupervised_weight
        self.feature_matching_weight, self.adversarial_weight = feature_matching_weight, adversarial_weight
        self.outputs: int = critic.outputs  # type: ignore[assignment]

    def losses(self, player: str, batch: dict[str, Any], context: Play) -> dict[str, Tensor]:
        if player == "critic":
            return self._critic_terms(batch["labelled"], batch["unlabelled"], context)
        critic = self.nets["critic"]
        signal = batch["x"]
        inputs, made, fake = self._make(len(signal), self.inputs_from_batch(batch, context), context)
        terms = {}
        if self.feature_matching_weight:
            with torch.no_grad():
                real = critic.features(self.critic_view(self._prepare_real(signal), context)).mean(0)  # type: ignore[operator]
            mean = critic.features(fake).mean(0)  # type: ignore[operator]
            terms["features"] = self.feature_matching_weight * (mean - real).square().mean()
        if self.adversarial_weight:
            logits = real_example_logits(critic(fake))
            context.record(fake_logits=logits)
            terms["loss"] = self.adversarial_weight * self.loss.generator(logits)
        return add_terms(terms, self._generator_terms(inputs, made, signal, context))

    def _critic_terms(self, labelled: Batch, unlabelled: Batch, context: Play) -> dict[str, Tensor]:
        def critic(x: Tensor) -> Tensor:
            return real_example_logits(self.nets["critic"](x))

        class_logits = self.nets["critic"](self.critic_view(self._prepare_real(labelled["x"]), context))
        context.record(labelled_accuracy=(class_logits.argmax(1) == labelled["label"]).float())
        terms = {"labels": self.supervised_weight * F.cross_entropy(class_logits, labelled["label"])}
        if not self.unsupervised_weight:
            return terms
        signal = unlabelled["x"]
        real = self.critic_view(self._prepare_real(signal), context).detach()
        inputs = self.add_drawn_inputs(len(real), self.inputs_from_batch(unlabelled, context), context)
        fake = self.critic_view(self._prepare_generated(call_network(self.nets["generator"], inputs)), context).detach()
        real_logits, fake_logits = critic(real), critic(fake)
        context.record(real_logits=real_logits, fake_logits=fake_logits)
        terms["loss"] = self.unsupervised_weight * self.loss.critic(real_logits, fake_logits)
        return add_terms(
            terms,
            due_penalties(self.penalties, context.step, lambda penalty: penalty(critic, real, fake, context.rand)),
        )

    @torch.no_grad()
    def classify(self, x: Tensor, *, nets: Mapping[str, nn.Module] | None = None) -> Tensor:
        """Return class logits ``[B, K]``, with the critic in evaluation mode and without augmentation.

        Args:
            x: signals ``[B, *signal_shape]``.
            nets: networks by name, such as averaged networks. They replace the game's networks with the same names.
        """
        critic = nets["critic"] if nets is not None and "critic" in nets else self.nets["critic"]
        device = next(critic.parameters()).device
        with eval_mode(critic):
            return critic(self.critic_input(x.to(device)))

    def real_logits(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Return the logits ``[B]`` of the probability that the examples ``x`` of a batch are real."""
        return real_example_logits(self.classify(batch["x"]))


def real_example_logits(class_logits: Tensor) -> Tensor:
    """Return the logits ``[B]`` of the probability of being real: ``log(sum(exp(class_logits)))`` for logits ``[B,
    K]``."""
    return torch.logsumexp(class_logits.float(), 1)


class Accuracy(Callback):
    """Callback that measures the accuracy of the critic's classification on held-out examples, 0 to 1.

    It is logged as ``held_out/accuracy``. If the critic's weights are averaged, ``held_out/accuracy_ema`` is the
    accuracy of the averaged critic.

    Args:
        held_out: labelled data that is not used for training.
        log: log with a method ``append_row(trainer, row)``, such as `audiogan.run.callbacks.MetricsLog`. ``None``
            disables logging.
        every: number of steps between two measurements.

    Attributes:
        last: accuracies of the last measurement, by their name in the log, 0 to 1.
    """

    def __init__(self, held_out: Any, log: Any = None, every: int = 500) -> None:
        if every < 1:
            raise ValueError(f"Accuracy every={every} must be at least 1")
        self.held_out, self.log, self.every = held_out, log, every
        self.last: dict[str, float] = {}

    def on_start(self, trainer: Trainer) -> None:
        if not hasattr(trainer.game, "classify"):
            name = type(trainer.game).__name__
            raise ValueError(f"Accuracy needs a game with a method `classify`, such as SemiSupervised, not {name}")

    def on_step(self, trainer: Trainer) -> None:
        if trainer.step % self.every == 0:
            self.measure_accuracy(trainer)

    def on_end(self, trainer: Trainer) -> None:
        if trainer.step % self.every:
            self.measure_accuracy(trainer)

    def measure_accuracy(self, trainer: Trainer) -> None:
        """Measure the accuracy and add it to the log."""
        if not len(self.held_out) or not self.held_out.labels or not trainer.engine.is_main_process:
            return
        averages = [c.nets for c in trainer.callbacks.values() if isinstance(c, EMA) and "critic" in c.nets]
        self.last = {"held_out/accuracy": self._accuracy(trainer.game, None)}
        if averages:
            self.last["held_out/accuracy_ema"] = self._accuracy(trainer.game, averages[0])
        if self.log is not None:
            self.log.append_row(trainer, {"step": trainer.step, **self.last})

    def _accuracy(self, game: Any, nets: Any) -> float:
        right = 0
        for indices in np.array_split(np.arange(len(self.held_out)), -(-len(self.held_out) // 250)):
            guess = game.classify(self.held_out.signals(indices), nets=nets).argmax(1).cpu().numpy()
            right += int((guess == self.held_out.targets[indices]).sum())
        return right / len(self.held_out)
