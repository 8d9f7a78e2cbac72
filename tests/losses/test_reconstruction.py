"""Tests of the spectral distance: 0 for equal sounds, larger for stronger degradation, invariant to inaudible
changes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from audiogan.data.toys.drum_machine import render
from audiogan.losses import SpectralDistance
from audiogan.representations import LogMelView, SoundFormat

LENGTH = 8192
SPOILING = ["noise", "dark", "late", "quiet"]


@pytest.fixture(scope="module")
def drums() -> Tensor:
    """Return six drums of different classes, `[6, 1, T]`."""
    kinds = ("kick", "snare", "hat_closed", "tom", "clap", "ride")
    waves = [render(kind, length=LENGTH, rng=np.random.default_rng(i)) for i, kind in enumerate(kinds)]
    return torch.from_numpy(np.stack(waves))[:, None]


@pytest.fixture(scope="module")
def distance() -> SpectralDistance:
    return SpectralDistance(SoundFormat(LENGTH))


def spoilt(x: Tensor, how: str, amount: float) -> Tensor:
    """Return sounds with a degradation of the strength `amount`, 0 ... 1."""
    if how == "noise":
        return x + 0.1 * amount * torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    if how == "dark":  # First-order low-pass. The cutoff falls from half the sample rate to a hundredth of it.
        bins = torch.linspace(0, 1, LENGTH // 2 + 1)
        return torch.fft.irfft(torch.fft.rfft(x) / (1 + (100**amount * bins) ** 2).sqrt(), LENGTH)
    if how == "late":
        steps = int(800 * amount)
        return nn.functional.pad(x, (steps, 0))[..., :LENGTH]
    return x * 10 ** (-2 * amount)


@pytest.mark.parametrize("how", SPOILING)
def test_grows_with_what_is_spoilt(distance: SpectralDistance, drums: Tensor, how: str) -> None:
    for sound in drums:
        values = [float(distance(spoilt(sound[None], how, amount), sound[None])) for amount in (0.1, 0.3, 1.0)]
        assert 0.01 < values[0] < values[1] < values[2], values


def test_is_the_sum_it_says(distance: SpectralDistance, drums: Tensor) -> None:
    made, real = drums.flip(0), drums
    look = LogMelView(length=LENGTH, channels=1, sample_rate=16000, n_fft=512, hop_length=256, frame_multiple=1)

    def magnitude(x: Tensor, n_fft: int) -> Tensor:
        window = torch.hann_window(n_fft)
        x = torch.stft(x[:, 0], n_fft, n_fft // 2, window=window, pad_mode="constant", return_complex=True)
        return (x.abs().square() + 1e-6).sqrt()

    (a, b), (c, d) = ([magnitude(x, n_fft) for x in (made, real)] for n_fft in (512, 128))
    convergence, attack = (a - b).norm() / b.norm(), (c.pow(1 / 3) - d.pow(1 / 3)).abs().mean()
    expected = (look(made) - look(real)).abs().mean() + 0.5 * convergence + 0.3 * attack
    torch.testing.assert_close(distance(made, real), expected, rtol=1e-4, atol=0)


def test_nothing_is_between_equal_sounds(distance: SpectralDistance, drums: Tensor) -> None:
    assert distance(drums, drums) == 0
    assert distance(-drums, drums) < 1e-5  # Polarity is inaudible.
    assert distance(drums.roll(1, 0), drums) > 1.0
    # A delay of one sample gives a small distance compared with another drum.
    assert distance(drums.roll(1, -1), drums) < 0.1 * distance(drums.roll(1, 0), drums)


@pytest.mark.parametrize("i", range(5))
def test_is_nearly_symmetric_for_sounds_of_one_energy(distance: SpectralDistance, drums: Tensor, i: int) -> None:
    a, b = (5 * nn.functional.normalize(drums[i : i + 2], dim=2)).split(1)
    assert 1 / 1.15 < distance(a, b) / distance(b, a) < 1.15


def test_a_gradient_leads_towards_the_real_sound(distance: SpectralDistance, drums: Tensor) -> None:
    x = (drums + 0.05 * torch.randn(drums.shape, generator=torch.Generator().manual_seed(0))).requires_grad_()
    value = distance(x, drums)
    (gradient,) = torch.autograd.grad(value, x)
    assert torch.isfinite(gradient).all()
    assert distance(x - 0.05 * gradient / gradient.abs().amax(), drums) < value


@pytest.mark.parametrize("real", ["silence", "drums"])
@pytest.mark.parametrize("level", [0.0, 1e-5, 1.0])
def test_silence_is_finite(distance: SpectralDistance, drums: Tensor, real: str, level: float) -> None:
    x = (level * drums.flip(0)).requires_grad_()
    value = distance(x, drums if real == "drums" else torch.zeros_like(drums))
    (gradient,) = torch.autograd.grad(value, x)
    assert torch.isfinite(value) and torch.isfinite(gradient).all()
    assert (gradient.abs().max() > 0) == (level > 0)  # Magnitudes have no gradient where a sound is exactly zero.


@pytest.mark.parametrize(("length", "channels", "rate", "n_fft"), [(2048, 1, 8000, 128), (16000, 2, 44100, 1024)])
def test_any_sound_will_do(length: int, channels: int, rate: int, n_fft: int) -> None:
    distance = SpectralDistance(
        SoundFormat(length, channels=channels, sample_rate=rate), n_fft=n_fft, hop_length=n_fft // 2
    )
    x = torch.randn(2, channels, length, generator=torch.Generator().manual_seed(0))
    assert distance(x, x) == 0 and distance(x, x.flip(0)).shape == ()
    end = x.clone()
    end[..., -length // 20 :] = 0
    assert distance(end, x) > 0.02  # The end of the sound counts as well.


def test_low_pitches_are_told_apart_in_long_windows() -> None:
    heard, deaf = SpectralDistance(SoundFormat(16384), partials=12), SpectralDistance(SoundFormat(16384))
    t = torch.arange(16384) / 16000

    def kick(hertz: float, phase: float = 0.0) -> Tensor:
        return (torch.sin(2 * torch.pi * hertz * t + phase) * torch.exp(-12 * t))[None, None]

    apart = [float(heard(kick(hertz), kick(45))) for hertz in (45, 47, 50, 56, 67)]
    assert apart[0] == 0 and apart == sorted(apart)
    assert float(heard(kick(45, 1.0), kick(45))) < apart[2]
    assert apart[2] > 2.5 * float(deaf(kick(50), kick(45)))


def test_silence_has_no_gradient_that_is_not_finite() -> None:
    made = torch.zeros(2, 1, LENGTH, requires_grad=True)
    SpectralDistance(SoundFormat(LENGTH), partials=12)(made, torch.zeros(2, 1, LENGTH)).backward()
    assert made.grad is not None and torch.isfinite(made.grad).all()
