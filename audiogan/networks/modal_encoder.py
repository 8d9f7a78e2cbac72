"""The encoder of ModalNoise, and the auxiliary classifier and knob regressor (`listener`) for its training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from audiogan.networks.checks import check_inputs, input_names
from audiogan.networks.tonenoise import Listener
from audiogan.networks.tonenoise_blocks import MelTrunk
from audiogan.representations.modes import GLIDE_SECONDS, GlideMeter, ModeBands, ModeMeter
from audiogan.representations.sound_format import SoundFormat


class ModalNoiseEncoder(nn.Module):
    """VAE encoder: sounds `[B, channels, length]` to means and log variances of latents, each `[B, latent_dim]`.

    It receives the log-mel spectrogram of the mid signal, the modes, the glide, and the stereo width.

    Args:
        format: sample rate, length and channels of the sounds.
        latent_dim: size of the latent.
        classes: number of classes; 0: unconditional. The class weights `[B, classes]` sum to 1.
        knobs: number of knobs; 0: none. The input `[B, knobs]` consists of normal scores (standard normal quantiles).
        n_fft: window length of the log-mel spectrogram, in samples.
        hop_length: hop of the log-mel spectrogram, in samples.
        widths: channels after each convolution with stride 2.
        hidden: number of features that the convolutions extract from the spectrogram.

    Examples:
        >>> import torch
        >>> from audiogan.networks.modal_encoder import ModalNoiseEncoder
        >>> from audiogan.representations import SoundFormat
        >>> mean, log_variance = ModalNoiseEncoder(SoundFormat(8192), latent_dim=8)(torch.zeros(2, 1, 8192))
        >>> mean.shape
        torch.Size([2, 8])
    """

    def __init__(
        self,
        format: SoundFormat,
        latent_dim: int = 64,
        classes: int = 0,
        knobs: int = 0,
        n_fft: int = 1024,
        hop_length: int = 512,
        widths: Sequence[int] = (16, 32, 64, 96),
        hidden: int = 256,
    ) -> None:
        super().__init__()
        self.latent_dim, self.classes, self.knobs = latent_dim, classes, knobs
        self.takes = input_names(classes=classes, knobs=knobs)
        self.trunk = MelTrunk(replace(format, channels=1), n_fft, hop_length, widths, hidden)
        self.modes, self.glide, bands = ModeMeter(format), GlideMeter(format), ModeBands(format.sample_rate)
        self.register_buffer("middle", bands.edges.mean(1).float(), persistent=False)
        self.register_buffer("reach", (bands.edges[:, 1] - bands.edges[:, 0]).float() / 2, persistent=False)
        measured = 2 * len(bands) + 2 * len(GLIDE_SECONDS) + 1
        self.out = nn.Linear(hidden + measured + classes + knobs, 2 * latent_dim)

    def forward(
        self, signal: Tensor, classes: Tensor | None = None, knobs: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        check_inputs(self, classes=classes, knobs=knobs)
        octaves, lines = self.modes(signal)
        ratios, sure = self.glide(signal)
        middle = signal.mean(1, keepdim=True)
        width = ((signal - middle).square().mean((1, 2)) / (middle.square().mean((1, 2)) + 1e-8)).sqrt()
        parts = [self.trunk(middle), 2 * lines, 2 * lines * (octaves - self.middle) / self.reach]
        parts += [2 * sure * ratios, sure, width[:, None].clamp_max(2.0)]
        parts += [part for part in (classes, knobs) if part is not None]
        mean, log_variance = self.out(torch.cat(parts, dim=1)).chunk(2, dim=1)
        return mean, log_variance.clamp(-8, 2)


class MidListener(Listener):
    """Auxiliary classifier and knob regressor on the mid signal, see `audiogan.networks.tonenoise.Listener`.

    Args:
        format: sample rate, length and channels of the sounds, mono or stereo.
        options: further arguments of `Listener`.
    """

    def __init__(self, format: SoundFormat, **options: Any) -> None:
        super().__init__(replace(format, channels=1), **options)

    def forward(self, signal: Tensor) -> tuple[Tensor, Tensor]:
        return super().forward(signal.mean(1, keepdim=True))
