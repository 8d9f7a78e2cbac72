"""The ordinary game of two: a generator against a critic (Goodfellow et al., 2014), conditional or not."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from audiogan.core import Play
from audiogan.games.sampling import Sampling, check_shape, evaluating
from audiogan.games.terms import due, joined, named
from audiogan.losses.penalties import Critic
from audiogan.representations import Representation


class Adversarial(Sampling):
    """A generator and a critic, any adversarial loss, any penalties.

    Players are called ``generator`` and ``critic``. A batch holds the signals ``x`` and, where the data has them,
    ``label`` s.

    Args:
        generator: latents ``[B, latent_dim]`` (and class weights ``[B, classes]``) -> ``[B, *representation.shape]``.
        critic: ``[B, *representation.shape]`` (and class weights) -> logits ``[B]``, or ``[B, critics]`` of several
            critics in one; or with them class logits ``[B, classes]``, which both players then want to be right
            (AC-GAN, Odena et al., 2017, section 4). A critic that has a ``view`` (signals -> tensor) gets what that
            makes of signals instead.
        loss: has ``critic(real_logits, fake_logits)`` and ``generator(fake_logits)``.
        representation: between signals and what the networks see.
        penalties: added to the critic's loss on steps where ``step % penalty.every == 0``. A mapping names them: the
            log shows each under its key. Those of a sequence are named after their classes.
        generator_penalties: the same for the generator; called with it, latents, class weights and ``play.randn``.
        auxiliary: weight of the cross-entropy of class logits.
        augment: random transformations of what the critic sees, the same kinds for real and fake (Zhao et al., 2020).
        through_signal: fakes are decoded to signals and encoded again before the critic sees them, and ``augment``
            works on signals. So the critic judges what one will hear; the representation must then be differentiable
            both ways. A critic that has a ``view`` always works like that.
        constraint: called with the critic after each of its steps (weight clipping).
        class_counts: examples of each class in the training data; how ``sample`` draws classes if none are asked for.
    """

    def __init__(
        self,
        generator: nn.Module,
        critic: nn.Module,
        loss: Any,
        representation: Representation,
        penalties: Sequence[Any] | Mapping[str, Any] | None = (),
        generator_penalties: Sequence[Any] | Mapping[str, Any] | None = (),
        auxiliary: float = 1.0,
        augment: nn.Module | None = None,
        through_signal: bool = False,
        constraint: Callable[[nn.Module], None] | None = None,
        class_counts: Sequence[int] = (),
    ) -> None:
        super().__init__(generator, representation, class_counts)
        self.nets["critic"] = critic
        self.loss, self.augment, self.auxiliary = loss, augment, auxiliary
        self.penalties = named(penalties, "penalties")
        self.generator_penalties = named(generator_penalties, "generator_penalties")
        stateful = (*self.generator_penalties.values(), *self.penalties.values())
        if odd := [penalty for penalty in stateful if not hasattr(penalty, "every")]:
            raise ValueError(f"penalties: {odd[0]!r} is no penalty; write a section with _target_")
        self.penalty_state = nn.ModuleList(p for p in stateful if isinstance(p, nn.Module))
        self.constraint = constraint
        view = getattr(critic, "view", representation.encode if through_signal else None)
        self._view: Callable[[Tensor], Tensor] | None = view
        if not hasattr(critic, "view"):
            check_shape(critic, representation)
        if self.classes != getattr(critic, "classes", 0):
            raise ValueError(f"the generator knows {self.classes} classes, the critic {getattr(critic, 'classes', 0)}")

    def losses(self, player: str, batch: dict[str, Tensor], play: Play) -> dict[str, Tensor]:
        signal = batch["x"]
        condition = self.condition(batch.get("label"), batch.get("knobs"))
        if player == "critic":
            real = self._seen(self._real(signal), play).detach()
            fake = self._seen(self._fake(len(signal), condition, play), play).detach()
            return self._critic_losses(real, fake, condition, play)
        z, made, fake = self._make(len(signal), condition, play)
        losses, logits = self._adversarial_terms(fake, condition)
        play.note(fake_logits=_one(logits))
        return joined(losses, self._generator_terms(z, made, condition, play))

    def _make(self, n: int, condition: Tensor | None, play: Play) -> tuple[Tensor, Tensor, Tensor]:
        """Latents, what the generator makes of them, and what the critic sees of that."""
        z = self._latents(n, play)
        made = self.nets["generator"](z, condition)
        return z, made, self._seen(self._decoded(made), play)

    def _adversarial_terms(self, fake: Tensor, condition: Tensor | None) -> tuple[dict[str, Tensor], Tensor]:
        """Terms of the generator's loss that a critic gives, and the critic's logits."""
        logits, class_logits = self._judge(fake, condition)
        losses = {"loss": _critics(logits) * self.loss.generator(logits)}
        return losses | self._auxiliary(condition, fake=class_logits), logits

    def _generator_terms(self, z: Tensor, made: Tensor, condition: Tensor | None, play: Play) -> dict[str, Tensor]:
        """Terms of the generator's loss that no critic gives."""
        generator = self.nets["generator"]
        penalties = due(
            self.generator_penalties, play.step, lambda penalty: penalty(generator, z, condition, play.randn)
        )
        return joined(self._made(made, condition), penalties)

    def _made(self, x: Tensor, condition: Tensor | None) -> dict[str, Tensor]:
        """More terms of the generator's loss, on what it made: for games that want more of it."""
        return {}

    def _critic_losses(self, real: Tensor, fake: Tensor, condition: Tensor | None, play: Play) -> dict[str, Tensor]:
        real_logits, real_classes = self._judge(real, condition)
        fake_logits, fake_classes = self._judge(fake, condition)
        play.note(real_logits=_one(real_logits), fake_logits=_one(fake_logits))
        losses = {"loss": _critics(real_logits) * self.loss.critic(real_logits, fake_logits)}
        losses |= self._auxiliary(condition, real=real_classes, fake=fake_classes)
        return joined(losses, self._critic_penalties(lambda x: self._judge(x, condition)[0], real, fake, play))

    def _critic_penalties(self, critic: Critic, real: Tensor, fake: Tensor, play: Play) -> dict[str, Tensor]:
        """Penalties of the critic that are due."""
        return due(self.penalties, play.step, lambda penalty: penalty(critic, real, fake, play.rand))

    def _judge(self, x: Tensor, condition: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Logits ``[B]`` or ``[B, critics]``, and class logits where the critic has them."""
        out = self.critic(x, condition[:, : self.classes] if condition is not None and self.classes else None)
        return out if isinstance(out, tuple) else (out, None)

    def _auxiliary(self, condition: Tensor | None, **class_logits: Tensor | None) -> dict[str, Tensor]:
        """Cross-entropies of class logits against the class weights."""
        return {
            f"class_{name}": self.auxiliary * nn.functional.cross_entropy(logits, condition[:, : self.classes])
            for name, logits in class_logits.items()
            if logits is not None and condition is not None and self.classes
        }

    def _real(self, signal: Tensor) -> Tensor:
        return signal if self._view else self.representation.encode(signal)

    def _latents(self, n: int, play: Play) -> Tensor:
        return play.randn(n, self.latent_dim) if self._normal else 2 * play.rand(n, self.latent_dim) - 1

    def _fake(self, n: int, condition: Tensor | None, play: Play) -> Tensor:
        return self._decoded(self.nets["generator"](self._latents(n, play), condition))

    def _decoded(self, x: Tensor) -> Tensor:
        return self.representation.decode(x) if self._view else x

    def _seen(self, x: Tensor, play: Play) -> Tensor:
        """What the critic sees of ``x``."""
        if self.augment is not None:
            x = self.augment(x, play.rand)
        return self._view(x) if self._view else x

    def moved(self, player: str, play: Play) -> None:
        if player == "critic" and self.constraint is not None:
            self.constraint(self.nets["critic"])

    @property
    def critic(self) -> nn.Module:
        """The critic that judges."""
        return self.nets["critic"]

    def critic_input(self, signal: Tensor) -> Tensor:
        """Return what the critic sees of real signals ``[B, *signal_shape]``, without augmentation."""
        return (self._view or self.representation.encode)(signal)

    @torch.no_grad()
    def score(self, batch: Mapping[str, Tensor]) -> Tensor:
        """The critic's logits ``[B]`` of real examples as they are, without augmentation."""
        device = next(self.critic.parameters()).device
        label = batch.get("label")
        with evaluating(self.critic):
            condition = self.conditions.weights(None if label is None else label.to(device))
            return _one(self._judge(self.critic_input(batch["x"].to(device)), condition)[0])


def _critics(logits: Tensor) -> int:
    """How many critics these are the logits of: losses average over them, but each is to learn as it would alone."""
    return 1 if logits.dim() == 1 else logits.shape[1]


def _one(logits: Tensor) -> Tensor:
    """One logit ``[B]`` of several critics' ``[B, critics]``: their mean."""
    return logits if logits.dim() == 1 else logits.mean(1)
