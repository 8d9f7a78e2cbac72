"""The game of StarGAN-VC2 (Kaneko et al., Interspeech 2019): voice conversion between many speakers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from audiogan.core import Play
from audiogan.games.calling import eval_mode
from audiogan.games.critics import critic_terms, logits_per_sample, sum_over_critics, to_critic_output
from audiogan.games.features import last_hidden_layer
from audiogan.games.generative import Generative
from audiogan.games.terms import name_terms
from audiogan.inputs import Input
from audiogan.networks.base import CriticOutput
from audiogan.representations import Representation

INVERSE_TEMPERATURE = 10.0
"""Factor on cosines between codes of speakers before the softmax of the speaker classification."""


class VoiceConversion(Generative):
    """Game of a generator that converts recordings between many speakers, and a critic of spectrograms.

    The players are called ``generator`` and ``critic``. A batch has recordings in the column ``x`` and speakers in the
    column ``label``. The target speaker of an example is the speaker of another example of the batch. With
    probability 0.5, the generator receives the class of the target, otherwise the recording of the other example. The
    terms of the generator's loss are:

    * ``loss``: adversarial loss. The critic receives the classes of source and target (section 3.1 of the paper).
    * ``cycle``: distance between a spectrogram and the result of its conversion to the target and back.
    * ``identity``: distance between a spectrogram and its conversion to its own speaker.
    * ``spectrum``: mean squared error of the mean spectrum of a speaker, which the generator predicts from the code.
    * ``speaker``: cross-entropy of the speaker that the encoder recognises in recordings, and in converted
      spectrograms. The second part does not train the encoder. StarGAN-VC (Kameoka et al., SLT 2018, section 3.2)
      has such a term; StarGAN-VC2 has none.

    Args:
        generator: network like `audiogan.networks.stargan_vc.StarGANVC`.
        critic: network from spectrograms ``[B, 1, n_mels, frames]`` and ``classes`` to logits. Its number of classes is
            twice the number of speakers: one-hot vectors of source and target are concatenated.
        loss: adversarial loss with the methods of `audiogan.losses.LeastSquares`.
        representation: representation of sounds as spectrograms, such as `audiogan.representations.VocodedMel`.
        inputs: inputs of the generator by name: ``source``, ``classes`` and ``speaker``.
        penalties: terms of the critic's loss. A term is added on steps that are multiples of its ``every``.
        adversarial_weight: weight of ``loss``, 0 or more.
        cycle_weight: weight of ``cycle``, 0 or more. The paper has 10.
        identity_weight: weight of ``identity``, 0 or more. The paper has 5.
        speaker_weight: weight of the cross-entropy for converted spectrograms, 0 or more. For recordings, it is 1.

    Raises:
        ValueError: the network, the source and the representation have different mel spectrograms.
    """

    def __init__(
        self,
        generator: nn.Module,
        critic: nn.Module,
        loss: Any,
        representation: Representation,
        inputs: Mapping[str, Input] | None = None,
        *,
        penalties: Sequence[Any] | Mapping[str, Any] | None = (),
        adversarial_weight: float = 1.0,
        cycle_weight: float = 10.0,
        identity_weight: float = 5.0,
        speaker_weight: float = 0.5,
    ) -> None:
        super().__init__(generator, representation, inputs)
        self.nets["critic"] = critic
        parts: tuple[Any, ...] = (generator, representation, *self.inputs.values())
        settings = [part.mel.settings for part in parts if hasattr(part, "mel")]
        if any(each != settings[0] for each in settings):
            raise ValueError("the network, its inputs and the representation need the same mel spectrogram")
        self.loss, self.penalties = loss, name_terms(penalties, "penalties")
        self.penalty_state = nn.ModuleList(term for term in self.penalties.values() if isinstance(term, nn.Module))
        self.adversarial_weight, self.speaker_weight = adversarial_weight, speaker_weight
        self.cycle_weight, self.identity_weight = cycle_weight, identity_weight

    def losses(self, player: str, batch: dict[str, Tensor], context: Play) -> dict[str, Tensor]:
        if player == "critic" and context.has_stored("fake"):
            mel, own, fake, other = (context.get_stored(name) for name in ("mel", "own", "fake", "other"))
        else:
            given = self.inputs_from_batch(batch, context)
            source, own = given["source"], given["classes"]
            mel = source[:, : self.representation.shape[0]]
            shift = 1 + int(context.rand(len(mel))[0] * (len(mel) - 1))
            other = own.roll(shift, 0)
            if player == "generator":
                return self._generator_losses(source, mel, own, other, shift, context)
            fake = self._convert(source, mel, own, shift, context)[0].detach()
        terms, of_real, of_fake = critic_terms(
            self.loss,
            partial(self.apply_critic, source=other, target=own),
            mel,
            fake,
            self.penalties,
            context,
            partial(self.apply_critic, source=own, target=other),
        )
        context.record(real_logits=logits_per_sample(of_real), fake_logits=logits_per_sample(of_fake))
        return terms

    def _convert(
        self, source: Tensor, mel: Tensor, own: Tensor, shift: int, context: Play
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return converted spectrograms, codes of the recordings, and the code and the median pitch of each speaker.

        The last two come from the class with probability 0.5, otherwise from the recording.
        """
        net: Any = self.nets["generator"]
        by_class = context.rand(len(mel)) < 0.5
        codes = net.encoder(mel)
        known = torch.where(by_class[:, None], net.codes(own), codes)
        levels = torch.where(by_class, net.median_pitch(own), source[:, -1, 0])
        fake = net.convert(source, levels.roll(shift, 0), codes, known.roll(shift, 0))
        return fake, codes, known, levels

    def _generator_losses(
        self, source: Tensor, mel: Tensor, own: Tensor, other: Tensor, shift: int, context: Play
    ) -> dict[str, Tensor]:
        net: Any = self.nets["generator"]
        net.add_statistics(own, source)
        fake, codes, known, _ = self._convert(source, mel, own, shift, context)
        losses = {}
        if "critic" not in context.paused and self.adversarial_weight:
            for name, value in (("mel", mel), ("own", own), ("fake", fake), ("other", other)):
                context.store(name, value)
            out = self.apply_critic(fake, source=own, target=other)
            context.record(fake_logits=logits_per_sample(out))
            losses["loss"] = self.adversarial_weight * sum_over_critics(self.loss.generator, out)
        frozen = {name: weight.detach() for name, weight in net.encoder.named_parameters()}
        of_fake = functional_call(net.encoder, frozen, (fake,))
        converted = torch.cat([fake, source[:, mel.shape[1] :]], dim=1)
        level = source[:, -1, 0]
        restored = net.convert(converted, level, of_fake, net.codes(own))
        same = net.convert(source, level, codes, known)
        losses["cycle"] = self.cycle_weight * (restored - mel).abs().mean()
        losses["identity"] = self.identity_weight * (same - mel).abs().mean()
        losses["speaker"] = self._speaker_loss(codes, own) + self.speaker_weight * self._speaker_loss(of_fake, other)
        means = net.mean_spectra(own)
        losses["spectrum"] = sum((net.spectrum(code) - means).square().mean() for code in (codes, net.codes(own)))
        return losses

    def _speaker_loss(self, codes: Tensor, classes: Tensor) -> Tensor:
        net: Any = self.nets["generator"]
        return F.cross_entropy(INVERSE_TEMPERATURE * codes @ F.normalize(net.speakers, dim=1).T, classes)

    def apply_critic(self, mel: Tensor, source: Tensor, target: Tensor) -> CriticOutput:
        """Return the critic's output for spectrograms.

        Args:
            mel: spectrograms ``[B, n_mels, frames]``.
            source: one-hot source speakers, ``[B, classes]``. For real recordings, other speakers of the batch.
            target: one-hot speakers that the spectrograms should sound like, ``[B, classes]``.
        """
        return to_critic_output(self.critic(mel[:, None], classes=torch.cat([source, target], dim=1)))

    @property
    def critic(self) -> nn.Module:
        """The critic network."""
        return self.nets["critic"]

    def critic_input(self, signal: Tensor) -> Tensor:
        """Return spectrograms ``[B, 1, n_mels, frames]`` of real sounds ``[B, 1, T]``, which the critic receives."""
        return self.representation.encode(signal)[:, None]

    @torch.no_grad()
    def real_logits(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Return the critic's logits ``[B]`` for real examples.

        Args:
            batch: sounds ``x`` and speakers ``label``.
        """
        device = next(self.critic.parameters()).device
        classes: Any = self.inputs["classes"]
        target = classes.from_batch({"label": batch["label"].to(device)}, None)
        with eval_mode(self.critic):
            mel = self.representation.encode(batch["x"].to(device))
            return logits_per_sample(self.apply_critic(mel, target.roll(1, 0), target))

    @torch.no_grad()
    def features(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Return the last hidden layer ``[B, D]`` of the critic for real examples ``x``."""
        device = next(self.critic.parameters()).device
        with eval_mode(self.critic):
            return last_hidden_layer(self.critic, self.critic_input(batch["x"].to(device)), {})
