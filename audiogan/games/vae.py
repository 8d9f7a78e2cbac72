"""A variational autoencoder whose decoder is also the generator of a GAN."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from audiogan.core import Play
from audiogan.games.adversarial import Adversarial
from audiogan.representations import Representation


class VAEGAN(Adversarial):
    """The ordinary game, and a third player that teaches the generator to decode what an encoder made of real signals.

    After Larsen et al., "Autoencoding beyond pixels using a learned similarity metric", ICML 2016. Whatever the data
    holds has a latent that makes something like it, so fewer kinds of sounds are forgotten, and the adversarial game
    begins where autoencoding ends instead of at noise. The critic judges what is made from the prior alone.

    Players are called ``critic`` and ``generator``, as in `Adversarial`, and ``autoencoder``, which owns the generator
    too; give the first two an ``active`` that lets it warm up.

    Args:
        encoder: signals (and class weights) -> mean and log-variance ``[B, latent_dim]`` of their latents.
        distance: (made, real) signals -> scalar.
        kl: weight of the Kullback-Leibler divergence from the prior, the mean over latent dimensions (Kingma & Welling,
            ICLR 2014, equation 10).
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
        kl: float = 0.02,
        **options: Any,
    ) -> None:
        super().__init__(generator, critic, loss, representation, **options)
        if encoder.latent_dim != self.latent_dim:
            raise ValueError(f"the encoder makes {encoder.latent_dim} latents, the generator wants {self.latent_dim}")
        if not self._normal:
            raise ValueError("an autoencoder wants a generator whose latents are normal")
        self.nets["encoder"] = encoder
        self.distance, self.kl = distance, kl

    def losses(self, player: str, batch: dict[str, Tensor], play: Play) -> dict[str, Tensor]:
        if player != "autoencoder":
            return super().losses(player, batch, play)
        signal, condition = batch["x"], self.condition(batch.get("label"))
        mean, log_variance = self.nets["encoder"](signal, condition)
        z = mean + (0.5 * log_variance).exp() * play.randn(*mean.shape)
        made = self.representation.decode(self.nets["generator"](z, condition))
        divergence = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).mean()
        return {"distance": self.distance(made, signal), "kl": self.kl * divergence}
