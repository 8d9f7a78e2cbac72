"""Tests of the voice: pulses at the requested pitch, and learning of the pitch."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from audiogan.data.sounds.pitch import measure_pitch
from audiogan.networks.tonenoise import ToneNoiseGenerator
from audiogan.networks.voice import LOWEST_HZ, OCTAVES, minimum_phase, pulse_train
from audiogan.representations import SoundFormat


@pytest.mark.parametrize("hertz", [61.0, 100.0, 237.3, 479.0])
def test_pulses_have_their_pitch_and_one_level(hertz: float) -> None:
    wave = pulse_train(torch.full((1, 65), hertz), 16384, 256, 16000)
    assert wave.shape == (1, 16384) and torch.isfinite(wave).all()
    assert float(wave.square().mean()) == pytest.approx(1.0, abs=0.03)
    spectrum = torch.fft.rfft(wave[0] * torch.hann_window(16384)).abs()
    assert abs(float(spectrum[: round(1.5 * hertz * 1.024)].argmax()) / 1.024 - hertz) < 1
    levels = [float(spectrum[round(k * hertz * 1.024) - 2 : round(k * hertz * 1.024) + 3].max()) for k in range(1, 11)]
    assert max(levels) < 1.5 * min(levels)


def test_a_pitch_that_moves_is_followed() -> None:
    wave = pulse_train(torch.linspace(100, 200, 65)[None], 16384, 256, 16000)
    found = measure_pitch(wave[:, None].numpy(), 16000, 256)[0]
    there = np.isfinite(found)
    assert there.mean() > 0.8 and np.abs(found - np.linspace(100, 200, 65))[there][2:-2].max() < 6


def test_minimum_phase_is_that_of_a_filter_whose_poles_and_zeros_lie_inside() -> None:
    pole, zero = 0.9 * np.exp(0.4j), 0.8 * np.exp(2j)
    a, b = (np.convolve([1, -r], [1, -np.conj(r)]).real for r in (pole, zero))
    response = torch.from_numpy(np.fft.rfft(b, 512) / np.fft.rfft(a, 512))
    levels = response.abs().log()
    torch.testing.assert_close(minimum_phase(levels), response.angle(), atol=1e-4, rtol=0)
    torch.testing.assert_close(minimum_phase(2 * levels - 3), 2 * minimum_phase(levels))


def test_a_voice_rings_after_its_pulses_and_not_before() -> None:
    net = ToneNoiseGenerator(SoundFormat(16384), voice=True).eval()
    pitch = torch.full((1, net.frames.count), 62.5)  # A pulse every 256 samples, the first at sample -1.
    source = net.to_spectra(pulse_train(pitch, 16384, 256, 16000)[:, None])
    heights = -0.5 * torch.linspace(-6, 6, net.sizes[1]).square()  # a resonance
    band = heights.expand(1, 1, net.frames.count, -1)
    spectrum = (net.bin_amplitudes(band) * net.filter_phases(band, source)).unflatten(3, (-1, 2))
    plain = (net.bin_amplitudes(band) * source.flatten(3)).unflatten(3, (-1, 2))
    rung, even = (
        net.frames.synthesise(torch.view_as_complex(s))[0, 0, 4095:12287].view(-1, 256) for s in (spectrum, plain)
    )
    energy, symmetric = (x.square().mean(0) for x in (rung, even))
    assert energy[:64].sum() > 0.95 * energy.sum()  # The quarter of a period after the pulse.
    torch.testing.assert_close(symmetric[1:128].sum(), symmetric[129:].sum(), rtol=0.02, atol=0)
    torch.testing.assert_close(energy.sum(), symmetric.sum(), rtol=0.02, atol=0)


def speaker(**options: int) -> ToneNoiseGenerator:
    torch.manual_seed(0)
    small = {"latent_dim": 8, "width": 16, "blocks": 2, "bands": 8, "style_dim": 16, "n_fft": 256, "hop_length": 128}
    return ToneNoiseGenerator(SoundFormat(4096), voice=True, **small | options)  # type: ignore[arg-type]


def test_every_weight_learns_and_the_pitch_learns_from_pitches_only() -> None:
    net, z = speaker(), torch.randn(3, 8)
    sound, predicted = net.forward_with_aux(z)
    pitch = predicted["pitch"]
    assert pitch.shape == (3, net.frames.count)
    low = np.log2(LOWEST_HZ)
    assert pitch.min() > low and pitch.max() < low + OCTAVES
    torch.testing.assert_close(net.eval()(z), net.forward_with_aux(z)[0])
    rows = net.out.weight.shape[0]
    (gradient,) = torch.autograd.grad(sound.abs().sum(), net.out.weight, retain_graph=True)
    assert (gradient[rows - 1] == 0).all() and (gradient[rows - 2] != 0).any()
    (sound.abs().sum() + pitch.sum()).backward()
    for name, weight in net.named_parameters():
        assert weight.grad is not None and torch.isfinite(weight.grad).all() and weight.grad.abs().sum() > 0, name


def test_a_generator_without_voice_says_so() -> None:
    net = ToneNoiseGenerator(SoundFormat(4096), latent_dim=8, width=16, blocks=1, bands=8, n_fft=256, hop_length=128)
    assert net.forward_with_aux(torch.randn(1, 8))[1] == {}
