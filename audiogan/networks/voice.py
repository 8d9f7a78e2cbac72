"""Source and filter of a synthetic voice: a pulse train with varying pitch, and the phases of a minimum-phase filter.

Vocoders use the same source-filter model (Dudley 1939). All harmonics of the source have the same level, and the filter
shapes them into vowels. The filter has minimum phase, like a vocal tract, and therefore rings after each pulse. A
zero-phase filter would turn each pulse into a click.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from audiogan.core.engine import to_float64

LOWEST_HZ, OCTAVES = 60.0, 3.0
"""Range of a voice's pitch: lowest pitch in Hz, and width in octaves."""


def minimum_phase(log_amplitudes: Tensor) -> Tensor:
    """Return the phases `[..., F]` in radians of the minimum-phase filter with the given amplitudes.

    The phases are a linear function of the log amplitudes.

    Args:
        log_amplitudes: natural logarithms of the amplitudes of F frequency bins, `[..., F]`.

    Source:
        Oppenheim & Schafer, "Discrete-time signal processing", chapter on the cepstrum: folding the cepstrum.
    """
    n_fft = 2 * (log_amplitudes.shape[-1] - 1)
    cepstrum = torch.fft.irfft(to_float64(log_amplitudes), n_fft)
    folded = 2 * cepstrum[..., : n_fft // 2]
    folded[..., 0] = 0.0
    return torch.fft.rfft(folded, n_fft).imag.to(log_amplitudes.dtype)


@torch.no_grad()
def pulse_train(pitch: Tensor, length: int, hop_length: int, sample_rate: int) -> Tensor:
    """Return pulse trains `[B, length]` with mean power 1 and without gradients.

    A pulse train is a sum of harmonics of equal level, computed in closed form (Dirichlet kernel). The number of
    harmonics is constant in a sound, so that the highest pitch does not alias. There are no gradients, because a
    spectral distance does not help to learn a pitch; `audiogan.losses.Pitch` trains it.

    Args:
        pitch: pitch `[B, frames]` in Hz at multiples of ``hop_length``. It is interpolated linearly between frames.
        length: length of the sounds, in samples.
        hop_length: distance between frames, in samples.
        sample_rate: sample rate in Hz.
    """
    pitch = to_float64(pitch)
    frames = (pitch.shape[1] - 1) * hop_length + 1
    hertz = F.interpolate(pitch[:, None], frames, mode="linear", align_corners=True)[:, 0]
    hertz = F.pad(hertz, (0, max(0, length - frames)), mode="replicate")[:, :length]
    cycles = hertz.cumsum(1) / sample_rate
    # Phases are centred at 0, because pulses occur there and float32 has its best resolution near 0.
    phase = (cycles - cycles.round()).float() * (2 * math.pi)
    harmonics = (sample_rate / 2 / pitch.amax(1, keepdim=True)).floor().clamp_min(1).float()
    below = torch.sin(phase / 2)
    near = below.abs() < 1e-4
    total = torch.sin((harmonics + 0.5) * phase) / torch.where(near, torch.ones_like(below), below)
    return (torch.where(near, 2 * harmonics + 1, total) - 1) / (2 * harmonics).sqrt()
