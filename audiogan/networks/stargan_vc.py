"""The generator of StarGAN-VC2 (Kaneko et al., Interspeech 2019) for log-mel spectrograms and pitch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from audiogan.networks.checks import check_sizes
from audiogan.networks.frame_blocks import FrameBlock
from audiogan.networks.patchgan import PatchCritic
from audiogan.representations.mel_spectrogram import MelSpectrogram
from audiogan.representations.parts import in_parts

LOWEST_HZ, HIGHEST_HZ, REFERENCE_HZ = 50.0, 700.0, 100.0
"""Lowest and highest pitch of generated voices, and the pitch that corresponds to 0 octaves, all in Hz."""
MEL_MEAN, MEL_STD = -5.0, 3.0
"""Mean and standard deviation of log-mel values of speech, for normalisation."""
LOUD_RANGE = 5.0
"""Frames are loud if their mean log-mel value is less than this below that of the loudest frame."""
HARMONIC_DEPTH = 2.5
"""Largest depth of the valleys between harmonics below the envelope, in natural logarithms. It is limited, because
voices are not exactly periodic."""
PITCH_BINS, BINS_PER_OCTAVE = 192, 48
"""Number of bins of the histogram of pitch, which starts at `LOWEST_HZ`, and number of bins per octave."""


class StarGANVC(nn.Module):
    """Voice conversion: network from the spectrogram and the pitch of a recording to a spectrogram with another voice.

    One network converts between all speakers. As in the paper, each block is modulated by codes of the source speaker
    and of the target speaker. Differences from the paper:

    * The network processes log-mel spectrograms, and a vocoder makes the sound, instead of mel-cepstra and WORLD.
    * The spectrogram is divided into a smooth envelope and a harmonic pattern, as in source-filter models. The network
      receives the envelope, to which the difference between the mean spectra of both speakers is added, and the pattern
      of a pulse train with the pitch of the target. It predicts a correction of their sum.
    * Blocks are ConvNeXt blocks without instance normalisation, so that a frame depends on nearby frames only.
    * A speaker encoder computes codes from spectrograms: the code of the source, and the code of the target if a
      recording of the target is given.

    Args:
        shape: shape ``(n_mels, frames)`` of a spectrogram in training.
        mel: settings of the spectrogram by name, see `MelSpectrogram`.
        classes: number of speakers, 2 or more.
        width: number of channels, 1 or more.
        layers: number of blocks, 1 or more.
        code: size of the code, a vector that describes a speaker, 1 or more.
        smoothness: number of cosines that describe the envelope of a frame, from 1 to ``n_mels``. With more cosines,
            the envelope is less smooth.

    Attributes:
        margin: largest distance, in frames, between a frame of the output and a frame that it depends on, for given
            codes and pitch.

    Source:
        Kaneko, Kameoka, Tanaka & Hojo, "StarGAN-VC2: rethinking conditional methods for StarGAN-based voice
        conversion", Interspeech 2019.

    Examples:
        >>> import torch
        >>> from audiogan.networks.stargan_vc import StarGANVC
        >>> network = StarGANVC((80, 32), {"sample_rate": 16000}, classes=3, width=16, layers=1, code=8)
        >>> network(torch.zeros(2, 83, 32), torch.eye(3)[:2], torch.zeros(2, 83, 1)).shape
        torch.Size([2, 80, 32])
    """

    takes = frozenset({"source", "classes", "speaker"})
    smoother: Tensor
    pitch_counts: Tensor
    spectrum_sum: Tensor
    spectrum_count: Tensor

    def __init__(
        self,
        shape: Sequence[int],
        mel: Mapping[str, Any],
        classes: int,
        width: int = 192,
        layers: int = 6,
        code: int = 64,
        smoothness: int = 20,
    ) -> None:
        super().__init__()
        check_sizes(self, width=width, layers=layers, code=code, classes=classes - 1)
        self.mel = MelSpectrogram(**mel)
        bands = self.mel.n_mels
        if tuple(shape)[:1] != (bands,) or not 1 <= smoothness <= bands:
            raise ValueError(
                f"StarGANVC: spectrograms of shape {list(shape)} and smoothness={smoothness}: need {bands} bands, and "
                "a smoothness from 1 to the number of bands"
            )
        self.shape, self.classes, self.layers = tuple(shape), classes, layers
        self.floor = math.log(self.mel.clamp)
        order, band = torch.arange(smoothness)[:, None], torch.arange(bands)
        basis = torch.cos(math.pi * order * (band + 0.5) / bands) * math.sqrt(2 / bands)
        basis[0] /= math.sqrt(2)
        self.register_buffer("smoother", basis.T @ basis, persistent=False)
        # Statistics of each speaker's training examples: histogram of pitch, sum of mean spectra, number of spectra.
        self.register_buffer("pitch_counts", torch.zeros(classes, PITCH_BINS))
        self.register_buffer("spectrum_sum", torch.zeros(classes, bands))
        self.register_buffer("spectrum_count", torch.zeros(classes, 1))
        self.embed = nn.Conv1d(2 * bands + 2, width, 7, padding=3)
        self.blocks = nn.ModuleList(FrameBlock(width) for _ in range(layers))
        self.modulation = nn.Linear(2 * code, 2 * layers * width)
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, bands)
        self.speakers = nn.Parameter(torch.randn(classes, code))
        self.encoder, self.spectrum = SpeakerEncoder(bands, code), nn.Linear(code, bands)
        for weight, scale in ((self.modulation.weight, 0.1), (self.head.weight, 0.01)):
            nn.init.normal_(weight, std=scale)
        for layer in (self.spectrum, self.modulation):
            nn.init.zeros_(layer.bias)
        nn.init.zeros_(self.head.bias)
        self.margin = 3 * (layers + 1) + -(-self.mel.n_fft // self.mel.hop_length)

    def forward(self, source: Tensor, classes: Tensor, speaker: Tensor) -> Tensor:
        """Return converted spectrograms ``[B, n_mels, frames]``.

        Args:
            source: spectrogram and pitch of the source, ``[B, n_mels + 3, frames]``, see
                `audiogan.inputs.VoiceSignal`.
            classes: weights of the target speakers, ``[B, classes]``. They are not used if ``speaker`` is given.
            speaker: spectrogram and pitch of a recording of the target speaker, ``[B, n_mels + 3, any]``. Silence
                stands for "no recording".
        """
        bands = self.mel.n_mels
        given = speaker[:, :bands].amax((1, 2)) > self.floor + 1
        reference = torch.where(given[:, None], self.encoder(speaker[:, :bands]), self.codes(classes))
        level = torch.where(given, speaker[:, -1, 0], self.median_pitch(classes))
        own = self.encoder(source[:, :bands])
        return in_parts(lambda part: self.convert(part, level, own, reference), source, self.margin)

    def convert(self, source: Tensor, level: Tensor, own: Tensor, target: Tensor) -> Tensor:
        """Return spectrograms ``[B, n_mels, frames]`` with the voice of the target.

        Args:
            source: spectrogram and pitch of the source, ``[B, n_mels + 3, frames]``.
            level: median pitch of the target speakers in octaves above 100 Hz, ``[B]``.
            own: codes of the source speakers, ``[B, code]``.
            target: codes of the target speakers, ``[B, code]``.
        """
        mel, contour, voiced = source[:, : self.mel.n_mels], source[:, -3], source[:, -2]
        octaves = voiced * (contour + level[:, None])
        spectrum_change = self.spectrum(target) - self.spectrum(own)
        envelope = torch.einsum("kb,nbt->nkt", self.smoother, mel) + spectrum_change[:, :, None]
        pattern = self.harmonics(octaves, voiced)
        given = torch.cat([(envelope - MEL_MEAN) / MEL_STD, pattern, octaves[:, None], voiced[:, None]], dim=1)
        modulation = self.modulation(torch.cat([own, target], dim=1)).reshape(len(mel), self.layers, 2, 1, -1)
        x = self.embed(given).transpose(1, 2)
        for i, block in enumerate(self.blocks):
            x = block(x, 1 + modulation[:, i, 0], modulation[:, i, 1])
        change = MEL_STD * self.head(self.norm(x)).transpose(1, 2)
        return (envelope + pattern + change).clamp_min(self.floor)

    @torch.no_grad()
    def harmonics(self, octaves: Tensor, voiced: Tensor) -> Tensor:
        """Return the log-mel spectrogram of a pulse train minus its smooth envelope, ``[B, n_mels, frames]``.

        Args:
            octaves: pitch in octaves above 100 Hz, ``[B, frames]``.
            voiced: 1 in voiced frames, 0 in the others, ``[B, frames]``. The result is 0 in unvoiced frames.
        """
        frames, rate = torch.arange(octaves.shape[1], device=octaves.device), self.mel.sample_rate
        # Unvoiced frames repeat the pitch of the last voiced frame. It is found by sorting, because ONNX has no cummax.
        places, count = torch.where(voiced > 0, frames, len(frames)).sort(1).values, (voiced > 0).cumsum(1)
        last = torch.where(count > 0, places.gather(1, (count - 1).clamp_min(0)), 0)
        hertz = (REFERENCE_HZ * 2 ** octaves.gather(1, last)).clamp(LOWEST_HZ, HIGHEST_HZ)
        hertz = F.interpolate(hertz[:, None], scale_factor=self.mel.hop_length, mode="linear")[:, 0]
        phase = (math.pi * (hertz.double().cumsum(1) / rate % 1)).to(hertz.dtype)
        # The sum of cos(2 k phase) for k from 1 to `count`, the number of harmonics below half the sample rate.
        count = (rate / 2 / hertz).floor()
        below = phase.sin()
        pulses = torch.where(
            below.abs() < 1e-4, count, (count * phase).sin() * ((count + 1) * phase).cos() / below.clamp_min(1e-4)
        )
        mel = self.mel(0.1 * pulses[:, None])
        pattern = mel - torch.einsum("kb,nbt->nkt", self.smoother, mel)
        return torch.logaddexp(pattern, torch.full_like(pattern, -HARMONIC_DEPTH)) * voiced[:, None]

    def codes(self, classes: Tensor) -> Tensor:
        """Return the codes ``[B, code]`` of speakers that are given as class weights ``[B, classes]``."""
        return classes @ F.normalize(self.speakers, dim=1)

    def median_pitch(self, classes: Tensor) -> Tensor:
        """Return the median pitch of speakers in octaves above 100 Hz, ``[B]``, for class weights ``[B, classes]``."""
        share = self.pitch_counts.cumsum(1) / self.pitch_counts.sum(1, keepdim=True).clamp_min(1)
        octaves = ((share < 0.5).sum(1) + 0.5) / BINS_PER_OCTAVE + math.log2(LOWEST_HZ / REFERENCE_HZ)
        return classes @ octaves.to(classes.dtype)

    def mean_spectra(self, classes: Tensor) -> Tensor:
        """Return the mean log-mel spectra of speakers ``[B, n_mels]`` for class weights ``[B, classes]``. The mean over
        bands is subtracted."""
        return classes @ (self.spectrum_sum / self.spectrum_count.clamp_min(1))

    @torch.no_grad()
    def add_statistics(self, classes: Tensor, source: Tensor) -> None:
        """Add training examples to the statistics of their speakers, for `median_pitch` and `mean_spectra`.

        Args:
            classes: one-hot speakers, ``[B, classes]``.
            source: spectrograms and pitch, ``[B, n_mels + 3, frames]``.
        """
        mel, octaves, voiced = source[:, : self.mel.n_mels], source[:, -3] + source[:, -1], source[:, -2]
        places = (octaves - math.log2(LOWEST_HZ / REFERENCE_HZ)) * BINS_PER_OCTAVE
        bins = places.long().clamp(0, PITCH_BINS - 1)
        counts = torch.zeros(len(mel), PITCH_BINS, device=mel.device).scatter_add_(1, bins, voiced)
        self.pitch_counts += classes.T @ counts
        spectrum = (mel * loud_frame_weights(mel)).sum(2)
        self.spectrum_sum += classes.T @ (spectrum - spectrum.mean(1, keepdim=True))
        self.spectrum_count += classes.sum(0)[:, None]


def loud_frame_weights(mel: Tensor) -> Tensor:
    """Return weights of frames with the sum 1, ``[B, 1, frames]``: equal for loud frames, 0 for the others."""
    level = mel.mean(1, keepdim=True)
    loud = (level > level.amax(2, keepdim=True) - LOUD_RANGE).to(mel.dtype)
    return loud / loud.sum(2, keepdim=True)


class StarGANVCCritic(PatchCritic):
    """Critic of StarGAN-VC2: a `PatchCritic` of spectrograms ``[B, 1, n_mels, frames]`` with a projection of the source
    speaker and of the target speaker (section 3.1).

    ``classes`` is a concatenation of two one-hot vectors, source and target, ``[B, 2 * classes]``.

    Args:
        shape: shape ``(n_mels, frames)`` of a spectrogram.
        classes: number of speakers, 2 or more.
        width: channels of the first layer; each later layer has twice as many, at most ``8 * width``.
        layers: number of layers with stride 2.
        spectral_norm: apply spectral norm to every layer (Miyato et al., ICLR 2018).

    Examples:
        >>> import torch
        >>> from audiogan.networks.stargan_vc import StarGANVCCritic
        >>> critic = StarGANVCCritic((80, 48), classes=2, width=4)
        >>> critic(torch.zeros(1, 1, 80, 48), classes=torch.tensor([[1.0, 0.0, 0.0, 1.0]])).logits.shape
        torch.Size([1, 1, 8, 4])
    """

    def __init__(
        self, shape: Sequence[int], classes: int, width: int = 24, layers: int = 3, spectral_norm: bool = False
    ) -> None:
        super().__init__((1, *shape), None, 2 * classes, width, layers, "none", spectral_norm)


class SpeakerEncoder(nn.Module):
    """Speaker encoder: network from log-mel spectrograms ``[B, n_mels, frames]`` to unit vectors ``[B, code]``.

    The mean level of the spectrogram is subtracted. The code is computed from the mean and the standard deviation of
    hidden values over loud frames.

    Args:
        bands: number of mel bands.
        code: size of a code.
        width: number of channels.

    Examples:
        >>> import torch
        >>> from audiogan.networks.stargan_vc import SpeakerEncoder
        >>> SpeakerEncoder(80, code=8)(torch.randn(2, 80, 20)).shape
        torch.Size([2, 8])
    """

    def __init__(self, bands: int, code: int, width: int = 128) -> None:
        super().__init__()
        self.convs = nn.ModuleList(
            nn.Conv1d(i, width, kernel, padding=kernel // 2) for i, kernel in ((bands, 5), (width, 3), (width, 3))
        )
        self.head = nn.Linear(2 * width, code)

    def forward(self, mel: Tensor) -> Tensor:
        weight = loud_frame_weights(mel.detach())
        x = (mel - (mel.detach().mean(1, keepdim=True) * weight).sum(2, keepdim=True)) / MEL_STD
        for conv in self.convs:
            x = F.leaky_relu(conv(x), 0.2)
        mean = (x * weight).sum(2)
        deviation = (((x - mean[:, :, None]) ** 2 * weight).sum(2) + 1e-4).sqrt()
        return F.normalize(self.head(torch.cat([mean, deviation], dim=1)), dim=1)
