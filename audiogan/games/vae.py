"""A variational autoencoder whose decoder is also the generator of a GAN."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from audiogan.core import Play
from audiogan.games.adversarial import Adversarial
from audiogan.games.calling import call, check_takes
from audiogan.games.terms import joined, named
from audiogan.inputs import LIMIT, Knobs, Latent
from audiogan.representations import Representation


class VAEGAN(Adversarial):
    """The ordinary game, and a third player that teaches the generator to decode what an encoder made of real signals.

    After Larsen et al., "Autoencoding beyond pixels using a learned similarity metric", ICML 2016. Whatever the data
    holds has a latent that makes something like it, so fewer kinds of sounds are forgotten, and the adversarial game
    begins where autoencoding ends instead of at noise. The critic judges what is made from the prior alone.

    Players are called ``critic`` and ``generator``, as in `Adversarial`; the generator's owns the encoder too, for it
    wants to decode what that makes of real signals. A third, ``autoencoder``, of the same networks, wants nothing else:
    let it play before the others, by ``active``. With a listener there is a fourth, ``listener``: it learns to hear
    class and knobs of real signals, and the generator wants it to hear what was asked for.

    Args:
        encoder: signals (and their condition) -> mean and log-variance ``[B, latent_dim]`` of their latents.
        distance: (made, real) signals -> scalar.
        share: of the generator's batch that it decodes.
        kl: weight of the Kullback-Leibler divergence from the prior, the mean over latent dimensions (Kingma & Welling,
            ICLR 2014, equation 10).
        listener: signals -> class logits ``[B, classes]`` and knobs ``[B, knobs]``; ``None`` for none.
        class_weight, knob_weight: of what the listener hears, for the generator: cross-entropy and mean squared error.
        measured: for knobs whose definition has a gradient: modules (signals -> normal scores ``[B]``) that the
            generator learns from beside the listener; ``knob`` and ``index`` say which it is, no index leaves it out.
        told: for generators that say something of their sounds (``speak``): modules (what is said under their ``name``,
            batch) -> how far that is from what real signals measure, or ``None``; see `audiogan.losses.told`.
        jitter: standard deviation of what is added to the knobs asked for, so that they are learned apart from each
            other and from the class.
        spread: the same afterwards, for knobs that nobody asks for; ``None``: as in training.
        generator, critic, loss, representation, options: as in `Adversarial`.
    """

    def __init__(
        self,
        generator: nn.Module,
        critic: nn.Module,
        encoder: nn.Module,
        loss: Any,
        representation: Representation,
        distance: nn.Module,
        share: float = 0.5,
        kl: float = 0.02,
        listener: nn.Module | None = None,
        class_weight: float = 0.1,
        knob_weight: float = 0.5,
        jitter: float = 0.5,
        spread: float | None = None,
        measured: Sequence[Any] | Mapping[str, Any] | None = None,
        told: Sequence[Any] | Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(generator, critic, loss, representation, **options)
        latent = dict(self.inputs.items()).get("latent")
        if not isinstance(latent, Latent) or not latent.normal:
            raise ValueError("an autoencoder needs a generator with the input latent, which is normal")
        if encoder.latent_dim != latent.shape[0]:
            raise ValueError(f"the encoder makes {encoder.latent_dim} latents, the generator wants {latent.shape[0]}")
        check_takes(encoder, self.inputs)
        self.nets["encoder"] = encoder
        if not 0 <= share <= 1:
            raise ValueError(f"share={share} must be from 0 to 1")
        self.distance, self.share, self.kl = distance, share, kl
        if listener is not None:
            self.nets["listener"] = listener
        self.class_weight, self.knob_weight, self.jitter = class_weight, knob_weight, jitter
        if isinstance(knobs := dict(self.inputs.items()).get("knobs"), Knobs):
            knobs.spread.fill_(jitter if spread is None else spread)
        rulers = named(measured, "measured", lambda ruler: ruler.knob)
        self.measured = {name: ruler for name, ruler in rulers.items() if ruler.index is not None}
        self.teachers = named(told, "told", lambda teacher: teacher.name)
        self.rulers = nn.ModuleList([*self.measured.values(), *self.teachers.values()])

    def losses(self, player: str, batch: dict[str, Tensor], play: Play) -> dict[str, Tensor]:
        given = self.given(batch, play)
        if player == "autoencoder":
            return self._autoencoder(batch, given, play)
        if player == "listener":
            signal = batch["x"] if self.augment is None else self.augment(batch["x"], play.rand)
            return self._classifier_terms(signal, given, 1.0, 1.0)
        requested = given
        if "knobs" in given and self.jitter:
            noise = self.jitter * play.randn(*given["knobs"].shape)
            requested = {**given, "knobs": (given["knobs"] + noise).clamp(-LIMIT, LIMIT)}
        losses = self.player_losses(player, batch, requested, play)
        n = round(self.share * len(batch["x"]))
        if player == "generator" and n:
            first, some = ({name: value[:n] for name, value in part.items()} for part in (batch, given))
            losses = joined(losses, self._autoencoder(first, some, play))
        return losses

    def output_terms(self, made: Tensor, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        if "listener" not in self.nets:
            return {}
        signal = self.representation.decode(made)
        terms = self._classifier_terms(signal, inputs, self.class_weight, self.knob_weight)
        measured = {
            name: self.knob_weight * F.smooth_l1_loss(ruler(signal), inputs["knobs"][:, ruler.index])
            for name, ruler in self.measured.items()
        }
        return joined(terms, measured)

    def _classifier_terms(
        self, signal: Tensor, inputs: Mapping[str, Tensor], classes: float, knobs: float
    ) -> dict[str, Tensor]:
        """Return the errors of the listener, given the classes and knobs of the signals."""
        logits, estimates = self.nets["listener"](signal)
        if "classes" not in inputs and "knobs" not in inputs:
            return {"idle": 0.0 * signal.sum()}
        terms = {}
        if logits.shape[1]:
            terms["class"] = classes * F.cross_entropy(logits, inputs["classes"])
        if estimates.shape[1]:
            terms["knobs"] = knobs * F.mse_loss(estimates, inputs["knobs"])
        return terms

    def _autoencoder(self, batch: Mapping[str, Tensor], given: Mapping[str, Tensor], play: Play) -> dict[str, Tensor]:
        signal = batch["x"]
        mean, log_variance = call(self.nets["encoder"], given, signal)
        z = mean + (0.5 * log_variance).exp() * play.randn(*mean.shape)
        terms = {"kl": self.kl * 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).mean()}
        generator: Any = self.nets["generator"]
        inputs = {**given, "latent": z}
        made, estimates = (
            call(generator.speak, inputs, names=generator.takes)
            if hasattr(generator, "speak")
            else (call(generator, inputs), {})
        )
        taught = {}
        for name, teacher in self.teachers.items():
            distance = teacher(estimates[teacher.name], batch) if teacher.name in estimates else None
            if distance is not None:
                taught[name] = distance
        return joined({"distance": self.distance(self.representation.decode(made), signal)}, terms, taught)
