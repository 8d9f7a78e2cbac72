"""Representations of sounds by their STFT: compressed complex STFT (exact), and log magnitudes as in SpecGAN."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from audiogan.representations.base import Representation
from audiogan.representations.sound_format import SoundFormat

LOG_FLOOR = 1e-6
"""Constant that SpecGAN adds to magnitudes before the logarithm."""
MOMENTUM = 0.99 / 1.99
"""Momentum alpha of fast Griffin-Lim (Perraudin et al. 2013). After 16 iterations, the error is 3 dB smaller than with
plain Griffin-Lim (alpha = 0).
"""


class Frames(nn.Module):
    """STFT with a periodic Hann window, and its least-squares inverse.

    The results equal those of `torch.stft` and `torch.istft`. On a CPU, this class is 2 to 3 times faster. On a GPU, it
    does not wait for the device.

    Args:
        length: length of a wave, in samples.
        n_fft: length of a frame, in samples, even.
        hop_length: distance between frames, in samples, at most ``n_fft / 2``.
        pad: number of zeros before the wave. At least as many zeros follow the wave.

    Attributes:
        count: number of frames N.
        bins: number of frequencies F.
    """

    window: Tensor
    envelope: Tensor

    def __init__(self, length: int, n_fft: int, hop_length: int, pad: int) -> None:
        super().__init__()
        if n_fft < 4 or n_fft % 2:
            raise ValueError(f"n_fft={n_fft} must be even and at least 4")
        if not 1 <= hop_length <= n_fft // 2:
            limits = f"1 ... n_fft/2={n_fft // 2}"
            raise ValueError(f"hop_length={hop_length} must lie in {limits}, or the STFT cannot be inverted")
        if length < hop_length:
            raise ValueError(f"length={length} is shorter than hop_length={hop_length}")
        self.length, self.n_fft, self.hop_length, self.pad = length, n_fft, hop_length, pad
        self.count = 1 + max(0, math.ceil((length + 2 * pad - n_fft) / hop_length))
        self.bins = n_fft // 2 + 1
        self._after = (self.count - 1) * hop_length + n_fft - pad - length
        window = torch.hann_window(n_fft, dtype=torch.float64)
        envelope = self._overlap_add((window**2).expand(1, self.count, n_fft))
        self.register_buffer("window", window.float(), persistent=False)
        self.register_buffer("envelope", envelope.float(), persistent=False)

    def analyse(self, wave: Tensor) -> Tensor:
        """Return the complex STFT `[..., N, F]` of waves `[..., T]`."""
        wave = wave.to(self.window.dtype)  # The FFT supports few sizes in half precision.
        if wave.requires_grad and torch.is_grad_enabled():
            return _Analysis.apply(wave, self)
        return self._spectra(wave)

    def _spectra(self, wave: Tensor) -> Tensor:
        padded = F.pad(wave, (self.pad, self._after))
        return torch.fft.rfft(padded.unfold(-1, self.n_fft, self.hop_length) * self.window)

    def synthesise(self, spectrum: Tensor) -> Tensor:
        """Return the waves `[..., T]` that fit a complex STFT `[..., N, F]` best in the least-squares sense."""
        frames = torch.fft.irfft(spectrum, self.n_fft) * self.window
        wave = self._overlap_add(frames.reshape(-1, self.count, self.n_fft)) / self.envelope
        return wave.reshape(*spectrum.shape[:-2], self.length)

    def _overlap_add(self, frames: Tensor) -> Tensor:
        """Overlap-add frames `[B, N, n_fft]` to waves `[B, T]`. A sum of shifted blocks of one hop is faster than
        `fold`."""
        hop = self.hop_length
        blocks = math.ceil(self.n_fft / hop)
        first, skipped = divmod(self.pad, hop)
        rows = math.ceil((skipped + self.length) / hop)
        before = max(blocks - 1 - first, 0)
        missing = blocks * hop - self.n_fft, before, max(first + rows - self.count, 0)
        parts = (F.pad(frames, (0, *missing)) if any(missing) else frames).unflatten(-1, (blocks, hop))
        terms = [parts[:, before + first - k : before + first - k + rows, k] for k in range(blocks)]
        return sum(terms[1:], terms[0]).flatten(1)[:, skipped : skipped + self.length]


class _Analysis(torch.autograd.Function):
    """STFT with its own gradient, twice differentiable.

    It takes two thirds of the time of autograd's gradient, which adds up frames one by one and uses complex transforms.
    """

    @staticmethod
    def forward(ctx: Any, wave: Tensor, frames: Frames) -> Tensor:
        ctx.frames = frames
        return frames._spectra(wave)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        frames: Frames = ctx.frames
        halved = torch.cat([grad[..., :1], 0.5 * grad[..., 1:-1], grad[..., -1:]], dim=-1)
        each = torch.fft.irfft(halved, frames.n_fft, norm="forward") * frames.window
        wave = frames._overlap_add(each.reshape(-1, frames.count, frames.n_fft))
        return wave.reshape(*grad.shape[:-2], frames.length), None


class ComplexSTFT(Representation):
    """Real and imaginary part of the STFT with power-law compressed magnitudes.

    `shape` is `(2 * channels, n_fft // 2 + 1, frames)`. Channels are ordered re, im, re, im ... Frames are centred on
    multiples of `hop_length`. A coefficient X (1 for a sine of full scale) becomes
    `X * max(|X|, floor) ** (power - 1) / scale`. Below `floor`, the compression is linear. The gradient is therefore
    finite at zero (at most `floor ** (power - 1) / scale`), and the transform can be inverted exactly. `fit` sets
    `scale` to the root mean square of the compressed coefficients of all sounds.

    Source: Nistal et al. 2020, "DrumGAN", section 3.2 (real and imaginary part as channels).

    Examples:
        >>> stft = ComplexSTFT(SoundFormat(length=4096))
        >>> wave = torch.rand(1, 1, 4096) - 0.5
        >>> stft.encode(wave).shape, bool(torch.allclose(stft.decode(stft.encode(wave)), wave, atol=1e-3))
        (torch.Size([1, 2, 129, 33]), True)
    """

    exact = True
    accuracy = ">= 100 dB SNR"
    scale: Tensor

    def __init__(
        self,
        format: SoundFormat,
        n_fft: int = 256,
        hop_length: int = 128,
        power: float = 0.5,
        floor: float = 1e-4,
    ) -> None:
        super().__init__(format.shape)
        self.channels, self.length = self.signal_shape
        if not 0 < power <= 1:
            raise ValueError(f"power={power} must lie in 0 < power <= 1")
        if not 0 < floor < 1:
            raise ValueError(f"floor={floor} must lie in 0 < floor < 1")
        self.power, self.floor = float(power), float(floor)
        self.frames = Frames(self.length, n_fft, hop_length, pad=n_fft // 2)
        self.shape = (2 * self.channels, self.frames.bins, self.frames.count)
        self._unit = 2.0 / float(self.frames.window.sum())
        self.register_buffer("scale", torch.ones(()))

    @torch.no_grad()
    def fit(self, waves: Iterable[Tensor]) -> None:
        """Set `scale` so that the encoded training set has a root mean square of 1.

        Raises:
            ValueError: there are no waves, or all are silent.
        """
        total, count = 0.0, 0
        for wave in self._checked_batches(waves):
            x = self.encode(wave) * self.scale
            total += float(x.double().square().sum())
            count += x.numel()
        if not total:
            raise ValueError("ComplexSTFT.fit got only silent waves")
        self.scale.fill_((total / count) ** 0.5)

    def encode(self, wave: Tensor) -> Tensor:
        self._check_signal(wave)
        spectrum = torch.view_as_real(self.frames.analyse(wave) * self._unit)
        planes = spectrum.permute(0, 1, 4, 3, 2).contiguous()  # [B, C, 2, F, N]
        return (_PowerLaw.apply(planes, self.floor, self.power - 1) / self.scale).flatten(1, 2)

    def decode(self, x: Tensor) -> Tensor:
        self._check_encoded(x)
        planes = (x.to(self.scale.dtype) * self.scale).unflatten(1, (self.channels, 2))
        real, imag = _PowerLaw.apply(planes, self.floor**self.power, 1 / self.power - 1).unbind(2)
        return self.frames.synthesise(torch.complex(real, imag).transpose(-1, -2)) / self._unit


class _PowerLaw(torch.autograd.Function):
    """`X * max(|X|, floor) ** exponent` for complex numbers X `[B, C, 2, F, N]`, with its own gradient.

    The gradient is finite everywhere. It takes half of the time of autograd's gradient. It consists of differentiable
    operations, so that gradient penalties on waves are possible.
    """

    @staticmethod
    def forward(ctx: Any, planes: Tensor, floor: float, exponent: float) -> Tensor:
        ctx.save_for_backward(planes)
        ctx.constants = floor, exponent
        return planes * _power(inner_product(planes, planes), floor, exponent).unsqueeze(2)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        (planes,), (floor, exponent) = ctx.saved_tensors, ctx.constants
        square = inner_product(planes, planes)
        gain = _power(square, floor, exponent)
        # Above the floor, the gain depends on |X|, so the derivative in the direction of X has a second term.
        slope = exponent * gain / square.clamp_min(floor**2) * (square > floor**2)
        radial = inner_product(planes, grad) * slope
        return torch.addcmul(grad * gain.unsqueeze(2), planes, radial.unsqueeze(2)), None, None


def magnitudes(spectrum: Tensor, floor: float) -> Tensor:
    """Return `sqrt(|X|^2 + floor)` of a complex tensor of any shape. The gradient is finite where X is zero."""
    return _Magnitude.apply(spectrum, floor)


class _Magnitude(torch.autograd.Function):
    """`sqrt(|X|^2 + floor)` with its own gradient, twice differentiable and four times as fast as autograd's
    gradient."""

    @staticmethod
    def forward(ctx: Any, spectrum: Tensor, floor: float) -> Tensor:
        real, imag = torch.view_as_real(spectrum).unbind(-1)
        out = torch.addcmul(real * real, imag, imag).add_(floor).sqrt_()
        ctx.save_for_backward(spectrum, out)
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        spectrum, out = ctx.saved_tensors
        return spectrum * (grad / out), None


def inner_product(a: Tensor, b: Tensor) -> Tensor:
    """Return the real inner product `[B, C, F, N]` of complex numbers stored as two planes `[B, C, 2, F, N]`."""
    return torch.addcmul(a[:, :, 0] * b[:, :, 0], a[:, :, 1], b[:, :, 1])


def _power(square: Tensor, floor: float, exponent: float) -> Tensor:
    """Return `max(m, floor) ** exponent` for squared magnitudes `m ** 2`."""
    clamped = square.clamp_min(floor**2)
    if exponent == -0.5:  # A square root is several times faster than `pow`, and 0.5 is the default power.
        return clamped.sqrt().rsqrt()
    if exponent == 1:
        return clamped.sqrt()
    return clamped.pow(exponent / 2)


class LogMagnitude(Representation):
    """SpecGAN's log-magnitude spectrogram `[B, C, n_fft / 2, frames]` within -1 ... 1, normalised per frequency.

    `log(|X| + 1e-6)` is centred on the mean of its frequency over the training set, divided by three standard
    deviations, and clipped to -1 ... 1. The Nyquist frequency is dropped. Decoding estimates the phase by fast
    Griffin-Lim, which is deterministic. 16,384 samples give 128 x 128 values. Call `fit` before use.

    Unlike in the paper, the first frame begins `(n_fft - hop_length) / 2` samples before the wave, and the inverse STFT
    is the least-squares inverse. Therefore as many frames cover the first samples, which contain the onset of a drum,
    as all other samples.

    Source: Donahue et al. 2019, section 3.4.

    Examples:
        >>> import torch
        >>> from audiogan.representations import LogMagnitude, SoundFormat
        >>> LogMagnitude(SoundFormat(16384)).shape
        (1, 128, 128)
    """

    accuracy = "<= -20 dB mean spectral convergence"
    mean: Tensor
    deviation: Tensor
    angles: Tensor

    def __init__(
        self,
        format: SoundFormat,
        n_fft: int = 256,
        hop_length: int = 128,
        iterations: int = 16,
        *,
        bands: int | None = None,
    ) -> None:
        super().__init__(format.shape)
        self.channels, self.length = self.signal_shape
        if iterations < 0:
            raise ValueError(f"iterations={iterations} must not be negative")
        self.iterations = iterations
        self.frames = Frames(self.length, n_fft, hop_length, pad=(n_fft - hop_length) // 2)
        bands = n_fft // 2 if bands is None else bands
        self.shape = (self.channels, bands, self.frames.count)
        self.register_buffer("mean", torch.zeros(bands))
        self.register_buffer("deviation", torch.ones(bands))
        # Griffin-Lim starts from random phases. They are fixed, so that decoding is deterministic.
        noise = torch.rand(self.frames.count, self.frames.bins, generator=torch.Generator().manual_seed(0))
        self.register_buffer("angles", torch.polar(torch.ones_like(noise), 2 * math.pi * noise), persistent=False)

    @torch.no_grad()
    def fit(self, waves: Iterable[Tensor]) -> None:
        """Set mean and standard deviation of each band. The deviation of a constant band is set to 1."""
        count, mean, squares = 0, torch.zeros(()), torch.zeros(())
        for wave in self._checked_batches(waves):
            logs = self._logs(wave).double().flatten(0, 2).cpu()
            # Parallel variance of Chan et al. 1979, because a plain sum of squares loses precision.
            n, centre = len(logs), logs.mean(0)
            shift = centre - mean
            mean = mean + shift * (n / (count + n))
            squares = squares + (logs - centre).square().sum(0) + shift.square() * (count * n / (count + n))
            count += n
        deviation = (squares / count).sqrt()
        self.mean.copy_(mean)
        self.deviation.copy_(torch.where(deviation > 1e-4, deviation, 1.0))

    def encode(self, wave: Tensor) -> Tensor:
        self._check_signal(wave)
        x = (self._logs(wave) - self.mean) / (3 * self.deviation)
        return x.clamp(-1, 1).transpose(-1, -2)

    def decode(self, x: Tensor) -> Tensor:
        self._check_encoded(x)
        logs = x.to(self.mean.dtype).clamp(-1, 1).transpose(-1, -2) * (3 * self.deviation) + self.mean
        return self._griffin_lim(self._magnitude((logs.exp() - LOG_FLOOR).clamp_min(0)))

    def _logs(self, wave: Tensor) -> Tensor:
        """Return log magnitudes of bands `[B, C, N, K]` for waves `[B, C, T]`."""
        return torch.log(self._bands(self.frames.analyse(wave).abs()) + LOG_FLOOR)

    def _bands(self, magnitude: Tensor) -> Tensor:
        """Return magnitudes of bands `[B, C, N, K]` for magnitudes of bins `[B, C, N, F]`: here, all bins but the
        last."""
        return magnitude[..., :-1]

    def _magnitude(self, bands: Tensor) -> Tensor:
        """Return magnitudes of bins for magnitudes of bands, the inverse of `_bands`."""
        return F.pad(bands, (0, 1))

    def _griffin_lim(self, magnitude: Tensor) -> Tensor:
        """Return waves `[B, C, T]` for magnitudes `[B, C, N, F]`, with phases by fast Griffin-Lim."""
        angles, before = self.angles, torch.zeros((), device=magnitude.device)
        with torch.no_grad():
            for _ in range(self.iterations):
                spectrum = self.frames.analyse(self.frames.synthesise(magnitude * angles))
                angles = spectrum - MOMENTUM * before
                angles = angles / angles.abs().clamp_min(1e-12)
                before = spectrum
        return self.frames.synthesise(magnitude * angles)
