"""Several critics of one sound, each on another picture of it.

GAN vocoders use several critics on different transforms of a wave (Kumar et al., MelGAN, NeurIPS 2019, section 3.2), or
on spectrograms (Jang et al., UnivNet, Interspeech 2021, section 2.2). There are three here. The log-mel picture is
small and shows timbre and envelope; its critic learns in few steps. The complex STFT shows phases. A log-mel picture of
the beginning, in frames of a quarter of the length, shows attacks.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from audiogan.networks.base import CriticOutput
from audiogan.networks.blocks import Halvings, he, minibatch_deviation, normalise_spectra
from audiogan.networks.checks import check_inputs, check_tensor, named_inputs
from audiogan.networks.heads import Head
from audiogan.representations.sound_format import SoundFormat
from audiogan.representations.views import LogMelView, STFTView


class PictureCritic(nn.Module):
    """Strided convolutions on pictures `[B, *shape]`, a minibatch deviation, and a `Head`.

    An additional input channel is a ramp along the last dimension; it encodes the frequency.
    """

    ramp: Tensor

    def __init__(self, shape: Sequence[int], classes: int, widths: Sequence[int], conditioning: str) -> None:
        super().__init__()
        channels, rows, columns = shape
        fold = 2 ** len(widths)
        if rows % fold or columns % fold:
            raise ValueError(f"pictures of {rows}x{columns} do not halve {len(widths)} times")
        self.register_buffer("ramp", torch.linspace(-1, 1, columns).view(1, 1, 1, -1))
        self.convs = Halvings([channels + 1, *widths])
        self.last = nn.Conv2d(widths[-1] + 1, widths[-1], 3, padding=1)
        self.hidden = nn.Linear(widths[-1] * (rows // fold) * (columns // fold), widths[-1])
        self.apply(he)
        self.head = Head(widths[-1], classes, conditioning)
        he(self.head.score)

    def features(self, x: Tensor, classes: Tensor | None = None) -> Tensor:
        """Return the last hidden layer, `[B, widths[-1]]`. Classes group the samples of the minibatch deviation."""
        x = self.convs(torch.cat([x, self.ramp.expand(len(x), 1, x.shape[2], -1)], dim=1))
        x = F.leaky_relu(self.last(torch.cat([x, minibatch_deviation(x, classes)], dim=1)), 0.2)
        return F.leaky_relu(self.hidden(x.flatten(1)), 0.2)

    def forward(self, x: Tensor, classes: Tensor | None = None) -> Tensor | CriticOutput:
        return self.head(self.features(x, classes), classes)


ONSET_HOPS = 16
"""Length of the beginning, in hops: a quarter of a second in 1/64 of a second each."""


class Beginning(nn.Module):
    """A view of the first ``length`` samples of sounds."""

    def __init__(self, view: LogMelView, length: int) -> None:
        super().__init__()
        self.view, self.length, self.shape = view, length, view.shape

    def forward(self, signal: Tensor) -> Tensor:
        return cast("Tensor", self.view(signal[..., : self.length]))


class MultiViewCritic(nn.Module):
    """Critics of a sound `[B, channels, length]`: of its log-mel picture, of its complex STFT and of its beginning.

    `view` turns sounds into one row of numbers each: the pictures, flat and joined. `forward` takes these rows, so
    gradient penalties act on pictures, in which a quiet tail has as much weight as in hearing.

    Args:
        format: format of the sounds.
        classes: number of classes; 0 for none. The input ``classes`` is `[B, classes]`, weights that sum to 1.
        n_fft, hop_length: of the log-mel picture, in samples; the STFT's are half of them.
        n_mels: bands of the picture; that of the beginning has half of them.
        mel_widths, stft_widths, onset_widths: channels after each halving of the pictures; () leaves a critic out.
        conditioning: how the class enters, see `Head`.
        spectral_norm: normalise every layer by its spectral norm (Miyato et al., ICLR 2018).
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
        self.takes = named_inputs(classes=classes)
        self.views, self.critics = nn.ModuleList(), nn.ModuleList()
        if mel_widths:
            fold = 2 ** len(mel_widths)
            self.views.append(LogMelView(length, channels, sample_rate, n_fft, hop_length, n_mels, fold=fold))
        if stft_widths:
            self.views.append(STFTView(length, channels, n_fft // 2, hop_length // 2, fold=2 ** len(stft_widths)))
        if onset_widths:
            beginning, fine = min(ONSET_HOPS * hop_length, length), (n_fft // 4, hop_length // 8, n_mels // 2)
            fold = 2 ** len(onset_widths)
            self.views.append(Beginning(LogMelView(beginning, channels, sample_rate, *fine, fold=fold), beginning))
        widths = [w for w in (mel_widths, stft_widths, onset_widths) if w]
        if not widths:
            raise ValueError("MultiViewCritic without mel_widths, stft_widths and onset_widths has nothing to look at")
        self.shapes = [cast("tuple[int, ...]", view.shape) for view in self.views]
        for shape, w in zip(self.shapes, widths, strict=True):
            self.critics.append(PictureCritic(shape, classes, w, conditioning))
        if spectral_norm:
            normalise_spectra(self)

    def view(self, signal: Tensor) -> Tensor:
        """Return the views of sounds `[B, channels, length]`, flat and joined: `[B, D]`."""
        check_tensor(self, "signal", signal, self.shape)
        return torch.cat([view(signal).flatten(1) for view in self.views], dim=1)

    def _pictures(self, x: Tensor) -> list[Tensor]:
        parts = x.split([prod(shape) for shape in self.shapes], dim=1)
        return [part.unflatten(1, shape) for part, shape in zip(parts, self.shapes, strict=True)]

    def features(self, x: Tensor, classes: Tensor | None = None) -> Tensor:
        """Return the last hidden layers of all critics, joined, `[B, K]`, for views `[B, D]`."""
        pairs = zip(self.critics, self._pictures(x), strict=True)
        return torch.cat([c.features(picture, classes) for c, picture in pairs], dim=1)  # type: ignore[operator]

    def forward(self, x: Tensor, classes: Tensor | None = None) -> list[Tensor] | CriticOutput:
        """Return the logits of views `[B, D]`: a list of `[B]`, one for each critic.

        With `auxiliary` conditioning the output is a `CriticOutput` with the list and with the mean of the class logits
        `[B, classes]`.
        """
        check_inputs(self, classes=classes)
        out = [critic(picture, classes) for critic, picture in zip(self.critics, self._pictures(x), strict=True)]
        if isinstance(out[0], CriticOutput):
            return CriticOutput([o.logits for o in out], torch.stack([o.classes for o in out]).mean(0))
        return out
