"""The source of a voice: pulses at a pitch that changes, all harmonics alike; what is said is in how they are coloured.

Source and filter, as in vocoders since Dudley (1939); the harmonic part of Serra & Smith's model (1990). The filter has
minimum phase, as a tube has, so that a pulse rings on after it is excited; with no phase at all each would be a click.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from audiogan.core.engine import to_float64

LOWEST_HZ, OCTAVES = 60.0, 3.0
"""Range of the pitch."""


def minimum_phase(levels: Tensor) -> Tensor:
    """Logarithms of amplitudes `[..., F]` -> phases `[..., F]` of the causal filter that has them and delays the least.

    By folding the cepstrum (Oppenheim & Schafer, "Discrete-time signal processing", chapter on the cepstrum). It is
    linear, so levels that are weighted sums of bands have phases that are the same sums of the bands' phases.
    """
    n_fft = 2 * (levels.shape[-1] - 1)
    cepstrum = torch.fft.irfft(to_float64(levels), n_fft)
    folded = 2 * cepstrum[..., : n_fft // 2]
    folded[..., 0] = 0.0
    return torch.fft.rfft(folded, n_fft).imag.to(levels.dtype)


@torch.no_grad()
def pulses(pitch: Tensor, length: int, hop_length: int, sample_rate: int) -> Tensor:
    """Pitch `[B, frames]` in Hz, at multiples of ``hop_length`` -> waves `[B, length]` of mean power 1.

    The sum of the first K harmonics of equal level, in closed form (Dirichlet's kernel), where K fits the highest pitch
    of the sound. Between frames the pitch goes in straight lines. It carries no gradient: a spectral distance
    says nothing useful about pitch, which is to be learned by comparing pitches.
    """
    pitch = to_float64(pitch)
    frames = (pitch.shape[1] - 1) * hop_length + 1
    hertz = F.interpolate(pitch[:, None], frames, mode="linear", align_corners=True)[:, 0]
    hertz = F.pad(hertz, (0, max(0, length - frames)), mode="replicate")[:, :length]
    cycles = hertz.cumsum(1) / sample_rate
    phase = (cycles - cycles.round()).float() * (2 * math.pi)  # around 0, where pulses are and rounding is finest
    harmonics = (sample_rate / 2 / pitch.amax(1, keepdim=True)).floor().clamp_min(1).float()
    below = torch.sin(phase / 2)
    near = below.abs() < 1e-4
    total = torch.sin((harmonics + 0.5) * phase) / torch.where(near, torch.ones_like(below), below)
    return (torch.where(near, 2 * harmonics + 1, total) - 1) / (2 * harmonics).sqrt()
