"""Tests of partials: synthesis at given frequencies, measurement, training."""

from __future__ import annotations

import math

import pytest
import torch

from audiogan.losses import PartialTracks
from audiogan.networks.tonenoise import ToneNoiseGenerator
from audiogan.representations import Partials, SoundFormat
from audiogan.representations.partials import BAND_OCTAVES, LOWEST_HZ, lower_band_edges_in_octaves

FORMAT, HOP = SoundFormat(16384), 256


def tracks(partials: Partials, *octaves: float) -> torch.Tensor:
    """Return constant frequencies `[1, K, N]`: the given ones, and the middle of the band for all others."""
    found = partials.middle.repeat(1, 65)[None].clone()
    for value in octaves:
        found[0, int((value - math.log2(LOWEST_HZ)) / BAND_OCTAVES)] = value
    return found


@pytest.mark.parametrize("hertz", [36.0, 55.0, 143.7, 440.0, 2200.0])
def test_a_steady_partial_is_a_sine(hertz: float) -> None:
    partials = Partials(12, FORMAT.length, HOP, FORMAT.sample_rate)
    octaves, amplitude = tracks(partials, math.log2(hertz)), torch.zeros(1, 12, 65)
    amplitude[0, int((math.log2(hertz) - math.log2(LOWEST_HZ)) / BAND_OCTAVES)] = 0.5
    expected = 0.5 * torch.sin(2 * math.pi * hertz * torch.arange(16384, dtype=torch.float64) / 16000)
    torch.testing.assert_close(partials(octaves, amplitude)[0], expected.float(), atol=1e-3, rtol=0)


def test_partials_that_glide_and_fade_are_measured_as_they_are() -> None:
    partials, compare = Partials(12, FORMAT.length, HOP, FORMAT.sample_rate), PartialTracks(12, FORMAT, HOP)
    octaves = tracks(partials)
    octaves[0, 2] = torch.linspace(math.log2(72), math.log2(92), 65)
    octaves[0, 5] = math.log2(250)
    amplitude = torch.zeros(1, 12, 65)
    amplitude[0, 2], amplitude[0, 5] = torch.linspace(1, 0.1, 65), 0.3
    found, counts = compare.meter(partials(octaves, amplitude)[:, None])
    cents = 1200 * (found - octaves).abs()
    assert cents[0, 2, 4:-4].max() < 25 and cents[0, 5, 4:-4].max() < 10
    assert counts[0, 2, 4:30].min() > counts[0, 5, 4:30].max() > 0.4
    assert counts[0, 9:].max() < 0.1  # There is no partial at these frequencies.
    assert float(compare(octaves, {"x": partials(octaves, amplitude)[:, None]})) < 4 * 0.03


def test_silence_and_noise_do_not_harm() -> None:
    measure = PartialTracks(12, FORMAT, HOP)
    said = torch.full((3, 12, 65), 7.0, requires_grad=True)
    noise = torch.cat([torch.zeros(1, 2, 16384), torch.randn(2, 2, 16384)])
    loss = measure(said, {"x": noise})
    assert loss is not None and torch.isfinite(loss)
    loss.backward()
    assert said.grad is not None and torch.isfinite(said.grad).all() and (said.grad[0] == 0).all()


@pytest.mark.parametrize(("count", "rate", "fit"), [(12, 16000, 12), (40, 16000, 15), (12, 2000, 9), (12, 44100, 12)])
def test_all_bands_lie_below_half_the_sample_rate(count: int, rate: int, fit: int) -> None:
    edges = lower_band_edges_in_octaves(count, rate)
    assert len(edges) == fit and (edges + BAND_OCTAVES).exp2().max() <= rate / 2


def generator(channels: int = 1, **options: int) -> ToneNoiseGenerator:
    torch.manual_seed(0)
    small = {"latent_dim": 8, "width": 16, "blocks": 2, "bands": 8, "style_dim": 16, "n_fft": 256, "hop_length": 128}
    return ToneNoiseGenerator(SoundFormat(4096, channels), **small | {"partials": 6, "tones_from": 1000} | options)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("tones_from", [0, 1000, 8000, 20000])
def test_frequencies_learn_from_what_is_said_and_all_else_from_sounds(channels: int, tones_from: int) -> None:
    net = generator(channels=channels, tones_from=tones_from)
    sound, predicted = net.forward_with_aux(torch.randn(3, 8))
    assert sound.shape == (3, channels, 4096) and predicted["partials"].shape == (3, 6, net.frames.count)
    (gradient,) = torch.autograd.grad(sound.abs().sum(), net.rung.weight, retain_graph=True)
    assert (gradient[6:] == 0).all() and (gradient[:6] != 0).any(1).all()
    (sound.abs().sum() + predicted["partials"].sum()).backward()
    for name, weight in net.named_parameters():
        assert weight.grad is not None and torch.isfinite(weight.grad).all() and weight.grad.abs().sum() > 0, name


def test_partials_are_in_the_middle_of_a_stereo_sound() -> None:
    net = generator(channels=2).eval()
    with torch.no_grad():
        net.affine.bias[-1] = -10.0  # mono
        left, right = net(torch.randn(2, 8)).unbind(1)
        torch.testing.assert_close(left, right)
        net.rung.bias[:6] = -12.0
        without = net(torch.randn(2, 8, generator=torch.Generator().manual_seed(1)))
        net.rung.bias[:6] = 0.0
        louder = net(torch.randn(2, 8, generator=torch.Generator().manual_seed(1)))
    assert louder.square().mean() > 2 * without.square().mean()
