from __future__ import annotations

import numpy as np
import pytest
import torch

from audiogan.losses.spectra import RecordingLoss, log_spectral_distance

RATE = 16000


def noise(seed: int, length: int = 16384) -> torch.Tensor:
    return 0.1 * torch.randn(1, 1, length, generator=torch.Generator().manual_seed(seed))


def test_the_distance_of_a_sound_to_itself_is_zero_and_a_gain_is_its_own_decibels() -> None:
    a = noise(0)
    for bands in (64, None):
        assert float(log_spectral_distance(a, a, RATE, bands=bands)) == 0
        assert float(log_spectral_distance(a, a * 10 ** (-6 / 20), RATE, bands=bands)) == pytest.approx(6, abs=0.01)


def test_phases_do_not_count() -> None:
    t = torch.arange(16384) / RATE
    a, b = (0.5 * torch.sin(2 * np.pi * 1000 * t + phase)[None, None] for phase in (0.0, 1.5))
    inside = slice(2000, -2000)  # Without the ends of the sine, where its spectrum is broad.
    assert float(log_spectral_distance(a[..., inside], b[..., inside], RATE)) < 1.5
    assert float((a - b).square().mean().sqrt()) > 0.4


def test_what_lies_below_the_floor_is_silence() -> None:
    silence, faint = torch.zeros(1, 1, 16384), 1e-6 * noise(1)
    assert float(log_spectral_distance(silence, faint, RATE)) == 0
    assert float(log_spectral_distance(silence, noise(1), RATE)) > 20


def test_two_noises_are_alike_in_bands_but_not_in_bins() -> None:
    bins = float(log_spectral_distance(noise(0), noise(1), RATE, bands=None))
    # Root mean square difference of logarithms of two exponential variables: 5.57 dB times root 2.
    assert bins == pytest.approx(7.9, abs=0.3)
    assert float(log_spectral_distance(noise(0), noise(1), RATE)) < 0.75 * bins


def test_each_sound_of_a_batch_has_its_own_distance_and_channels_are_averaged() -> None:
    a = torch.cat([noise(0), noise(1)])
    b = torch.cat([noise(0), 0.5 * noise(1)])
    distances = log_spectral_distance(a, b, RATE)
    assert distances.tolist() == pytest.approx([0, 6.02], abs=0.01)
    stereo = log_spectral_distance(a.transpose(0, 1), b.transpose(0, 1), RATE)
    assert stereo.tolist() == pytest.approx([3.01], abs=0.01)


@pytest.mark.parametrize("length", [300, 2048, 16384])
def test_the_loss_falls_towards_the_recording_and_its_gradients_are_finite_in_silence(length: int) -> None:
    target = noise(3, length)
    likeness = RecordingLoss(target[0], RATE)
    made = torch.cat([torch.zeros_like(target), 0.3 * target, 0.9 * target, target]).requires_grad_(True)
    loss = likeness(made)
    assert loss.shape == (4,) and (loss.diff() < 0).all()
    loss.sum().backward()
    assert made.grad is not None and torch.isfinite(made.grad).all()
