"""The adversarial game of text to speech with a learned alignment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from audiogan.core import Play
from audiogan.games.adversarial import Adversarial
from audiogan.games.critics import logits_per_sample
from audiogan.losses.alignment import binarisation, forward_sum


class TextToSpeech(Adversarial):
    """Adversarial game for text to speech. The generator predicts spectrograms and aligns texts with recordings.

    The loss of the generator has these terms besides the adversarial one: the mean absolute difference between
    generated and real log-mel spectrograms, the losses of the alignment (`audiogan.losses.alignment`), and the errors
    of predicted durations, pitch and voicing. The critic judges a random window of each spectrogram.

    Args:
        generator: network with the method ``forward_teacher_forced`` of `audiogan.networks.fastspeech.FastSpeech`.
        mel_weight: factor on the mean absolute difference of log-mel spectrograms, 0 or more.
        duration_weight: factor on the mean squared error of predicted durations, ``log(1 + frames)``, 0 or more.
        pitch_weight: factor on the error of the pitch in octaves and on the cross-entropy of voicing, 0 or more.
        alignment_weight: factor on the negative log-likelihood of the alignment per symbol, 0 or more.
        binarisation_weight: factor on the negative log-probability of the best path per frame, 0 or more.
        binarisation_start: step at which the binarisation loss starts, 0 or more.
        window: number of frames of each spectrogram that the critic judges, 1 or more.
        options: other arguments of `Adversarial`. The critic needs the methods ``view`` and ``normalise_mel`` of
            `audiogan.networks.mel_critic.MelPatchCritic`.

    Raises:
        ValueError: the generator or the critic lacks a method, or a weight is negative.

    Examples:
        >>> from audiogan.games import TextToSpeech
        >>> from audiogan.inputs import Number, SpokenText
        >>> from audiogan.losses import LeastSquares
        >>> from audiogan.networks.fastspeech import FastSpeech
        >>> from audiogan.networks.mel_critic import MelPatchCritic
        >>> from audiogan.representations import VocodedMel
        >>> mel, inputs = {"sample_rate": 16000}, {"text": SpokenText(languages=["en"])}
        >>> inputs |= {"speed": Number("speed", 0.5, 2, 1), "pitch": Number("pitch", -12, 12, 0)}
        >>> generator = FastSpeech((80, 64), 64, ["en"], width=8, text_layers=1, layers=1)
        >>> parts = {"critic": MelPatchCritic(mel, width=2), "loss": LeastSquares(), "inputs": inputs}
        >>> TextToSpeech(generator, representation=VocodedMel((1, 16384), mel), **parts).window
        64
    """

    def __init__(
        self,
        generator: Any,
        critic: Any,
        *,
        mel_weight: float = 1.0,
        duration_weight: float = 0.3,
        pitch_weight: float = 0.3,
        alignment_weight: float = 0.3,
        binarisation_weight: float = 0.1,
        binarisation_start: int = 1000,
        window: int = 64,
        **options: Any,
    ) -> None:
        super().__init__(generator, critic, **options)
        weights = (mel_weight, duration_weight, pitch_weight, alignment_weight, binarisation_weight)
        if min(weights) < 0 or window < 1:
            raise ValueError(f"TextToSpeech: weights {weights} must not be negative, and window={window} 1 or more")
        if not hasattr(generator, "forward_teacher_forced") or not hasattr(critic, "normalise_mel"):
            raise ValueError("TextToSpeech needs a generator such as FastSpeech, and a critic such as MelPatchCritic")
        self.mel_weight, self.duration_weight, self.pitch_weight, self.alignment_weight, self.binarisation_weight = map(
            float, weights
        )
        self.binarisation_start, self.window = binarisation_start, window

    def player_losses(
        self, player: str, batch: Mapping[str, Tensor], batch_inputs: Mapping[str, Tensor], context: Play
    ) -> dict[str, Tensor]:
        if player == "critic":
            if not context.has_stored("windows"):
                with torch.no_grad():
                    self._generate_windows(batch, batch_inputs, context)
            return self._critic_losses(context.get_stored("recordings"), context.get_stored("windows"), {}, {}, context)
        generated, windows, recordings = self._generate_windows(batch, batch_inputs, context)
        losses = self._supervised_losses(generated, context)
        if "critic" in context.paused or not (self.adversarial_weight or self.feature_matching_weight):
            return losses
        terms, out = self._adversarial_terms(windows, {}, {"x": recordings}, context)
        context.record(fake_logits=logits_per_sample(out))
        return {**terms, **losses}

    def _generate_windows(
        self, batch: Mapping[str, Tensor], batch_inputs: Mapping[str, Tensor], context: Play
    ) -> tuple[Any, Tensor, Tensor]:
        """Return the teacher-forced result of the generator, and windows of generated and of real spectrograms."""
        generator: Any = self.nets["generator"]
        mel_settings: Any = self.representation.mel
        hop, samples = mel_settings.hop_length, batch["samples"][:, 0].long()
        frames = (samples + hop - 1) // hop
        longest = int(frames.max())
        with torch.no_grad():
            mel = self.representation.encode(batch["x"][..., : longest * hop])
        # The column `pitch` has values at the edges of frames. A frame has the mean of both edges, or the voiced one.
        first, second = batch["pitch"][:, :longest], batch["pitch"][:, 1 : longest + 1]
        hertz = torch.where((first > 0) & (second > 0), (first + second) / 2, torch.maximum(first, second))
        generated = generator.forward_teacher_forced(
            batch_inputs["text"], batch_inputs.get("classes"), mel, frames, hertz
        )
        ends = frames.cumsum(0)
        start = (ends - frames) + (context.rand(len(frames)).to(hertz) * (frames - self.window + 1).clamp_min(1)).long()
        places = start[:, None] + torch.arange(self.window, device=frames.device)
        inside = places < ends[:, None]
        places = places.clamp_max(len(generated.mel) - 1)
        cut = [
            torch.where(inside[..., None], x[places], x.new_tensor(float(mel_settings.clamp)).log()).transpose(1, 2)
            for x in (generated.mel, generated.target)
        ]
        windows, recordings = (self.critic.normalise_mel(x) for x in cut)  # type: ignore[operator]
        context.store("windows", windows)
        context.store("recordings", recordings)
        return generated, windows, recordings

    def _supervised_losses(self, generated: Any, context: Play) -> dict[str, Tensor]:
        """Return the terms of the generator's loss that do not depend on the critic."""
        (logs, real_logs), (octaves, real_octaves) = generated.log_durations, generated.pitch
        voicing, voiced = generated.voicing
        pitch = ((octaves - real_octaves).abs() * voiced).sum() / voiced.sum().clamp_min(1)
        losses = {
            "mel": self.mel_weight * (generated.mel - generated.target).abs().mean(),
            "duration": self.duration_weight * F.mse_loss(logs, real_logs),
            "pitch": self.pitch_weight * (pitch + F.binary_cross_entropy_with_logits(voicing, voiced)),
            "alignment": self.alignment_weight * forward_sum(generated.alignment, generated.symbols, generated.frames),
        }
        if context.step >= self.binarisation_start and self.binarisation_weight:
            path = binarisation(generated.alignment, generated.durations, generated.frames)
            losses["binarisation"] = self.binarisation_weight * path
        return losses

    def used_columns(self) -> set[str]:
        return super().used_columns() | {"samples", "pitch"}
