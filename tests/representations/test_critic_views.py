"""Tests of spectrogram views for critics: frequencies, levels, silence."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from audiogan.representations import LogMelView, STFTView

VIEWS = ["mel", "stft"]


def view(kind: str, length: int, channels: int = 1, rate: int = 16000, n_fft: int = 512, hop: int = 256) -> nn.Module:
    if kind == "mel":
        return LogMelView(length=length, channels=channels, sample_rate=rate, n_fft=n_fft, hop_length=hop)
    return STFTView(length=length, channels=channels, n_fft=n_fft, hop_length=hop)


def sine(frequency: float, length: int = 8192, rate: int = 16000, level: float = 1.0) -> Tensor:
    """Return a cosine, `[1, 1, T]`."""
    time = torch.arange(length, dtype=torch.float64) / rate
    return level * torch.cos(2 * math.pi * frequency * time).float()[None, None]


def noise(*shape: int, seed: int = 0) -> Tensor:
    return 0.3 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("kind", VIEWS)
@pytest.mark.parametrize(
    ("rate", "n_fft", "hop"), [(16000, 512, 256), (16000, 256, 64), (44100, 1024, 512), (44100, 2048, 300)]
)
@pytest.mark.parametrize("channels", [1, 2])
def test_any_length_fits_and_is_seen_to_its_end(kind: str, rate: int, n_fft: int, hop: int, channels: int) -> None:
    for seconds in (0.25, 0.31, 1.0, 1.024, 4.0):
        length = round(rate * seconds)
        look = view(kind, length, channels, rate, n_fft, hop)
        sound = torch.zeros(2, channels, length)
        sound[1, :, int(0.97 * length) - 20] = 1.0
        silence, click = look(sound)
        fold, planes, width = (16, 1, 64) if kind == "mel" else (32, 3, n_fft // 2)
        assert look.shape == silence.shape == (planes * channels, look.shape[1], width)  # type: ignore[index]
        assert len(silence[0]) % fold == 0 and len(silence[0]) < length / hop + 1 + fold
        assert (click - silence).abs().amax() > 0.1


@pytest.mark.parametrize("kind", VIEWS)
def test_what_fills_up_a_picture_is_silence(kind: str) -> None:
    short, long = view(kind, 5000), view(kind, 16384)
    sound = noise(1, 1, 5000)
    padded = nn.functional.pad(sound, (0, 16384 - 5000))
    rows = short.shape[1]  # type: ignore[index]
    torch.testing.assert_close(short(sound), long(padded)[:, :, :rows])
    assert rows > 5000 / 256 + 1  # The view has more frames than the sound, so that padding is tested.


@pytest.mark.parametrize(("n_fft", "bin_"), [(512, 12), (512, 100), (1024, 40)])
def test_a_sine_of_full_scale_is_one(n_fft: int, bin_: int) -> None:
    picture = STFTView(length=8192, channels=1, n_fft=n_fft, hop_length=n_fft // 2)(sine(bin_ * 16000 / n_fft))[0]
    re, im, magnitude = picture[:, picture.shape[1] // 4]
    assert int(magnitude.argmax()) == bin_ and float(magnitude[bin_]) == pytest.approx(4, abs=0.001)
    # With a Hann window, the neighbouring bins have half the magnitude, and all others are 0.
    assert magnitude[[bin_ - 1, bin_ + 1]].tolist() == pytest.approx([4 * 0.5 ** (1 / 3)] * 2, abs=0.01)
    assert float(magnitude[bin_ + 3 :].max()) < 0.2
    torch.testing.assert_close(torch.hypot(re, im)[bin_], magnitude[bin_], rtol=1e-4, atol=1e-4)


def test_the_planes_hold_the_phase() -> None:
    look = STFTView(length=8192, channels=1, n_fft=512, hop_length=256)
    cosine, turned = look(sine(1000))[0], look(-sine(1000))[0]
    assert cosine[0, 6, 32] == pytest.approx(4, abs=0.001) and abs(cosine[1, 6, 32]) < 0.01
    torch.testing.assert_close(turned, cosine * torch.tensor([-1.0, -1.0, 1.0])[:, None, None], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("rate", "n_fft"), [(16000, 512), (44100, 2048)])
def test_a_sine_lands_in_its_band_at_its_level(rate: int, n_fft: int) -> None:
    """64 bands from 20 Hz to half the sample rate, with equal mel distances. The level is that of the main lobe."""
    look = LogMelView(length=16384, channels=1, sample_rate=rate, n_fft=n_fft, hop_length=n_fft // 2)
    mel = [2595 * math.log10(1 + f / 700) for f in (20, rate / 2)]
    for band in (8, 20, 40, 62):
        centre = 700 * (10 ** ((mel[0] + (band + 1) * (mel[1] - mel[0]) / 65) / 2595) - 1)
        column = look(sine(centre, 16384, rate))[0, 0, 8]
        assert abs(int(column.argmax()) - band) <= 1, centre
        # A band sums between 0.85 (centre of Hann's main lobe) and 2.1 (whole main lobe).
        assert 0.8 <= math.exp(2 * float(column.max()) - 7) <= 2.15
        halved = look(sine(centre, 16384, rate, level=0.5))[0, 0, 8].max()
        assert float(column.max() - halved) == pytest.approx(math.log(2) / 2, abs=0.001)


@pytest.mark.parametrize(("kind", "floor"), [("mel", 1e-4), ("stft", 1.5e-5)])
def test_what_lies_below_the_floor_does_not_show(kind: str, floor: float) -> None:
    look = view(kind, 8192)
    silence = look(torch.zeros(1, 1, 8192))
    assert (look(sine(1000, level=floor / 200)) - silence).abs().max() < 0.03
    assert (look(sine(1000, level=floor * 10)) - silence).abs().max() > 0.1
    loud = noise(1, 1, 8192)
    rounded = (loud * 1e-3 * 32768).round() / 32768  # -60 dB in 16 bits
    assert (look(rounded) - look(loud * 1e-3)).abs().mean() < 0.1 * (look(loud * 1e-3) - silence).abs().mean()


def test_silence_is_the_same_everywhere_and_the_lowest_level() -> None:
    look = view("mel", 8192)
    silence = look(torch.zeros(1, 1, 8192))
    assert silence.max() - silence.min() < 0.02 and silence.min() == pytest.approx((math.log(1e-4) + 7) / 2, abs=0.01)
    assert (look(noise(1, 1, 8192)) > silence).all()


@pytest.mark.parametrize("n_mels", [64, 128])
@pytest.mark.parametrize(("rate", "n_fft"), [(16000, 512), (16000, 64), (44100, 512), (44100, 2048)])
def test_no_band_is_empty(rate: int, n_fft: int, n_mels: int) -> None:
    """A click has the same level at all frequencies. The weights of a band sum to at least half of the nearest bin's
    weight."""
    look = LogMelView(length=4096, channels=1, sample_rate=rate, n_fft=n_fft, hop_length=n_fft // 2, n_mels=n_mels)
    click = torch.zeros(1, 1, 4096)
    click[..., 2048] = 1.0
    level = (2 * look(click)[0, 0, 2048 * 2 // n_fft] - 7).exp() * n_fft / 4  # 1 for a single frequency with weight 1.
    assert level.shape == (n_mels,) and level.min() > 0.5


@pytest.mark.parametrize("kind", VIEWS)
def test_channels_stand_one_after_the_other(kind: str) -> None:
    sound = noise(1, 2, 8192)
    one, two = view(kind, 8192, 1), view(kind, 8192, 2)
    torch.testing.assert_close(two(sound), torch.cat([one(sound[:, :1]), one(sound[:, 1:])], dim=1))


@pytest.mark.parametrize("level", [0.0, 1e-6, 1.0])
@pytest.mark.parametrize("kind", VIEWS)
def test_can_be_differentiated_twice(kind: str, level: float) -> None:
    torch.manual_seed(0)
    look = view(kind, 5000, channels=2)  # A view whose number of frames is rounded up.
    size = math.prod(look.shape)  # type: ignore[arg-type]
    critic = nn.Sequential(nn.Flatten(), nn.Linear(size, 8), nn.Softplus(), nn.Linear(8, 1))
    sound = (level * noise(3, 2, 5000)).requires_grad_()
    (gradient,) = torch.autograd.grad(critic(look(sound)).sum(), sound, create_graph=True)
    assert torch.isfinite(gradient).all() and (gradient.abs().max() > 0) == (level > 0 or kind == "stft")
    (second,) = torch.autograd.grad(gradient.square().sum(), sound, retain_graph=True)
    assert torch.isfinite(second).all()
    for weight in torch.autograd.grad(gradient.square().sum(), list(critic[1].parameters())):
        assert torch.isfinite(weight).all()


@pytest.mark.parametrize("kind", VIEWS)
def test_gradients_are_right(kind: str) -> None:
    look = view(kind, 80, n_fft=32, hop=16).double()
    sound = noise(1, 1, 80).double().requires_grad_()
    assert torch.autograd.gradcheck(look, sound, fast_mode=True)
    assert torch.autograd.gradgradcheck(look, sound, fast_mode=True)
