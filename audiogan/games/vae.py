"""A game that combines a GAN with a variational autoencoder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from audiogan.core import Play
from audiogan.games.adversarial import Adversarial
from audiogan.games.calling import call_network, check_input_names
from audiogan.games.terms import add_terms, name_terms
from audiogan.inputs import MAX_NORMAL_SCORE, Knobs, Latent
from audiogan.representations import Representation


class VAEGAN(Adversarial):
    """Game of a generator that is also the decoder of a variational autoencoder.

    An encoder maps each training example to a latent, and the generator reconstructs the example from this latent.
    Samples therefore cover more modes of the data than the samples of a plain GAN. With the setting ``active`` of the
    players, the autoencoder can be trained first, so that adversarial training starts from a trained decoder. The
    critic receives only samples from the prior. While the generator is frozen (see `FineTuning`), the player
    ``generator`` trains only the encoder, on the reconstruction loss.

    The players are ``generator``, ``critic`` and ``autoencoder``. ``autoencoder`` minimises only the reconstruction
    loss. It trains the same networks as ``generator``: the generator and the encoder. The optional player ``listener``
    trains an auxiliary network of the same name, which estimates class and knobs of real signals. The generator then
    also minimises the errors of the estimates for its samples: their differences from the requested class and knobs.
    Knobs are normal scores: measured properties of sounds, mapped to a standard normal distribution by their rank in
    the training data.

    Args:
        generator: network from named inputs, including a normal `Latent`, to ``[B, *representation.shape]``.
        critic: network from ``[B, *representation.shape]`` to logits.
        encoder: network from signals and named inputs to mean and log-variance ``[B, latent_dim]`` of the latents.
        loss: adversarial loss with the methods of `audiogan.losses.NonSaturating`.
        representation: transform between signals and the tensors that networks process.
        distance: reconstruction loss: function from reconstructed and real signals to a scalar.
        share: fraction of the generator's batch that is also reconstructed, 0 to 1.
        kl_weight: factor on the Kullback-Leibler divergence from the prior, averaged over latent dimensions (Kingma &
            Welling, ICLR 2014, equation 10).
        listener: auxiliary classifier and knob regressor: network from signals to class logits ``[B, classes]`` and
            knobs ``[B, knobs]``. ``None`` disables it.
        class_weight: factor on the classifier's cross-entropy in the generator's loss.
        knob_weight: factor on the regressor's squared error of knobs, and on ``knob_losses``, in the generator's loss.
        knob_noise_std: standard deviation of noise that is added to requested knobs in training, in normal scores. The
            noise weakens the dependence of knobs on each other and on the class.
        sampling_knob_std: standard deviation, in normal scores, of noise that is added to knobs without a requested
            value when samples are drawn. ``None`` selects ``knob_noise_std``.
        knob_losses: losses for knobs with a differentiable definition, such as `audiogan.losses.Attack`. Losses whose
            attribute ``index`` is ``None`` are ignored, because the data lacks their knob.
        auxiliary_targets: losses for the additional predictions of the generator's method ``forward_with_aux``, such as
            `audiogan.losses.Pitch`.
        options: further arguments of `Adversarial`.

    Source:
        Larsen et al., "Autoencoding beyond pixels using a learned similarity metric", ICML 2016.
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
        kl_weight: float = 0.02,
        listener: nn.Module | None = None,
        class_weight: float = 0.1,
        knob_weight: float = 0.5,
        knob_noise_std: float = 0.5,
        sampling_knob_std: float | None = None,
        knob_losses: Sequence[Any] | Mapping[str, Any] | None = None,
        auxiliary_targets: Sequence[Any] | Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(generator, critic, loss, representation, **options)
        latent = dict(self.inputs.items()).get("latent")
        if not isinstance(latent, Latent) or not latent.is_normal:
            raise ValueError("VAEGAN needs a generator with an input 'latent' of distribution normal")
        if encoder.latent_dim != latent.shape[0]:
            raise ValueError(f"the encoder has latent_dim={encoder.latent_dim}, and the generator {latent.shape[0]}")
        check_input_names(encoder, self.inputs)
        self.nets["encoder"] = encoder
        if not 0 <= share <= 1:
            raise ValueError(f"share={share} must be from 0 to 1")
        self.distance, self.share, self.kl_weight = distance, share, kl_weight
        if listener is not None:
            self.nets["listener"] = listener
        self.class_weight, self.knob_weight, self.knob_noise_std = class_weight, knob_weight, knob_noise_std
        self._masked_column: str | None = None
        if isinstance(knobs := dict(self.inputs.items()).get("knobs"), Knobs):
            self._masked_column = knobs.column if knobs.missing == "mask" else None
            knobs.spread.fill_(knob_noise_std if sampling_knob_std is None else sampling_knob_std)
        losses = name_terms(knob_losses, "knob_losses", lambda term: term.knob)
        self.knob_losses = {name: term for name, term in losses.items() if term.index is not None}
        self.auxiliary_targets = name_terms(auxiliary_targets, "auxiliary_targets", lambda target: target.name)
        self.terms = nn.ModuleList([*self.knob_losses.values(), *self.auxiliary_targets.values()])

    def losses(self, player: str, batch: dict[str, Tensor], context: Play) -> dict[str, Tensor]:
        given = self.inputs_from_batch(batch, context)
        if player == "autoencoder" or (player == "generator" and "generator" in context.frozen):
            return self._autoencoder_terms(batch, given, context)
        if player == "listener":
            signal = batch["x"] if self.augment is None else self.augment(batch["x"], context.rand)
            # Knobs without a measured value are NaN in this column.
            known = batch[self._masked_column].isfinite() if self._masked_column else None
            return self._classifier_terms(signal, given, 1.0, 1.0, known)
        requested = given
        if "knobs" in given and self.knob_noise_std:
            noise = self.knob_noise_std * context.randn(*given["knobs"].shape)
            requested = {**given, "knobs": (given["knobs"] + noise).clamp(-MAX_NORMAL_SCORE, MAX_NORMAL_SCORE)}
        losses = self.player_losses(player, batch, requested, context)
        n = round(self.share * len(batch["x"]))
        if player == "generator" and n:
            first, some = ({name: value[:n] for name, value in part.items()} for part in (batch, given))
            losses = add_terms(losses, self._autoencoder_terms(first, some, context))
        return losses

    def output_terms(self, output: Tensor, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        if "listener" not in self.nets:
            return {}
        signal = self.representation.decode(output)
        terms = self._classifier_terms(signal, inputs, self.class_weight, self.knob_weight)
        knobs = {name: self.knob_weight * term(signal, inputs["knobs"]) for name, term in self.knob_losses.items()}
        return add_terms(terms, knobs)

    def _classifier_terms(
        self,
        signal: Tensor,
        inputs: Mapping[str, Tensor],
        classes: float,
        knobs: float,
        known: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Return the weighted errors of the estimates of `listener`, relative to the given classes and knobs.

        Knobs are left out of the loss where ``known`` ``[B, knobs]`` is false.
        """
        logits, estimates = self.nets["listener"](signal)
        if "classes" not in inputs and "knobs" not in inputs:
            return {"idle": 0.0 * signal.sum()}
        terms = {}
        if logits.shape[1]:
            terms["class"] = classes * F.cross_entropy(logits, inputs["classes"])
        if estimates.shape[1] and known is not None:
            errors = (estimates - inputs["knobs"]).square() * known
            terms["knobs"] = knobs * errors.sum() / known.sum().clamp_min(1)
        elif estimates.shape[1]:
            terms["knobs"] = knobs * F.mse_loss(estimates, inputs["knobs"])
        return terms

    def _autoencoder_terms(
        self, batch: Mapping[str, Tensor], given: Mapping[str, Tensor], context: Play
    ) -> dict[str, Tensor]:
        signal = batch["x"]
        mean, log_variance = call_network(self.nets["encoder"], given, signal)
        z = mean + (0.5 * log_variance).exp() * context.randn(*mean.shape)
        terms = {"kl": self.kl_weight * 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).mean()}
        generator: Any = self.nets["generator"]
        inputs = {**given, "latent": z}
        made, predicted = (
            call_network(generator.forward_with_aux, inputs, names=generator.takes)
            if hasattr(generator, "forward_with_aux")
            else (call_network(generator, inputs), {})
        )
        distances = {
            name: target(predicted[target.name], batch)
            for name, target in self.auxiliary_targets.items()
            if target.name in predicted
        }
        distances = {name: distance for name, distance in distances.items() if distance is not None}
        return add_terms({"distance": self.distance(self.representation.decode(made), signal)}, terms, distances)
