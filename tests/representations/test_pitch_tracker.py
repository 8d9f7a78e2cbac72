"""Tests of `PitchTracker`: known pitches, noise, silence, and the frames of `MelSpectrogram`."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from audiogan.representations import MelSpectrogram, PitchTracker


def voice(hertz: Tensor, rate: int = 16000) -> Tensor:
    """Return a sound ``[1, 1, T]`` with ten harmonics and the given pitch of each sample."""
    phase = 2 * math.pi * (hertz.double() / rate).cumsum(0)
    waves = [torch.sin(n * phase) / n for n in range(1, 11)]
    return (0.2 * torch.stack(waves).sum(0)).float()[None, None]


@pytest.mark.parametrize("hertz", [70.0, 123.4, 251.0, 480.0])
def test_steady_pitch_within_ten_cents(hertz: float) -> None:
    found = PitchTracker(16000)(voice(torch.full((8192,), hertz)))[0, 2:-2]
    assert bool((1200 * (found / hertz).log2().abs() < 10).all())


def test_a_glide_is_followed_in_the_frames_of_the_mel_spectrogram() -> None:
    hertz = 100 * 2 ** torch.linspace(0, 1, 12300)
    sound = voice(hertz)
    found = PitchTracker(16000)(sound)[0]
    assert len(found) == MelSpectrogram(16000)(sound).shape[-1]
    centres = 256 * torch.arange(len(found)) + 128
    inner = slice(2, -3)
    assert float((1200 * (found[inner] / hertz[centres[inner]]).log2()).abs().max()) < 50


def test_noise_and_silence_are_unvoiced_and_loud_sounds_do_not_hide_neighbours() -> None:
    tracker = PitchTracker(16000)
    noise = 0.1 * torch.randn(1, 1, 16000, generator=torch.Generator().manual_seed(0))
    assert float((tracker(noise) > 0).float().mean()) < 0.1
    assert not bool(tracker(torch.zeros(1, 1, 4000)).any())
    pair = torch.cat([voice(torch.full((4096,), 150.0)), torch.zeros(1, 1, 4096)])
    found = tracker(pair)
    assert bool((found[0, 2:-2] > 140).all()) and not bool(found[1].any())


def test_settings_are_checked() -> None:
    with pytest.raises(ValueError, match="frames of 256 samples"):
        PitchTracker(16000, n_fft=256)
