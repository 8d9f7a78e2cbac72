"""Drum hits and words as tones and noise through an inverse STFT: a generator, and an encoder for it.

A sound is the sum of a deterministic and of a stochastic part (Serra & Smith, "Spectral modeling synthesis", Computer
Music Journal 1990): here some sinusoids that ring, a complex spectrum, whose phases the network makes, and white noise
that it only colours, band by band and frame by frame. So nothing need be learned about the phases of a snare or a
cymbal. The network runs at the rate of frames, with an inverse STFT behind it (Kaneko et al., iSTFTNet, ICASSP 2022;
Siuzdak, Vocos, ICLR 2024), its blocks are ConvNeXt's (Liu et al., CVPR 2022), modulated by a style as in FiLM (Perez et
al., AAAI 2018). A frame is too long for the attack of a drum: a gain that rises from zero in a time of the network's
choice has the last word there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from audiogan.networks.blocks import StridedConvs, init_he
from audiogan.networks.checks import check_inputs, check_sizes, check_tensor, input_names
from audiogan.networks.frame_blocks import DOUBLINGS, FrameBlock
from audiogan.networks.voice import LOWEST_HZ, OCTAVES, minimum_phase, pulses
from audiogan.representations.partials import PartialMeter, Partials
from audiogan.representations.sound_format import SoundFormat
from audiogan.representations.stft import Frames
from audiogan.representations.views import LogMelView

FASTEST_RISE, SLOWEST_RISE = 0.0005, 0.2
"""Seconds in which the gain at the beginning of a sound rises to 1."""
LEVELS = -12.0, 6.0
"""Of bands, as logarithms."""
HEARD, AT_ONCE = 0.1, 0.002
"""However slow, it is at a tenth after two milliseconds: below that a fade-in is not heard, but comes late."""
ENDING = 0.01
"""Seconds of fade-out, in evaluation mode: recordings that were cut do not have it, but who plays them wants it."""
BODY = 3.0
"""By what logarithms of the gains of a body are multiplied, so that they are learned sooner."""
LOUDEST = 6.0
"""Of those gains, as logarithms."""
SLOWEST_HZ = 20.0
"""What is slower than that is taken out of a sound."""


class ToneNoiseGenerator(nn.Module):
    """From latents `[B, latent_dim]`, class weights and knobs to sounds `[B, channels, length]`.

    In training mode the noise is drawn anew each time. In evaluation mode it is a mixture of a few stored noises; the
    first latents are their shares. So a sound depends on its inputs alone, and two sounds have different noise.

    Args:
        format: format of the sounds. Two channels are generated as middle and side. The side can be exactly 0, because
            a critic of mono recordings would notice any side at all.
        latent_dim: size of the latents, standard normal.
        classes, knobs: number of classes and of knobs; 0 for none. The input ``classes`` is `[B, classes]`, weights
            that sum to 1; the input ``knobs`` is `[B, knobs]`, normal scores.
        n_fft, hop_length: of the inverse STFT, in samples.
        width: channels of the frames.
        blocks: number of `FrameBlock` s.
        bands: number of bands of the noise, at equal distances on the mel scale.
        style_dim: size of the style, the output of the mapping network.
        voice: for speech: pulses at a pitch that the network predicts replace the tones. A filter of minimum phase
            colours them. (Tones of the spectrum would repeat from frame to frame, and buzz.)
        partials: number of sinusoids for struck sounds, one each half octave from 35 Hz up, see `Partials`.
        tones_from: frequency in Hz below which the spectrum has no tones beside the partials.
        noises: number of noises that are mixed in evaluation mode; 1: all sounds have the same noise.
        first_frames: smallest number of frames that the style gives directly; then the number of frames is doubled.
        upsampling: how frames are doubled: ``linear``, or ``transposed``, as in models of older versions.
        body: the style also gives a gain for each bin of tones and noise that is constant over the sound. The
            resonances of a cymbal are constant, and too narrow for the bands of the noise.
        emphasis: factor on class weights in evaluation mode: without it generated classes are less distinct than
            recorded ones.
    """

    latent = "normal"
    bands: Tensor
    phases: Tensor
    noise: Tensor
    seconds: Tensor
    at_once: Tensor
    ending: Tensor
    loudness: Tensor

    def __init__(
        self,
        format: SoundFormat,
        latent_dim: int = 64,
        classes: int = 0,
        knobs: int = 0,
        n_fft: int = 512,
        hop_length: int = 256,
        width: int = 128,
        blocks: int = 3,
        bands: int = 48,
        style_dim: int = 256,
        voice: bool = False,
        partials: int = 0,
        tones_from: float = 0.0,
        noises: int = 8,
        first_frames: int = 8,
        upsampling: str = "transposed",
        body: bool = False,
        emphasis: float = 1.0,
    ) -> None:
        super().__init__()
        if upsampling not in DOUBLINGS:
            raise ValueError(f"upsampling={upsampling!r} must be one of {', '.join(DOUBLINGS)}")
        check_sizes(self, latent_dim=latent_dim, width=width, bands=bands, style_dim=style_dim)
        check_sizes(self, noises=noises, first_frames=first_frames)
        length, channels, sample_rate = format.length, format.channels, format.sample_rate
        self.shape, self.latent_dim, self.classes, self.knobs = format.shape, latent_dim, classes, knobs
        self.takes = input_names(latent=latent_dim, classes=classes, knobs=knobs)
        loudness = [1.0] * latent_dim + [emphasis] * classes + [1.0] * knobs
        self.register_buffer("loudness", torch.tensor(loudness), persistent=False)
        self.frames = Frames(length, n_fft, hop_length, pad=n_fft // 2)
        count, bins = self.frames.count, self.frames.bins
        first = nn.Linear(latent_dim + classes + knobs, style_dim)
        # Class, knobs and latent begin as loud as each other; a class alone would hardly be heard.
        with torch.no_grad():
            first.weight[:, latent_dim : latent_dim + classes] *= latent_dim**0.5
            first.weight[:, latent_dim + classes :] *= (latent_dim / max(1, knobs)) ** 0.5
        self.mapping = nn.Sequential(first, nn.LeakyReLU(0.2), nn.Linear(style_dim, style_dim), nn.LeakyReLU(0.2))
        doublings = max(0, int(math.log2(count / first_frames)))
        first_frames = math.ceil(count / 2**doublings)
        self.styled = [width * first_frames, 2 * width * blocks, 1, bins * body, int(channels == 2)]
        self.affine = nn.Linear(style_dim, sum(self.styled))  # frames, modulation of the blocks, rise, body, side
        with torch.no_grad():
            for part in self.affine.weight.split(self.styled)[1:]:
                part.normal_(std=0.3 / style_dim**0.5)
            _, *biases = self.affine.bias.split(self.styled)
            for part, value in zip(biases, (0.0, -2.0, 0.0, 0.3), strict=True):  # rise: one millisecond
                part.fill_(value)
        self.ups = nn.ModuleList(DOUBLINGS[upsampling](width, first_frames << i) for i in range(doublings))
        self.position = nn.Parameter(positions(count, width))
        self.blocks = nn.ModuleList(FrameBlock(width) for _ in range(blocks))
        self.sample_rate, self.voice = sample_rate, voice
        self.first = min(math.ceil(tones_from * n_fft / sample_rate), bins)  # bin that has a tone
        tones = bands if voice else 2 * (bins - self.first)
        self.sizes = [tones, bands, 1]  # voice, noise, pitch; or tones, noise, gain of the tones
        self.out = nn.Linear(width, channels * sum(self.sizes))
        nn.init.normal_(self.out.weight, std=0.05)
        with torch.no_grad():  # noise and voice begin quiet
            self.out.bias.zero_()
            for part in self.out.bias.view(channels, -1).split(self.sizes, dim=1)[0 if voice else 1 : 2]:
                part.fill_(-3.0)
        self.partials = None
        if partials:
            self.partials = Partials(partials, length, hop_length, sample_rate)
            self.rung = nn.Linear(width, 2 * self.partials.count)
            nn.init.normal_(self.rung.weight, std=0.05)
            with torch.no_grad():
                self.rung.bias.copy_(torch.tensor([-3.0, 0.0]).repeat_interleave(self.partials.count))
        seconds = torch.arange(min(math.ceil(SLOWEST_RISE * sample_rate), length)) / sample_rate
        self.register_buffer("seconds", seconds, persistent=False)
        self.register_buffer("at_once", HEARD * smoothstep(seconds / AT_ONCE), persistent=False)
        ending = smoothstep(torch.arange(min(round(ENDING * sample_rate), length)).flip(0) / (ENDING * sample_rate))
        self.register_buffer("ending", ending, persistent=False)
        self.slow = min(round(sample_rate / SLOWEST_HZ), length)
        between = interpolation(bands, bins, sample_rate)
        self.register_buffer("bands", between.repeat_interleave(2, dim=1), persistent=False)  # real, imaginary
        if voice:
            self.register_buffer("phases", minimum_phase(between), persistent=False)
        self.register_buffer("noise", self.white(torch.randn(min(noises, latent_dim), channels, length)).flatten(1))

    def white(self, wave: Tensor) -> Tensor:
        """Spectra `[B, C, N, F, 2]` of white noise `[B, C, length]`, of variance 1, real and imaginary parts.

        Numbers drawn for each frame alone would be the spectra of no wave, and come out 3 dB louder between frames.
        """
        scale = (self.frames.window.square().sum() / 2).rsqrt()
        return torch.view_as_real(self.frames.analyse(wave)) * scale

    def mixed(self, latent: Tensor) -> Tensor:
        """Return the noise of latents `[B, latent_dim]`, a continuous function: spectra `[B, C * N * F * 2]`."""
        if len(self.noise) == 1:
            return self.noise.expand(len(latent), -1)
        shares = latent[:, : len(self.noise)] + 1e-4
        return shares * (shares.square().sum(1, keepdim=True) + 1e-12).rsqrt() @ self.noise

    def forward(self, latent: Tensor, classes: Tensor | None = None, knobs: Tensor | None = None) -> Tensor:
        return self.forward_with_aux(latent, classes, knobs)[0]

    def forward_with_aux(
        self, latent: Tensor, classes: Tensor | None = None, knobs: Tensor | None = None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return sounds, and the properties that auxiliary targets train; see `audiogan.losses.AuxiliaryTarget`.

        Returns:
            Sounds `[B, channels, length]`, and a dictionary of predictions: ``pitch`` `[B, frames]` of a voice, in
            octaves above 1 Hz; ``partials`` `[B, K, frames]`, in the same unit; ``width`` `[B]` of stereo sounds, the
            amplitude of the side relative to the middle. At 0 and below the sound is mono.
        """
        check_inputs(self, latent=latent, classes=classes, knobs=knobs)
        x = torch.cat([latent, *(part for part in (classes, knobs) if part is not None)], dim=1)
        if not self.training:
            x = x * self.loudness
        style = self.mapping(x)
        (channels, length), count = self.shape, self.frames.count
        x, modulation, rise, body, side = self.affine(style).split(self.styled, dim=1)
        x = x.unflatten(1, (-1, self.position.shape[2]))
        for up in self.ups:
            x = F.leaky_relu(up(x), 0.2)
        x = x[:, :count] + self.position
        scales, shifts = modulation.unflatten(1, (2, len(self.blocks), 1, -1)).unbind(1)
        for block, scale, shift in zip(self.blocks, (1 + scales).unbind(1), shifts.unbind(1), strict=True):
            x = block(x, scale, shift)
        x = F.layer_norm(x, x.shape[2:])
        frames, x = x, self.out(x).unflatten(2, (channels, -1)).transpose(1, 2)
        shape, band, last = x.split(self.sizes, dim=3)  # [B, C, N, ...]
        noise = self.white(torch.randn(len(x), *self.shape, device=x.device)) if self.training else self.mixed(latent)
        colour, predicted = self.colour(band.clamp(*LEVELS)), {}
        spectrum = colour * noise.view_as(colour)
        if self.voice:
            predicted["pitch"] = pitch = math.log2(LOWEST_HZ) + OCTAVES * torch.sigmoid(last.mean((1, 3)))
            source = pulses(pitch.exp2(), length, self.frames.hop_length, self.sample_rate)
            shape = shape.clamp(*LEVELS)
            spectrum = torch.addcmul(spectrum, self.colour(shape), self.ring(shape, self.white(source[:, None])))
        else:
            spectrum[..., 2 * self.first :].addcmul_(shape, last.clamp(-10, 6).exp())
        if body.shape[1]:
            gains = (BODY * body).clamp(-LOUDEST, LOUDEST).exp()
            spectrum = spectrum * gains.repeat_interleave(2, dim=1)[:, None, None]
        wave = self.frames.synthesise(torch.view_as_complex(spectrum.float().unflatten(3, (-1, 2))))
        if self.partials is not None:
            level, place = self.rung(frames).float().transpose(1, 2).chunk(2, dim=1)
            predicted["partials"] = octaves = self.partials.octaves(place)
            rung = self.partials(octaves, level.clamp(*LEVELS).exp())[:, None]
            wave = wave + (rung if channels == 1 else F.pad(rung, (0, 0, 0, 1)))  # in the middle
        if channels == 2:
            predicted["width"] = side[:, 0]
            middle, other = wave.unbind(1)
            other = other * (energy(middle) / energy(other)).sqrt() * F.relu(side)
            wave = torch.stack([middle + other, middle - other], dim=1)
        wave[..., : len(self.seconds)] *= self.onset(rise)[:, None]
        offset = trailing_sum(trailing_sum(wave, self.slow), self.slow)
        wave = torch.sub(wave, offset, alpha=self.slow**-2)
        if not self.training:
            wave[..., length - len(self.ending) :] *= self.ending
        return wave, predicted

    def colour(self, band: Tensor) -> Tensor:
        """Levels of bands `[B, C, N, bands]`, as logarithms, to amplitudes of bins `[B, C, N, 2 F]`, each twice."""
        return band.exp() @ self.bands

    def ring(self, band: Tensor, source: Tensor) -> Tensor:
        """Spectra `[B, 1, N, F, 2]` of pulses, with the phases `[B, C, N, 2 F]` of the filter that `colour` is."""
        (real, imaginary), phase = source.unbind(4), band @ self.phases
        cos, sin = phase.cos(), phase.sin()
        return torch.stack([real * cos - imaginary * sin, real * sin + imaginary * cos], dim=4).flatten(3)

    def onset(self, rise: Tensor) -> Tensor:
        """The gain `[B, longest rise]` that goes from 0 to 1; `[B, 1]`: in what part of the possible times, a logit."""
        seconds = FASTEST_RISE * (math.log(SLOWEST_RISE / FASTEST_RISE) * torch.sigmoid(rise.float())).exp()
        return torch.maximum(smoothstep(self.seconds / seconds), self.at_once)


class MelTrunk(nn.Module):
    """From sounds `[B, channels, length]` to `[B, hidden]`: convolutions on a log-mel picture, a dense layer."""

    def __init__(
        self,
        format: SoundFormat,
        n_fft: int,
        hop_length: int,
        widths: Sequence[int],
        hidden: int,
        n_mels: int = 64,
    ) -> None:
        super().__init__()
        channels, self.shape = format.channels, format.shape
        fold = 2 ** len(widths)
        self.view = LogMelView(format.length, channels, format.sample_rate, n_fft, hop_length, n_mels, fold=fold)
        _, rows, columns = self.view.shape
        self.convs = StridedConvs([channels, *widths])
        self.hidden = nn.Linear(widths[-1] * (rows // fold) * (columns // fold), hidden)
        self.apply(init_he)

    def forward(self, signal: Tensor) -> Tensor:
        check_tensor(self, "signal", signal, self.shape)
        return F.leaky_relu(self.hidden(self.convs(self.view(signal)).flatten(1)), 0.2)


class ToneNoiseEncoder(nn.Module):
    """From sounds `[B, channels, length]` and inputs to means and log-variances of latents `[B, latent_dim]`.

    Arguments as in the generator and in `LogMelView`; `widths` and `hidden` are those of the `MelTrunk`. With partials
    it also receives their frequencies, which are finer than the bands of a log-mel picture.
    """

    def __init__(
        self,
        format: SoundFormat,
        latent_dim: int = 64,
        classes: int = 0,
        knobs: int = 0,
        n_fft: int = 512,
        hop_length: int = 256,
        widths: Sequence[int] = (16, 32, 64, 96),
        hidden: int = 256,
        partials: int = 0,
    ) -> None:
        super().__init__()
        self.latent_dim, self.classes, self.knobs = latent_dim, classes, knobs
        self.takes = input_names(classes=classes, knobs=knobs)
        self.trunk = MelTrunk(format, n_fft, hop_length, widths, hidden)
        self.meter = PartialMeter(partials, format.length, hop_length, format.sample_rate) if partials else None
        rung = 0 if self.meter is None else 2 * self.meter.count
        self.out = nn.Linear(hidden + rung + classes + knobs, 2 * latent_dim)

    def forward(
        self, signal: Tensor, classes: Tensor | None = None, knobs: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        check_inputs(self, classes=classes, knobs=knobs)
        parts = [self.trunk(signal)]
        if self.meter is not None:
            parts.append(4 * self.meter.summary(signal))
        parts += [part for part in (classes, knobs) if part is not None]
        mean, log_variance = self.out(torch.cat(parts, dim=1)).chunk(2, dim=1)
        return mean, log_variance.clamp(-8, 2)


class Listener(nn.Module):
    """From sounds `[B, channels, length]` to class logits `[B, classes]` and estimates of knobs `[B, knobs]`.

    It combines an auxiliary classifier (Odena, Olah & Shlens, ICML 2017) and DrumGAN's regression of continuous
    controls (Nistal, Lattner & Richard, ISMIR 2020, section 3.3), in a network of its own that learns from real sounds
    only. A second trunk receives the first eight hops in frames of a quarter of the length, because attacks are short.
    Arguments as in `ToneNoiseEncoder`.
    """

    def __init__(
        self,
        format: SoundFormat,
        classes: int = 0,
        knobs: int = 0,
        n_fft: int = 512,
        hop_length: int = 256,
        widths: Sequence[int] = (16, 32, 64, 96),
        hidden: int = 128,
    ) -> None:
        super().__init__()
        self.classes, self.knobs = classes, knobs
        self.trunk = MelTrunk(format, n_fft, hop_length, widths, hidden)
        self.beginning = min(8 * hop_length, format.length)
        fine = n_fft // 4, hop_length // 8, tuple(widths[:3]), hidden // 2, 32
        self.onset = MelTrunk(replace(format, length=self.beginning), *fine)
        self.out = nn.Linear(hidden + hidden // 2, classes + knobs)

    def forward(self, signal: Tensor) -> tuple[Tensor, Tensor]:
        features = torch.cat([self.trunk(signal), self.onset(signal[..., : self.beginning])], dim=1)
        logits, knobs = self.out(features).split([self.classes, self.knobs], dim=1)
        return logits, knobs


def positions(count: int, channels: int) -> Tensor:
    """`[1, count, channels]`: what tells frames apart to begin with, sines of up to four turns of logarithmic time.

    Smooth, as numbers drawn for each frame alone stay in what is made: levels that jump from frame to frame.
    """
    time = torch.arange(count).div(2).log1p() / math.log1p(max(count - 1, 1) / 2)
    turns, phase = torch.rand(2, channels)
    return 0.14 * (2 * math.pi * (4 * time[:, None] * turns + phase)).sin()[None]


def smoothstep(x: Tensor) -> Tensor:
    """From 0 at 0 to 1 at 1 and beyond, level at both."""
    x = x.clamp_max(1.0)
    return x * x * (3 - 2 * x)


def energy(wave: Tensor) -> Tensor:
    """`[B, T]` -> `[B, 1]`, never 0."""
    return wave.square().sum(1, keepdim=True) + 1e-8


def trailing_sum(x: Tensor, n: int) -> Tensor:
    """`[..., T]` -> `[..., T]`: the sum of a sample and the ``n - 1`` before it, silence before the first."""
    total = x.cumsum(-1)
    return total - F.pad(total, (n, 0))[..., : total.shape[-1]]


def interpolation(bands: int, bins: int, sample_rate: int) -> Tensor:
    """`[bands, bins]`: a level a bin of levels at equal distances on the mel scale, straight lines between."""
    mel = 2595 * torch.log10(1 + torch.linspace(0, sample_rate / 2, bins, dtype=torch.float64) / 700)
    place = mel / mel[-1] * (bands - 1)
    return (1 - (torch.arange(bands)[:, None] - place).abs()).clamp_min(0).float()
