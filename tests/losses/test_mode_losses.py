"""Tests of the losses of generators with modes: equal sounds have the distance 0, and two knobs share a spectrogram."""

from __future__ import annotations

import torch

from audiogan.losses import Brightness, Glide, MidSideDistance, ModeFrequencies, Noisiness, Spectrum
from audiogan.representations import SoundFormat

FORMAT = SoundFormat(22050, 2, 44100)


def test_distance_sees_a_missing_line_and_a_missing_side() -> None:
    distance, time = MidSideDistance(FORMAT), torch.arange(22050) / 44100
    noise = 0.1 * torch.randn(1, 2, 22050, generator=torch.Generator().manual_seed(0))
    tone = noise + 0.3 * torch.sin(2 * torch.pi * 500 * time)
    assert distance(tone, tone) == 0
    assert distance(noise, tone) > 0.2 < distance(noise.mean(1, keepdim=True).expand(-1, 2, -1), noise)


def test_targets_are_measured_on_recordings() -> None:
    time = torch.arange(22050) / 44100
    wave = torch.sin(2 * torch.pi * 1100 * time).expand(1, 2, -1)
    loss = ModeFrequencies(FORMAT, weight=1.0)
    octaves, weights = loss.meter(wave)
    assert loss(octaves, {"x": wave}) == 0
    assert 0 < loss(octaves + 0.1, {"x": wave}) <= 0.1 + 1e-6
    assert Glide(FORMAT)(torch.zeros(1, 9), {"x": wave}).isfinite() and weights.max() > 0.6


def test_one_spectrogram_for_two_knobs() -> None:
    """At 16 kHz, both losses use the same windows as the separate losses, so the values are equal."""
    format = SoundFormat(8192, 1, 16000)
    quantiles = [torch.linspace(6, 13, 65).tolist(), torch.linspace(-60, 0, 65).tolist()]
    scale = {"names": ["brightness", "noisiness"], "quantiles": quantiles}
    sounds = torch.randn(3, 1, 8192, generator=torch.Generator().manual_seed(0)).cumsum(2).requires_grad_()
    wanted = torch.zeros(3, 2)
    both = Spectrum(scale, format)(sounds, wanted)
    separate = Brightness(scale, format)(sounds, wanted) + Noisiness(scale, format)(sounds, wanted)
    assert torch.allclose(both, separate, rtol=1e-4)
    both.backward()
    assert sounds.grad is not None and sounds.grad.isfinite().all()
    assert Spectrum({"names": ["decay"], "quantiles": quantiles[:1]}, format).index is None
