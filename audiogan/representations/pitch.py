"""`PitchTracker`: the pitch of voices over time, by autocorrelation."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

OCTAVE_COST, VOICING_THRESHOLD, SILENCE_THRESHOLD = 0.01, 0.45, 0.03
"""Constants of the paper: bonus per octave for higher pitches, strength of the unvoiced candidate, and the level of
silence relative to the peak of the sound."""
JUMP_COST, VOICING_COST = 0.35, 0.14
"""Cost of a change of pitch by one octave within 10 ms, and cost of a change between voiced and unvoiced."""
FRAMES_PER_PART = 2048
"""Number of frames that are analysed at a time, to limit memory."""


class PitchTracker(nn.Module):
    """Pitch of mono voices ``[B, 1, T]`` over time, in Hz, ``[B, frames]``. Unvoiced frames have the value 0.

    The autocorrelation of a windowed frame is divided by that of the Hann window. Its local maxima are candidates. The
    Viterbi algorithm chooses the best sequence of candidates over the whole sound. The frames are those of
    `MelSpectrogram`.

    Args:
        sample_rate: sample rate in Hz.
        n_fft: length of a frame in samples.
        hop_length: distance between frames in samples.
        low: lowest pitch in Hz. A frame must contain at least three periods.
        high: highest pitch in Hz, at most a quarter of the sample rate.
        per_octave: number of candidate pitches per octave. The result is interpolated between them.

    Raises:
        ValueError: a frame is too short for the lowest pitch, or the pitches are out of range.

    Source:
        Boersma, "Accurate short-term analysis of the fundamental frequency and the harmonics-to-noise ratio of a
        sampled sound", Proceedings of the Institute of Phonetic Sciences 17, 1993.

    Examples:
        >>> import math, torch
        >>> from audiogan.representations import PitchTracker
        >>> tone = 0.5 * torch.sin(2 * math.pi * 200 / 16000 * torch.arange(8192))
        >>> round(float(PitchTracker(16000)(tone[None, None]).median()))
        200
    """

    cosines: Tensor
    window: Tensor
    correction: Tensor
    octaves: Tensor
    cost: Tensor

    def __init__(
        self,
        sample_rate: int,
        n_fft: int = 1024,
        hop_length: int = 256,
        low: float = 60.0,
        high: float = 600.0,
        per_octave: int = 48,
    ) -> None:
        super().__init__()
        if not 3 * sample_rate / n_fft <= low < high <= sample_rate / 4:
            raise ValueError(
                f"PitchTracker: low={low:g} and high={high:g}: need {3 * sample_rate / n_fft:g} <= low < high <= "
                f"{sample_rate / 4:g} Hz for frames of {n_fft} samples at {sample_rate} Hz"
            )
        self.sample_rate, self.n_fft, self.hop_length, self.per_octave = sample_rate, n_fft, hop_length, per_octave
        octaves = torch.arange(math.floor(per_octave * math.log2(high / low)) + 1) / per_octave
        lags = sample_rate / (low * 2 ** octaves.double())
        window = torch.hann_window(n_fft)
        bins = torch.arange(n_fft + 1, dtype=torch.float64)  # The FFT has twice the length of a frame.
        cosines = torch.cos(math.pi / n_fft * bins[:, None] * lags)
        cosines[1:-1] *= 2
        power = torch.fft.rfft(window.double(), 2 * n_fft).abs().square()
        self.register_buffer("window", window, persistent=False)
        self.register_buffer("cosines", cosines.float(), persistent=False)
        self.register_buffer("correction", (power @ cosines / _energy(power)).float(), persistent=False)
        self.register_buffer("octaves", octaves + math.log2(low), persistent=False)
        speed = 0.01 * sample_rate / hop_length
        cost = JUMP_COST * speed * (octaves[:, None] - octaves).abs()
        self.register_buffer("cost", F.pad(cost, (0, 1, 0, 1), value=VOICING_COST * speed), persistent=False)
        self.cost[-1, -1] = 0.0

    @torch.no_grad()
    def forward(self, sound: Tensor) -> Tensor:
        """Return the pitch in Hz ``[B, frames]`` of mono sounds ``[B, 1, T]``. Unvoiced frames have the value 0."""
        if sound.dim() != 3 or sound.shape[1] != 1:
            raise ValueError(f"PitchTracker: expected mono sounds [B, 1, T], got {list(sound.shape)}")
        count, pad = -(-sound.shape[-1] // self.hop_length), (self.n_fft - self.hop_length) // 2
        x = F.pad(sound[:, 0].float(), (pad, count * self.hop_length - sound.shape[-1] + self.n_fft - pad))
        frames = x.unfold(-1, self.n_fft, self.hop_length)[:, :count]
        parts = [self._candidates(frames[:, i : i + FRAMES_PER_PART]) for i in range(0, count, FRAMES_PER_PART)]
        strength, octaves, peak = (torch.cat(part, dim=1) for part in zip(*parts, strict=True))
        loudness = peak / peak.amax(1, keepdim=True).clamp_min(1e-6) * (1 + VOICING_THRESHOLD) / SILENCE_THRESHOLD
        unvoiced = VOICING_THRESHOLD + (2 - loudness).clamp_min(0)
        path = self._viterbi(torch.cat([strength, unvoiced[..., None]], dim=-1))
        voiced = path < strength.shape[-1]
        chosen = octaves.gather(-1, path.clamp_max(strength.shape[-1] - 1)[..., None])[..., 0]
        return torch.where(voiced, 2**chosen, 0.0)

    def _candidates(self, frames: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the strength of each candidate, its pitch in octaves above 1 Hz, and the peak of each frame."""
        frames = frames - frames.mean(-1, keepdim=True)
        power = torch.fft.rfft(frames * self.window, 2 * self.n_fft).abs().square()
        energy = _energy(power)[..., None]
        r = power @ self.cosines / energy.clamp_min(1e-9) / self.correction
        before, middle, after = r[..., :-2], r[..., 1:-1], r[..., 2:]
        top = (middle >= before) & (middle > after)
        # A parabola through three neighbours gives the height and the position of the maximum.
        bend = (before - 2 * middle + after).clamp_max(-1e-9)
        shift = (0.5 * (before - after) / bend).clamp(-0.5, 0.5)
        height = middle - 0.25 * (before - after) * shift
        strength = torch.full_like(r, -1.0)
        strength[..., 1:-1] = torch.where(top, height, -1.0) + OCTAVE_COST * (self.octaves[1:-1] - self.octaves[0])
        octaves = self.octaves.expand_as(r).clone()
        octaves[..., 1:-1] += shift / self.per_octave
        return strength, octaves, frames.abs().amax(-1)

    def _viterbi(self, strength: Tensor) -> Tensor:
        """Return the index of the best candidate of each frame, ``[B, frames]``."""
        total, sources = strength[:, 0], []
        for i in range(1, strength.shape[1]):
            best, source = (total[:, :, None] - self.cost).max(1)
            total = best + strength[:, i]
            sources.append(source.to(torch.int16))  # int16 saves memory for long sounds.
        path = [total.argmax(1, keepdim=True)]
        for source in reversed(sources):
            path.append(source.gather(1, path[-1]).long())
        return torch.cat(path[::-1], dim=1)


def _energy(power: Tensor) -> Tensor:
    """Return the sum over both halves of a power spectrum, given the half ``[..., bins]`` from 0 to Nyquist."""
    return 2 * power.sum(-1) - power[..., 0] - power[..., -1]
