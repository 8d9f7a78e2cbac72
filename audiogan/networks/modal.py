"""ModalNoise: a generator of drum hits at full bandwidth from modes (damped sinusoids) and filtered noise.

The generator follows spectral modeling synthesis like `audiogan.networks.tonenoise`, with four differences. Damped
sinusoids with constant frequencies and exponential decays (modes) cover the whole range, as in modal synthesis (Cook,
"Physically informed sonic modeling", Computer Music Journal 1997; Shier et al., "Differentiable modelling of percussive
audio with transient and spectral synthesis", Forum Acusticum 2023). The frequencies of all modes glide together,
because a stroke raises the tension of a drum's membrane for a moment. A complex spectrum is predicted for the first
frames only. The side signal of stereo sounds consists of noise alone. Therefore the synthesis of 1.5 s in stereo at
44.1 kHz takes less time than that of 1 s with `ToneNoiseGenerator`.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from audiogan.core.engine import to_float64
from audiogan.networks.frame_generator import LOG_LEVEL_RANGE, FrameGenerator
from audiogan.networks.tonenoise_blocks import energy, mel_interpolation
from audiogan.representations.modes import GLIDE_SECONDS, ModeBands, window_transform
from audiogan.representations.partials import Partials
from audiogan.representations.sound_format import SoundFormat
from audiogan.representations.stft import Frames

DECAY_RANGE = 0.02, 8.0
"""Shortest and longest time in which a mode decays by 60 dB, in seconds."""
GLIDE_TIME_RANGE = 0.008, 0.12
"""Shortest and longest time constant of a glide, in seconds."""
GLIDE_START = 0.005
"""Time of the stroke, in seconds. Recordings begin this long before their onset."""
NOISE_FRAMES = 4096
"""Smallest number of frames of the stored noise signal. In training, each sound gets a random part of this signal."""
FINE_STEPS = 8
"""Number of values per frame in the fine envelope, see the argument ``fine_frames`` of `ModalNoiseGenerator`."""


@lru_cache(maxsize=4)
def noise_spectrum(n_fft: int, hop_length: int, frames: int, device: str) -> Tensor:
    """Return real and imaginary parts `[2, frames, bins]` of the STFT of white noise, scaled to variance 1.

    NumPy's `RandomState` makes the same numbers on every machine, so stored models need not contain the noise.
    """
    wave = np.random.RandomState(0).standard_normal((frames - 1) * hop_length + n_fft).astype(np.float32)
    window = torch.hann_window(n_fft, dtype=torch.float64).float()
    window = window * (window.square().sum() / 2).rsqrt()
    spectrum = torch.fft.rfft(torch.from_numpy(wave).unfold(0, n_fft, hop_length) * window)
    return torch.stack([spectrum.real, spectrum.imag]).to(device)


class ModalNoiseGenerator(FrameGenerator):
    """ModalNoise generator: latents `[B, latent_dim]`, class weights and knobs to sounds `[B, channels, length]`.

    In training mode each sound gets another part of a long noise signal. In evaluation mode the noise is a weighted sum
    of a few parts of this signal, and the first components of the latent are the weights. A sound then depends on its
    inputs only.

    Args:
        format: sample rate, length and channels of the sounds. The side signal of stereo sounds consists of noise and
            can be exactly 0.
        latent_dim: size of the latent, which is standard normal.
        classes: number of classes; 0: unconditional. The class weights `[B, classes]` sum to 1.
        knobs: number of knobs; 0: none. The input `[B, knobs]` consists of normal scores (standard normal quantiles).
        n_fft: window length of the inverse STFT, in samples.
        hop_length: hop of the inverse STFT, in samples.
        width: number of channels of a frame in the network.
        blocks: number of `FrameBlock` layers.
        bands: number of bands of the noise, equally spaced on the mel scale.
        style_dim: size of the style, the output of the mapping network.
        noises: number of parts of the noise signal that are mixed in evaluation mode.
        first_frames: smallest allowed number of frames before the first upsampling layer.
        transient_frames: number of frames at the beginning of a sound for which a complex spectrum is predicted; 0:
            none.
        fine_frames: number of frames at the beginning of a sound whose gain changes eight times per frame; 0: none.
            These gains shape short bursts, such as those of a hand clap.
        emphasis: factor on class weights in evaluation mode. Values above 1 make classes more distinct.

    Examples:
        >>> import torch
        >>> from audiogan.networks.modal import ModalNoiseGenerator
        >>> from audiogan.representations import SoundFormat
        >>> ModalNoiseGenerator(SoundFormat(8192), latent_dim=8, width=16, blocks=1)(latent=torch.zeros(2, 8)).shape
        torch.Size([2, 1, 8192])
    """

    bands: Tensor
    low: Tensor
    high: Tensor
    starts: Tensor
    times: Tensor
    glide_times: Tensor

    def __init__(
        self,
        format: SoundFormat,
        latent_dim: int = 64,
        classes: int = 0,
        knobs: int = 0,
        n_fft: int = 1024,
        hop_length: int = 512,
        width: int = 128,
        blocks: int = 3,
        bands: int = 64,
        style_dim: int = 256,
        noises: int = 8,
        first_frames: int = 16,
        transient_frames: int = 6,
        fine_frames: int = 16,
        emphasis: float = 1.0,
    ) -> None:
        length, channels, rate = format.length, format.channels, format.sample_rate
        modes = ModeBands(rate)
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
            upsampling="linear",
            body=True,
            emphasis=emphasis,
            extra_properties=(2, 3 * len(modes)),
        )
        # The extra properties are the glide (octaves and time), and frequency, level and decay of each mode.
        with torch.no_grad():
            *_, glide, placed = self.affine.bias.split(self.styled)
            glide.copy_(torch.tensor([-3.0, 0.0]))  # Initially, glides start 5 % above the final frequency.
            placed.view(3, -1)[1].fill_(-4.0)  # Modes are quiet at the start of training.
        self.modes = len(modes)
        count, bins, beginning = self.frames.count, self.frames.bins, len(self.seconds)
        self.transient_frames = min(transient_frames, 1 + beginning // hop_length)
        self.fine_frames = min(fine_frames, beginning // hop_length)
        if self.transient_frames:
            size = max(self.transient_frames - 1, 1) * hop_length
            self.beginning = Frames(size, n_fft, hop_length, pad=n_fft // 2)
            self.transient_frames = self.beginning.count
        self.out = nn.Linear(width, channels * bands)
        self.transient = nn.Linear(width, 2 * bins if self.transient_frames else 0)
        self.fine = nn.Linear(width, FINE_STEPS if self.fine_frames else 0)
        with torch.no_grad():
            for layer, std, bias in ((self.out, 0.05, -3.0), (self.transient, 0.02, 0.0), (self.fine, 0.01, 0.0)):
                nn.init.normal_(layer.weight, std=std)
                nn.init.constant_(layer.bias, bias)
        between = mel_interpolation(bands, bins, rate)
        between[:, 0] = 0.0  # Sounds have no offset.
        self.register_buffer("bands", between, persistent=False)
        edges = modes.edges.float()
        self.register_buffer("low", edges[: modes.low].mean(1), persistent=False)
        self.register_buffer("high", edges[modes.low :].mean(1), persistent=False)
        self.reach = [float((part[:, 1] - part[:, 0]).amax() / 2) for part in edges.split([modes.low, len(self.high)])]
        # The phases of the high modes differ, so that they do not begin with a click. The fractional parts of multiples
        # of the golden ratio are evenly distributed.
        starts = (torch.arange(len(self.high)) * 0.6180339887) % 1
        self.register_buffer("starts", starts, persistent=False)
        self.partials = Partials(modes.low, length, hop_length, rate)
        self.register_buffer("times", torch.arange(count) * (hop_length / rate), persistent=False)
        self.register_buffer("glide_times", torch.tensor(GLIDE_SECONDS), persistent=False)
        self._store_noise(min(noises, latent_dim))

    def _store_noise(self, noises: int) -> None:
        """Store the noise for evaluation mode, `[noises, D]`: parts of the training noise at regular intervals."""
        self._noise_size = self.frames.n_fft, self.frames.hop_length, max(NOISE_FRAMES, 2 * self.frames.count)
        count, channels = self.frames.count, self.shape[0]
        starts = torch.linspace(0, self._noise_size[2] - count, noises * channels).long().tolist()
        pool = noise_spectrum(*self._noise_size, "cpu")
        parts = torch.stack([pool[:, start : start + count] for start in starts])
        self.register_buffer("noise", parts.view(noises, -1), persistent=False)

    def draw_noise(self, latent: Tensor) -> Tensor:
        """Return noise as real and imaginary planes of an STFT `[B, channels, 2, N, F]`, for latents `[B, D]`."""
        size = self.shape[0], 2, self.frames.count, self.frames.bins
        if self.training:
            pool = noise_spectrum(*self._noise_size, str(latent.device))
            starts = torch.randint(pool.shape[1] - size[2] + 1, (len(latent) * size[0],)).tolist()
            noise = torch.stack([pool[:, start : start + size[2]] for start in starts])
            return noise.unflatten(0, (len(latent), size[0]))
        return self.mix_noises(latent).unflatten(1, size)

    def forward_with_aux(
        self, latent: Tensor, classes: Tensor | None = None, knobs: Tensor | None = None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return sounds and predicted properties for auxiliary targets, see `audiogan.losses.AuxiliaryTarget`.

        Args:
            latent: latents `[B, latent_dim]`.
            classes: class weights `[B, classes]`.
            knobs: knob settings as normal scores (standard normal quantiles), `[B, knobs]`.

        Returns:
            Sounds `[B, channels, length]` and a dictionary of properties. ``modes`` `[B, K]`: frequencies in octaves
            above 1 Hz. ``glide`` `[B, 9]`: ratios of a frequency to its value after the glide, in octaves, at the times
            `GLIDE_SECONDS`. ``width`` `[B]`, for stereo sounds: RMS ratio of side to mid signal.
        """
        x, (rise, body, side, glide, modes) = self.predict_frames(latent, classes, knobs)
        channels, length = self.shape
        levels = self.out(x).clamp(*LOG_LEVEL_RANGE).exp().unflatten(2, (channels, -1)).transpose(1, 2)
        amplitudes = levels @ self.bands
        amplitudes = amplitudes * self.body_gains(body)[:, None, None]
        octaves, amounts, factor, warped = self.place_modes(modes, glide)
        noise = self.draw_noise(latent)
        predicted = {"modes": octaves, "glide": self.glide_factor(glide, self.glide_times).log2()}
        low = len(self.low)
        tones = self.partials(octaves[:, :low, None] + factor[:, None].log2(), amounts[:, :low])
        middle = self.add_modes(noise[:, 0] * amplitudes[:, 0, None], octaves, amounts, warped)
        middle = self.frames.synthesise(torch.complex(*middle.float().unbind(1)))
        rest = [len(self.seconds), length - len(self.seconds)]
        (begun, middle), (rung, tones) = middle.split(rest, dim=1), tones.split(rest, dim=1)
        fine, gain = self.fine_envelope(x), self.onset_gain(rise)
        if self.transient_frames:
            begun = begun + self.transient_wave(x)
        middle = torch.cat([(begun * fine + rung) * gain, middle + tones], dim=1)
        if channels == 2:
            predicted["width"] = side[:, 0]
            other = noise[:, 1] * amplitudes[:, 1, None]
            begun, other = self.frames.synthesise(torch.complex(*other.float().unbind(1))).split(rest, dim=1)
            other = torch.cat([begun * (fine * gain), other], dim=1)
            other = other * ((energy(middle) / energy(other)).sqrt() * F.relu(side))
            wave = torch.stack([middle + other, middle - other], dim=1)
        else:
            wave = middle[:, None]
        return self.fade_out(wave), predicted

    def glide_factor(self, glide: Tensor, times: Tensor) -> Tensor:
        """Return the ratios `[B, T]` of frequencies to their values after the glide.

        Args:
            glide: logits `[B, 2]` of the height and the time constant of the glide.
            times: times in seconds, `[T]`.
        """
        height, constant = self.glide_shape(glide)
        return 1 + height * (-(times - GLIDE_START).clamp_min(0) / constant).exp()

    def glide_shape(self, glide: Tensor) -> tuple[Tensor, Tensor]:
        """Return the relative height of the glide at the stroke and its time constant in seconds, both `[B, 1]`."""
        height, constant = glide.float().split(1, dim=1)
        low, high = map(math.log, GLIDE_TIME_RANGE)
        return height.clamp_max(2.0).exp(), (low + (high - low) * torch.sigmoid(constant)).exp()

    def place_modes(self, modes: Tensor, glide: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return frequencies `[B, K]` in octaves above 1 Hz, amplitudes `[B, K, N]`, the glide's factor `[B, N]`, and
        the warped time `[B, N]` in seconds, by which frequencies are multiplied to obtain phases."""
        place, level, decay = modes.float().unflatten(1, (3, -1)).unbind(1)
        place = torch.tanh(place)
        low = len(self.low)
        octaves = torch.cat(
            [self.low + self.reach[0] * place[:, :low], self.high + self.reach[1] * place[:, low:]], dim=1
        )
        fast, slow = (math.log(1000) / seconds for seconds in DECAY_RANGE)
        rate = (math.log(slow) + math.log(fast / slow) * torch.sigmoid(decay)).exp()
        amounts = (level[..., None].clamp(*LOG_LEVEL_RANGE) - rate[..., None] * self.times).exp()
        with torch.no_grad():
            # The warped time is the integral of the glide factor over time.
            height, constant = self.glide_shape(glide)
            late = (self.times - GLIDE_START).clamp_min(0)
            warped = self.times + height * (self.times - late + constant * (1 - (-late / constant).exp()))
        return octaves, amounts, self.glide_factor(glide, self.times), warped

    def add_modes(self, planes: Tensor, octaves: Tensor, amounts: Tensor, warped: Tensor) -> Tensor:
        """Return the planes `[B, 2, N, F]` of a spectrum with the high modes added.

        Gradients flow to amplitudes only, because gradients of phases do not help to learn frequencies.
        """
        low, (count, bins) = len(self.low), planes.shape[2:]
        with torch.no_grad():
            hertz = octaves[:, low:].exp2()
            cycles = (to_float64(hertz[..., None]) * to_float64(warped[:, None])) % 1
            turns = 2 * math.pi * (cycles.float() + self.starts[:, None])
            shapes = window_transform(hertz * (self.frames.n_fft / self.sample_rate), bins)
            # A sine is the real part of -i e^(i phase).
            rotation = torch.stack([turns.sin(), -turns.cos()], dim=1)
        amounts = (amounts[:, None, low:] * rotation).transpose(2, 3).flatten(1, 2)
        return torch.baddbmm(planes.flatten(1, 2), amounts, shapes).unflatten(1, (2, count))

    def transient_wave(self, x: Tensor) -> Tensor:
        """Return the transient: a waveform `[B, samples]` for the first samples of a sound.

        It is predicted from the frames `x` of the network, `[B, N, channels]`.
        """
        planes = self.transient(x[:, : self.transient_frames]).float().chunk(2, dim=2)
        wave = self.beginning.synthesise(torch.complex(*planes))
        return F.pad(wave, (0, len(self.seconds) - wave.shape[1]))

    def fine_envelope(self, x: Tensor) -> Tensor:
        """Return the fine envelope: a gain for each of the first samples of a sound, `[B, samples]`.

        It is predicted from the frames `x` of the network, `[B, N, channels]`.
        """
        size = len(self.seconds)
        if not self.fine_frames:
            return torch.ones_like(self.seconds)
        logs = self.fine(x[:, : self.fine_frames]).flatten(1).clamp(-6, 3)
        shaped = min(logs.shape[1] * (self.frames.hop_length // FINE_STEPS), size)
        # The last value is 0, so that the envelope ends without a jump.
        logs = F.interpolate(F.pad(logs, (0, 1))[:, None], shaped + 1, mode="linear", align_corners=True)[:, 0, :shaped]
        return F.pad(logs.exp(), (0, size - shaped), value=1.0)
