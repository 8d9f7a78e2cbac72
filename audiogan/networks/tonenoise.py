"""ToneNoise: a generator of drum hits and spoken words from tones and filtered noise, and its auxiliary networks.

The auxiliary networks are a VAE encoder and the auxiliary classifier and knob regressor (`listener`).

A sound is the sum of a deterministic and a stochastic part, as in spectral modeling synthesis (Serra & Smith, Computer
Music Journal 1990). The deterministic part consists of a few sinusoids and a complex STFT. The stochastic part is white
noise. Of the noise, the network predicts only the level in each band and frame, so it does not have to learn phases.
The network predicts STFT frames, and an inverse STFT computes the sound (iSTFTNet: Kaneko et al., ICASSP 2022; Vocos:
Siuzdak, ICLR 2024). Its layers are ConvNeXt blocks (Liu et al., CVPR 2022) with FiLM modulation (Perez et al., AAAI
2018). Frames are too long for the attack of a drum. Therefore a gain with a learned rise time is applied to the
beginning of the sound.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from audiogan.networks.checks import check_inputs, input_names
from audiogan.networks.frame_blocks import DOUBLINGS
from audiogan.networks.frame_generator import LOG_LEVEL_RANGE, FrameGenerator
from audiogan.networks.tonenoise_blocks import MelTrunk, energy, mel_interpolation, trailing_sum
from audiogan.networks.voice import LOWEST_HZ, OCTAVES, minimum_phase, pulse_train
from audiogan.representations.partials import PartialMeter, Partials
from audiogan.representations.sound_format import SoundFormat

HIGH_PASS_HZ = 20.0
"""Cutoff frequency of a high-pass filter on generated sounds, in Hz. It removes an inaudible offset."""


class ToneNoiseGenerator(FrameGenerator):
    """ToneNoise generator: latents `[B, latent_dim]`, class weights and knobs to sounds `[B, channels, length]`.

    In training mode noise is drawn anew in each call. In evaluation mode it is a weighted sum of a few stored noise
    signals, and the first components of the latent are the weights. A sound then depends on its inputs only.

    Args:
        format: sample rate, length and channels of the sounds. Stereo sounds are generated as mid and side signals. The
            side signal can be exactly 0, because a critic would detect any side signal where recordings are mono.
        latent_dim: size of the latent, which is standard normal.
        classes: number of classes; 0: unconditional. The class weights `[B, classes]` sum to 1.
        knobs: number of knobs; 0: none. The input `[B, knobs]` consists of normal scores (standard normal quantiles).
        n_fft: window length of the inverse STFT, in samples.
        hop_length: hop of the inverse STFT, in samples.
        width: number of channels of a frame in the network.
        blocks: number of `FrameBlock` layers.
        bands: number of bands of the noise, equally spaced on the mel scale.
        style_dim: size of the style, the output of the mapping network.
        voice: generate speech: replace the tones by a pulse train with a predicted pitch and a minimum-phase filter,
            because predicted STFT frames would make a voice buzz at the frame rate.
        partials: number of sinusoids for percussion, one in each half octave from 35 Hz, see `Partials`; 0: none.
        tones_from: lowest frequency in Hz of the tones in the STFT. Below it only partials and noise remain.
        noises: number of stored noise signals that are mixed in evaluation mode, 1 or more. With 1, all sounds have the
            same noise.
        first_frames: smallest allowed number of frames before the first upsampling layer.
        upsampling: upsampling of frames by 2, ``linear`` or ``transposed``. ``transposed`` is for older models.
        body: predict for each STFT bin a gain that is constant over a sound. The gains model resonances that are
            narrower than a noise band, such as those of cymbals.
        emphasis: factor on class weights in evaluation mode. Values above 1 make classes more distinct.

    Examples:
        >>> import torch
        >>> from audiogan.networks.tonenoise import ToneNoiseGenerator
        >>> from audiogan.representations import SoundFormat
        >>> ToneNoiseGenerator(SoundFormat(4096), latent_dim=8, width=16, blocks=1)(latent=torch.zeros(2, 8)).shape
        torch.Size([2, 1, 4096])
    """

    bands: Tensor
    phases: Tensor

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
        if upsampling not in DOUBLINGS:
            raise ValueError(f"upsampling={upsampling!r} must be one of {', '.join(DOUBLINGS)}")
        super().__init__(
            format,
            latent_dim=latent_dim,
            classes=classes,
            knobs=knobs,
            n_fft=n_fft,
            hop_length=hop_length,
            width=width,
            blocks=blocks,
            bands=bands,
            style_dim=style_dim,
            noises=noises,
            first_frames=first_frames,
            upsampling=upsampling,
            body=body,
            emphasis=emphasis,
        )
        length, channels, sample_rate, bins = format.length, format.channels, format.sample_rate, self.frames.bins
        self.voice = voice
        self.first = min(math.ceil(tones_from * n_fft / sample_rate), bins)
        tones = bands if voice else 2 * (bins - self.first)
        # A frame has three groups of outputs. With a voice: its levels, the levels of the noise, and the pitch of the
        # voice. Without a voice: real and imaginary parts of the tones, the levels of the noise, and the gain of the
        # tones.
        self.sizes = [tones, bands, 1]
        self.out = nn.Linear(width, channels * sum(self.sizes))
        nn.init.normal_(self.out.weight, std=0.05)
        with torch.no_grad():  # Noise and voice are quiet at the start of training.
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
        self.high_pass_window = min(round(sample_rate / HIGH_PASS_HZ), length)
        between = mel_interpolation(bands, bins, sample_rate)
        # Each column is repeated, because real and imaginary parts of a bin have the same level.
        self.register_buffer("bands", between.repeat_interleave(2, dim=1), persistent=False)
        if voice:
            self.register_buffer("phases", minimum_phase(between), persistent=False)
        noise = torch.randn(min(noises, latent_dim), channels, length)
        self.register_buffer("noise", self.to_spectra(noise).flatten(1))

    def to_spectra(self, wave: Tensor) -> Tensor:
        """Return the STFT `[B, C, N, F, 2]` of sounds `[B, C, length]`, scaled to variance 1 for white noise.

        The last dimension contains real and imaginary parts. Noise is drawn as a waveform, because independent numbers
        for each STFT bin would not be the STFT of any signal, and the resulting noise would be 3 dB louder between
        frames.
        """
        scale = (self.frames.window.square().sum() / 2).rsqrt()
        return torch.view_as_real(self.frames.analyse(wave)) * scale

    def forward_with_aux(
        self, latent: Tensor, classes: Tensor | None = None, knobs: Tensor | None = None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return sounds and predicted properties for auxiliary targets, see `audiogan.losses.AuxiliaryTarget`.

        Args:
            latent: latents `[B, latent_dim]`.
            classes: class weights `[B, classes]`.
            knobs: knob settings as normal scores (standard normal quantiles), `[B, knobs]`.

        Returns:
            Sounds `[B, channels, length]` and a dictionary of properties: ``pitch`` `[B, frames]`, in octaves above 1
            Hz, with a voice; ``partials`` `[B, K, frames]`, in octaves above 1 Hz, with partials; ``width`` `[B]`, the
            RMS ratio of side to mid signal, for stereo sounds. Sounds with a width of 0 or less are mono.
        """
        frames, (rise, body, side) = self.predict_frames(latent, classes, knobs)
        channels, length = self.shape
        x = self.out(frames).unflatten(2, (channels, -1)).transpose(1, 2)
        shape, band, last = x.split(self.sizes, dim=3)
        if self.training:
            noise = self.to_spectra(torch.randn(len(x), *self.shape, device=x.device))
        else:
            noise = self.mix_noises(latent)
        amplitudes, predicted = self.bin_amplitudes(band.clamp(*LOG_LEVEL_RANGE)), {}
        spectrum = amplitudes * noise.view_as(amplitudes)
        if self.voice:
            predicted["pitch"] = pitch = math.log2(LOWEST_HZ) + OCTAVES * torch.sigmoid(last.mean((1, 3)))
            source = self.to_spectra(
                pulse_train(pitch.exp2(), length, self.frames.hop_length, self.sample_rate)[:, None]
            )
            shape = shape.clamp(*LOG_LEVEL_RANGE)
            spectrum = torch.addcmul(spectrum, self.bin_amplitudes(shape), self.filter_phases(shape, source))
        else:
            spectrum[..., 2 * self.first :].addcmul_(shape, last.clamp(-10, 6).exp())
        if body.shape[1]:
            spectrum = spectrum * self.body_gains(body).repeat_interleave(2, dim=1)[:, None, None]
        wave = self.frames.synthesise(torch.view_as_complex(spectrum.float().unflatten(3, (-1, 2))))
        if self.partials is not None:
            level, place = self.rung(frames).float().transpose(1, 2).chunk(2, dim=1)
            predicted["partials"] = octaves = self.partials.frequencies_in_octaves(place)
            rung = self.partials(octaves, level.clamp(*LOG_LEVEL_RANGE).exp())[:, None]
            wave = wave + (rung if channels == 1 else F.pad(rung, (0, 0, 0, 1)))  # Partials have no side signal.
        if channels == 2:
            predicted["width"] = side[:, 0]
            middle, other = wave.unbind(1)
            other = other * (energy(middle) / energy(other)).sqrt() * F.relu(side)
            wave = torch.stack([middle + other, middle - other], dim=1)
        wave[..., : len(self.seconds)] *= self.onset_gain(rise)[:, None]
        offset = trailing_sum(trailing_sum(wave, self.high_pass_window), self.high_pass_window)
        return self.fade_out(torch.sub(wave, offset, alpha=self.high_pass_window**-2)), predicted

    def bin_amplitudes(self, band_levels: Tensor) -> Tensor:
        """Return amplitudes of STFT bins `[B, C, N, 2 F]` for natural log amplitudes of bands `[B, C, N, bands]`.

        Each amplitude is repeated for the real and the imaginary part of its bin.
        """
        return band_levels.exp() @ self.bands

    def filter_phases(self, band_levels: Tensor, source: Tensor) -> Tensor:
        """Return source spectra with the phases of a minimum-phase filter added, `[B, C, N, 2 F]`.

        Args:
            band_levels: natural logarithms of the filter's amplitude in each band, `[B, C, N, bands]`.
            source: spectra of pulse trains, `[B, 1, N, F, 2]`.
        """
        (real, imaginary), phase = source.unbind(4), band_levels @ self.phases
        cos, sin = phase.cos(), phase.sin()
        return torch.stack([real * cos - imaginary * sin, real * sin + imaginary * cos], dim=4).flatten(3)


class ToneNoiseEncoder(nn.Module):
    """VAE encoder: sounds `[B, channels, length]` to means and log variances of latents, each `[B, latent_dim]`.

    Args:
        format: sample rate, length and channels of the sounds.
        latent_dim: size of the latent.
        classes: number of classes; 0: unconditional. The class weights `[B, classes]` sum to 1.
        knobs: number of knobs; 0: none. The input `[B, knobs]` consists of normal scores (standard normal quantiles).
        n_fft: window length of the log-mel spectrogram, in samples.
        hop_length: hop of the log-mel spectrogram, in samples.
        widths: channels after each convolution with stride 2.
        hidden: number of features that the convolutions extract from the spectrogram.
        partials: number of partials that are measured as further features, because mel bands are too wide to resolve
            their frequencies; 0: none.

    Examples:
        >>> import torch
        >>> from audiogan.networks.tonenoise import ToneNoiseEncoder
        >>> from audiogan.representations import SoundFormat
        >>> mean, log_variance = ToneNoiseEncoder(SoundFormat(4096), latent_dim=8)(torch.zeros(2, 1, 4096))
        >>> mean.shape
        torch.Size([2, 8])
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
    """Auxiliary classifier and knob regressor (`listener`): sounds `[B, channels, length]` to class logits and knobs.

    The outputs are `[B, classes]` and `[B, knobs]`. The network is trained on real sounds only. Its errors for
    generated sounds are auxiliary losses of the generator, as in ACGAN and DrumGAN. A second feature extractor analyses
    the first eight hops with shorter windows, because attacks are short.

    Args:
        format: sample rate, length and channels of the sounds.
        classes: number of classes.
        knobs: number of knobs, which are estimated as normal scores (standard normal quantiles).
        n_fft: window length of the log-mel spectrogram, in samples. The second extractor uses windows of a quarter
            of this length.
        hop_length: hop of the log-mel spectrogram, in samples. The second extractor uses an eighth of it.
        widths: channels after each convolution with stride 2.
        hidden: number of extracted features. The second extractor has half this number.

    Source:
        Odena, Olah & Shlens (ACGAN), ICML 2017. Nistal, Lattner & Richard (DrumGAN), ISMIR 2020, section 3.3.

    Examples:
        >>> import torch
        >>> from audiogan.networks.tonenoise import Listener
        >>> from audiogan.representations import SoundFormat
        >>> logits, knobs = Listener(SoundFormat(4096), classes=3, knobs=2)(torch.zeros(1, 1, 4096))
        >>> logits.shape, knobs.shape
        (torch.Size([1, 3]), torch.Size([1, 2]))
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
