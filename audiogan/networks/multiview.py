"""Critic of sounds that combines several critics on different spectrograms.

GAN vocoders use several critics on different transforms of a waveform (MelGAN: Kumar et al., NeurIPS 2019, section 3.2)
or on spectrograms (UnivNet: Jang et al., Interspeech 2021, section 2.2). `MultiViewCritic` uses three spectrograms. A
log-mel spectrogram shows timbre and envelope, and its critic learns in few steps. A complex STFT shows phases. A
log-mel spectrogram of the beginning, with short windows, shows attacks.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from audiogan.networks.base import CriticOutput
from audiogan.networks.blocks import StridedConvs, apply_spectral_norm, init_he, minibatch_std
from audiogan.networks.checks import check_inputs, check_tensor, input_names
from audiogan.networks.heads import Head
from audiogan.representations.sound_format import SoundFormat
from audiogan.representations.views import LogMelView, STFTView


class SpectrogramCritic(nn.Module):
    """Convolutional critic on spectrograms `[B, channels, frames, frequencies]`, with minibatch standard deviation.

    An additional input channel encodes the frequency, as a ramp from -1 to 1.

    Args:
        shape: shape `(channels, frames, frequencies)` of a spectrogram.
        classes: number of classes; 0: unconditional.
        widths: channels after each convolution with stride 2. Frames and frequencies must be divisible by
            `2 ** len(widths)`.
        conditioning: class conditioning, `projection`, `embedding` or `auxiliary`; see `Head`.

    Examples:
        >>> import torch
        >>> from audiogan.networks.multiview import SpectrogramCritic
        >>> critic = SpectrogramCritic((1, 32, 64), classes=0, widths=(8, 8), conditioning="projection")
        >>> critic(torch.zeros(2, 1, 32, 64)).shape
        torch.Size([2])
    """

    ramp: Tensor

    def __init__(self, shape: Sequence[int], classes: int, widths: Sequence[int], conditioning: str) -> None:
        super().__init__()
        channels, rows, columns = shape
        fold = 2 ** len(widths)
        if rows % fold or columns % fold:
            raise ValueError(f"spectrograms of {rows} x {columns} cannot be halved {len(widths)} times")
        self.register_buffer("ramp", torch.linspace(-1, 1, columns).view(1, 1, 1, -1))
        self.convs = StridedConvs([channels + 1, *widths])
        self.last = nn.Conv2d(widths[-1] + 1, widths[-1], 3, padding=1)
        self.hidden = nn.Linear(widths[-1] * (rows // fold) * (columns // fold), widths[-1])
        self.apply(init_he)
        self.head = Head(widths[-1], classes, conditioning)
        init_he(self.head.score)

    def features(self, x: Tensor, classes: Tensor | None = None) -> Tensor:
        """Return the last hidden layer, `[B, widths[-1]]`.

        Args:
            x: spectrograms `[B, channels, frames, frequencies]`.
            classes: class weights `[B, classes]`. They group samples for the minibatch standard deviation.
        """
        x = self.convs(torch.cat([x, self.ramp.expand(len(x), 1, x.shape[2], -1)], dim=1))
        x = F.leaky_relu(self.last(torch.cat([x, minibatch_std(x, classes)], dim=1)), 0.2)
        return F.leaky_relu(self.hidden(x.flatten(1)), 0.2)

    def forward(self, x: Tensor, classes: Tensor | None = None) -> Tensor | CriticOutput:
        return self.head(self.features(x, classes), classes)


ONSET_HOPS = 16
"""Length of the beginning of a sound that has its own critic, in hops of the log-mel spectrogram."""


class BeginningView(nn.Module):
    """Log-mel spectrogram of the first ``length`` samples of sounds `[B, channels, T]`.

    Args:
        view: module that computes the spectrogram of sounds with ``length`` samples.
        length: length of the beginning, in samples.

    Examples:
        >>> import torch
        >>> from audiogan.networks.multiview import BeginningView
        >>> from audiogan.representations import LogMelView
        >>> BeginningView(LogMelView(2048, 1, 16000, 512, 256), 2048)(torch.zeros(2, 1, 8192)).shape
        torch.Size([2, 1, 16, 64])
    """

    def __init__(self, view: LogMelView, length: int) -> None:
        super().__init__()
        self.view, self.length, self.shape = view, length, view.shape

    def forward(self, signal: Tensor) -> Tensor:
        return cast("Tensor", self.view(signal[..., : self.length]))


class MultiViewCritic(nn.Module):
    """Critic that contains up to three critics: on a log-mel spectrogram, a complex STFT and the beginning of a sound.

    `view` computes the spectrograms of sounds `[B, channels, length]`, flattened and concatenated to `[B, D]`.
    `forward` maps these to logits. Gradient penalties therefore act on spectrograms instead of waveforms, and quiet
    parts of a sound have more influence than in a waveform.

    Args:
        format: sample rate, length and channels of the sounds.
        classes: number of classes; 0: unconditional. The class weights `[B, classes]` sum to 1.
        n_fft: window length of the log-mel spectrogram, in samples. The other critics have windows
            of ``n_fft / 2`` (STFT) and ``n_fft / 4`` (beginning) samples.
        hop_length: hop of the log-mel spectrogram, in samples. The STFT has the hop ``hop_length / 2``, and
            the spectrogram of the beginning has the hop ``hop_length / 8``.
        n_mels: number of mel bands. The spectrogram of the beginning has half this number.
        mel_widths: channels after each convolution of the critic on the log-mel spectrogram; ``()``: no such critic.
        stft_widths: channels after each convolution of the critic on the STFT; ``()``: no such critic.
        onset_widths: channels after each convolution of the critic on the beginning; ``()``: no such critic.
        conditioning: class conditioning, ``projection``, ``embedding`` or ``auxiliary``; see `Head`.
        spectral_norm: apply spectral norm to every layer (Miyato et al., ICLR 2018).

    Examples:
        >>> import torch
        >>> from audiogan.networks.multiview import MultiViewCritic
        >>> from audiogan.representations import SoundFormat
        >>> critic = MultiViewCritic(SoundFormat(8192), mel_widths=(8, 8), stft_widths=(8, 8))
        >>> [logits.shape for logits in critic(critic.view(torch.zeros(2, 1, 8192)))]
        [torch.Size([2]), torch.Size([2])]
    """

    def __init__(
        self,
        format: SoundFormat,
        classes: int = 0,
        n_fft: int = 512,
        hop_length: int = 256,
        n_mels: int = 64,
        mel_widths: Sequence[int] = (24, 48, 96, 96),
        stft_widths: Sequence[int] = (10, 20, 40, 60, 60),
        onset_widths: Sequence[int] = (),
        conditioning: str = "projection",
        spectral_norm: bool = False,
    ) -> None:
        super().__init__()
        length, channels, sample_rate = format.length, format.channels, format.sample_rate
        self.shape, self.classes = format.shape, classes
        self.takes = input_names(classes=classes)
        self.views, self.critics = nn.ModuleList(), nn.ModuleList()
        if mel_widths:
            fold = 2 ** len(mel_widths)
            self.views.append(LogMelView(length, channels, sample_rate, n_fft, hop_length, n_mels, frame_multiple=fold))
        if stft_widths:
            self.views.append(
                STFTView(length, channels, n_fft // 2, hop_length // 2, frame_multiple=2 ** len(stft_widths))
            )
        if onset_widths:
            beginning, fine = min(ONSET_HOPS * hop_length, length), (n_fft // 4, hop_length // 8, n_mels // 2)
            fold = 2 ** len(onset_widths)
            self.views.append(
                BeginningView(LogMelView(beginning, channels, sample_rate, *fine, frame_multiple=fold), beginning)
            )
        widths = [w for w in (mel_widths, stft_widths, onset_widths) if w]
        if not widths:
            raise ValueError("MultiViewCritic needs at least one of mel_widths, stft_widths and onset_widths")
        self.shapes = [cast("tuple[int, ...]", view.shape) for view in self.views]
        for shape, w in zip(self.shapes, widths, strict=True):
            self.critics.append(SpectrogramCritic(shape, classes, w, conditioning))
        if spectral_norm:
            apply_spectral_norm(self)

    def view(self, signal: Tensor) -> Tensor:
        """Return spectrograms of sounds `[B, channels, length]`, flattened and concatenated to `[B, D]`."""
        check_tensor(self, "signal", signal, self.shape)
        return torch.cat([view(signal).flatten(1) for view in self.views], dim=1)

    def _unflatten(self, x: Tensor) -> list[Tensor]:
        parts = x.split([prod(shape) for shape in self.shapes], dim=1)
        return [part.unflatten(1, shape) for part, shape in zip(parts, self.shapes, strict=True)]

    def features(self, x: Tensor, classes: Tensor | None = None) -> Tensor:
        """Return the last hidden layers of all critics, concatenated to `[B, K]`, for spectrograms `[B, D]`."""
        pairs = zip(self.critics, self._unflatten(x), strict=True)
        return torch.cat([c.features(spectrogram, classes) for c, spectrogram in pairs], dim=1)  # type: ignore[operator]

    def forward(self, x: Tensor, classes: Tensor | None = None) -> list[Tensor] | CriticOutput:
        """Return a list with the logits `[B]` of each critic for spectrograms `[B, D]`.

        With ``auxiliary`` conditioning, return a `CriticOutput` with that list and with class logits `[B, classes]`,
        averaged over the critics.
        """
        check_inputs(self, classes=classes)
        pairs = zip(self.critics, self._unflatten(x), strict=True)
        out = [critic(spectrogram, classes) for critic, spectrogram in pairs]
        if isinstance(out[0], CriticOutput):
            return CriticOutput([o.logits for o in out], torch.stack([o.classes for o in out]).mean(0))
        return out
