"""Tests of modes: exact spectra of sinusoids, and correct frequencies of measured lines and glides."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from audiogan.representations import SoundFormat
from audiogan.representations.modes import GLIDE_SECONDS, GlideMeter, ModeBands, ModeMeter, window_transform

RATE = 44100
FORMAT = SoundFormat(RATE, 2, RATE)
TIME = torch.arange(RATE) / RATE


def stereo(wave: Tensor) -> Tensor:
    return wave.float().expand(1, 2, -1)


@pytest.mark.parametrize("place", [30.0, 30.5, 77.31])
def test_spectrum_of_a_windowed_cosine(place: float) -> None:
    wave = torch.hann_window(1024).double() * torch.cos(2 * torch.pi * place / 1024 * (torch.arange(1024) - 512.0))
    found = window_transform(torch.tensor(place, dtype=torch.float64), 513)
    assert (found - torch.fft.rfft(wave).real).abs().max() < 0.3  # The peak is 256.


def test_bands_cover_the_range_without_gaps() -> None:
    edges = ModeBands(RATE).edges
    assert torch.equal(edges[1:, 0], edges[:-1, 1]) and (edges[:, 1] > edges[:, 0]).all()
    assert edges[0, 0].exp2().item() == pytest.approx(40) and edges[-1, 1].exp2().item() == pytest.approx(16000)
    with pytest.raises(ValueError, match="16000 Hz"):
        ModeBands(8000)


def test_lines_are_found_and_noise_has_none() -> None:
    hertz = [61.3, 233.3, 3111.0]
    tones = torch.stack([torch.sin(2 * torch.pi * f * TIME) for f in hertz]).sum(0) * (-4 * TIME).exp()
    noise = torch.randn(RATE, generator=torch.Generator().manual_seed(0)) * (-4 * TIME).exp()
    octaves, weights = ModeMeter(FORMAT)(torch.cat([stereo(tones + 0.001 * noise), stereo(noise)]))
    found = octaves[0][weights[0] > 0.1].exp2()
    assert found.tolist() == pytest.approx(hertz, rel=0.005)
    assert weights[1].mean() < 0.1 * weights[0][weights[0] > 0.1].mean() or (weights[1] > 0.2).sum() < 8


def test_a_falling_pitch_is_measured_and_a_steady_one_is_steady() -> None:
    falling = torch.sin(2 * torch.pi * 55 * (TIME - 0.06 * (-TIME / 0.03).exp())) * (-5 * TIME).exp()
    steady = torch.sin(2 * torch.pi * 80 * TIME) * (-5 * TIME).exp()
    ratios, weights = GlideMeter(FORMAT)(torch.cat([stereo(falling), stereo(steady)]))
    expected = (1 + 2 * (-torch.tensor(GLIDE_SECONDS) / 0.03).exp()).log2()
    assert (ratios[0] - expected).abs().max() < 0.2
    assert ratios[1].abs().max() < 0.1 and weights.min() > 0.3
