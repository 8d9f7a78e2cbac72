"""Base class of the ToneNoise and ModalNoise generators, which predict a sound frame by frame."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from audiogan.networks.checks import check_inputs, check_sizes, input_names
from audiogan.networks.frame_blocks import DOUBLINGS, FrameBlock, initial_positions
from audiogan.networks.tonenoise_blocks import smoothstep
from audiogan.representations.sound_format import SoundFormat
from audiogan.representations.stft import Frames

FASTEST_RISE, SLOWEST_RISE = 0.0005, 0.2
"""Shortest and longest rise time of the gain that shapes the attack of a sound, in seconds."""
LOG_LEVEL_RANGE = -12.0, 6.0
"""Range of the predicted levels of bands and partials, as natural logarithms of amplitudes."""
EARLY_GAIN, EARLY_SECONDS = 0.1, 0.002
"""Lower bound of the gain at the beginning of a sound, and time in seconds in which this bound rises from 0.

A slower rise would only delay the sound, because a gain below 0.1 is inaudible.
"""
FADE_OUT_SECONDS = 0.01
"""Length of the fade-out at the end of generated sounds in evaluation mode, in seconds. It avoids a click."""
BODY_SCALE = 3.0
"""Factor on the predicted log gains of STFT bins (argument ``body``), so that training changes them faster."""
MAX_BODY_GAIN = 6.0
"""Largest absolute log gain (natural logarithm) of an STFT bin, for the argument ``body``."""


class FrameGenerator(nn.Module):
    """Base class of generators that map a latent to frames `[B, N, width]` and to properties of the whole sound.

    A mapping network computes a style. One dense layer maps the style to the first frames, the modulation of the
    blocks, and the properties. The frames are upsampled to ``N`` frames and pass through `FrameBlock` layers.
    Subclasses synthesise the sound in `forward_with_aux`, and register the buffer ``noise`` `[noises, D]`, which
    contains the flattened spectra of the stored noise signals.

    Args:
        format: sample rate, length and channels of the sounds.
        latent_dim: size of the latent, which is standard normal.
        classes: number of classes; 0: unconditional.
        knobs: number of knobs; 0: none.
        n_fft: window length of the inverse STFT, in samples.
        hop_length: hop of the inverse STFT, in samples.
        width: number of channels of a frame in the network.
        blocks: number of `FrameBlock` layers.
        bands: number of frequency bands of the noise.
        style_dim: size of the style, the output of the mapping network.
        noises: number of stored noise signals, which are mixed in evaluation mode.
        first_frames: smallest allowed number of frames before the first upsampling layer.
        upsampling: upsampling of frames by 2, a key of `audiogan.networks.frame_blocks.DOUBLINGS`.
        body: predict for each STFT bin a gain that is constant over a sound.
        emphasis: factor on class weights in evaluation mode.
        extra_properties: sizes of further properties, which follow rise time, body gains and stereo width.
    """

    latent = "normal"
    input_gains: Tensor
    seconds: Tensor
    minimum_gain: Tensor
    fade_out_gain: Tensor
    noise: Tensor

    def __init__(
        self,
        format: SoundFormat,
        *,
        latent_dim: int,
        classes: int,
        knobs: int,
        n_fft: int,
        hop_length: int,
        width: int,
        blocks: int,
        bands: int,
        style_dim: int,
        noises: int,
        first_frames: int,
        upsampling: str,
        body: bool,
        emphasis: float,
        extra_properties: Sequence[int] = (),
    ) -> None:
        super().__init__()
        check_sizes(self, latent_dim=latent_dim, width=width, bands=bands, style_dim=style_dim)
        check_sizes(self, noises=noises, first_frames=first_frames)
        self.shape, self.latent_dim, self.classes, self.knobs = format.shape, latent_dim, classes, knobs
        self.sample_rate, stereo = format.sample_rate, int(format.channels == 2)
        self.takes = input_names(latent=latent_dim, classes=classes, knobs=knobs)
        input_gains = [1.0] * latent_dim + [emphasis] * classes + [1.0] * knobs
        self.register_buffer("input_gains", torch.tensor(input_gains), persistent=False)
        self.frames = Frames(format.length, n_fft, hop_length, pad=n_fft // 2)
        count = self.frames.count
        first = nn.Linear(latent_dim + classes + knobs, style_dim)
        # Initial weights are scaled so that class, knobs and latent contribute equally to the first layer.
        with torch.no_grad():
            first.weight[:, latent_dim : latent_dim + classes] *= latent_dim**0.5
            first.weight[:, latent_dim + classes :] *= (latent_dim / max(1, knobs)) ** 0.5
        self.mapping = nn.Sequential(first, nn.LeakyReLU(0.2), nn.Linear(style_dim, style_dim), nn.LeakyReLU(0.2))
        doublings = max(0, int(math.log2(count / first_frames)))
        first_frames = math.ceil(count / 2**doublings)
        properties = [1, self.frames.bins * body, stereo, *extra_properties]
        self.styled = [width * first_frames, 2 * width * blocks, *properties]
        self.affine = nn.Linear(style_dim, sum(self.styled))
        with torch.no_grad():
            for part in self.affine.weight.split(self.styled)[1:]:
                part.normal_(std=0.3 / style_dim**0.5)
            # The initial rise time is about 1 ms (-2), and the initial stereo width is 0.3.
            _, modulation, rise, gains, side, *extra = self.affine.bias.split(self.styled)
            rise.fill_(-2.0)
            side.fill_(0.3)
            for part in (modulation, gains, *extra):
                part.zero_()
        self.ups = nn.ModuleList(DOUBLINGS[upsampling](width, first_frames << i) for i in range(doublings))
        self.position = nn.Parameter(initial_positions(count, width))
        self.blocks = nn.ModuleList(FrameBlock(width) for _ in range(blocks))
        # Times in seconds of the first samples of a sound, to which the onset gain is applied.
        seconds = torch.arange(min(math.ceil(SLOWEST_RISE * self.sample_rate), format.length)) / self.sample_rate
        self.register_buffer("seconds", seconds, persistent=False)
        self.register_buffer("minimum_gain", EARLY_GAIN * smoothstep(seconds / EARLY_SECONDS), persistent=False)
        fade_out = FADE_OUT_SECONDS * self.sample_rate
        fade_out_gain = smoothstep(torch.arange(min(round(fade_out), format.length)).flip(0) / fade_out)
        self.register_buffer("fade_out_gain", fade_out_gain, persistent=False)

    def forward(self, latent: Tensor, classes: Tensor | None = None, knobs: Tensor | None = None) -> Tensor:
        return self.forward_with_aux(latent, classes, knobs)[0]

    def forward_with_aux(
        self, latent: Tensor, classes: Tensor | None = None, knobs: Tensor | None = None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return sounds `[B, channels, length]` and a dictionary of predicted properties for auxiliary targets.

        The arguments are those of `predict_frames`. Subclasses document the properties.
        """
        raise NotImplementedError

    def predict_frames(
        self, latent: Tensor, classes: Tensor | None, knobs: Tensor | None
    ) -> tuple[Tensor, list[Tensor]]:
        """Return the frames of sounds, `[B, N, width]`, and a list of their properties, each `[B, size]`.

        The properties are rise time, body gains, stereo width, and the extra properties.

        Args:
            latent: latents `[B, latent_dim]`.
            classes: class weights `[B, classes]`.
            knobs: knob settings as normal scores, `[B, knobs]`.
        """
        check_inputs(self, latent=latent, classes=classes, knobs=knobs)
        x = torch.cat([latent, *(part for part in (classes, knobs) if part is not None)], dim=1)
        if not self.training:
            x = x * self.input_gains
        x, modulation, *properties = self.affine(self.mapping(x)).split(self.styled, dim=1)
        x = x.unflatten(1, (-1, self.position.shape[2]))
        for up in self.ups:
            x = F.leaky_relu(up(x), 0.2)
        x = x[:, : self.frames.count] + self.position
        scales, shifts = modulation.unflatten(1, (2, len(self.blocks), 1, -1)).unbind(1)
        for block, scale, shift in zip(self.blocks, (1 + scales).unbind(1), shifts.unbind(1), strict=True):
            x = block(x, scale, shift)
        return F.layer_norm(x, x.shape[2:]), properties

    def mix_noises(self, latent: Tensor) -> Tensor:
        """Return mixtures of the stored noise signals for latents `[B, latent_dim]`, as flattened spectra `[B, D]`."""
        if len(self.noise) == 1:
            return self.noise.expand(len(latent), -1)
        shares = latent[:, : len(self.noise)] + 1e-4
        return shares * (shares.square().sum(1, keepdim=True) + 1e-12).rsqrt() @ self.noise

    def body_gains(self, body: Tensor) -> Tensor:
        """Return the gains of STFT bins `[B, F]` for the outputs `[B, F]` of the network that encode them."""
        return (BODY_SCALE * body).clamp(-MAX_BODY_GAIN, MAX_BODY_GAIN).exp()

    def onset_gain(self, rise_logits: Tensor) -> Tensor:
        """Return the gain `[B, samples]` at the beginning of a sound, which rises from 0 to 1.

        Args:
            rise_logits: logits `[B, 1]` of the rise time. A sigmoid maps them to 0.5 ... 200 ms on a logarithmic scale.
        """
        seconds = FASTEST_RISE * (math.log(SLOWEST_RISE / FASTEST_RISE) * torch.sigmoid(rise_logits.float())).exp()
        return torch.maximum(smoothstep(self.seconds / seconds), self.minimum_gain)

    def fade_out(self, wave: Tensor) -> Tensor:
        """Fade out sounds `[B, C, length]` in place in evaluation mode, and return them."""
        if not self.training:
            wave[..., wave.shape[-1] - len(self.fade_out_gain) :] *= self.fade_out_gain
        return wave
