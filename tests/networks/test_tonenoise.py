"""Tests of the network of tones and noise: deterministic sounds, effects of conditions, all sizes, and gradients of all
weights."""

from __future__ import annotations

import io
from typing import Any

import pytest
import torch
from torch import Tensor

from audiogan.networks.frame_generator import FASTEST_RISE, SLOWEST_RISE
from audiogan.networks.tonenoise import Listener, ToneNoiseEncoder, ToneNoiseGenerator
from audiogan.networks.tonenoise_blocks import trailing_sum
from audiogan.representations import SoundFormat

SMALL: dict[str, Any] = {"latent_dim": 8, "width": 16, "blocks": 2, "bands": 8, "style_dim": 16}
FRAMES: dict[str, Any] = {"n_fft": 256, "hop_length": 128}


def generator(length: int = 4096, channels: int = 1, **options: Any) -> ToneNoiseGenerator:
    torch.manual_seed(0)
    return ToneNoiseGenerator(SoundFormat(length, channels), **{**SMALL, **FRAMES, **options})


def latents(n: int, seed: int = 1) -> Tensor:
    return torch.randn(n, 8, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize(
    ("length", "n_fft", "hop"),
    [(4000, 512, 256), (4000, 64, 32), (11025, 512, 200), (16384, 512, 256), (44100, 1024, 512), (176400, 2048, 512)],
)
def test_any_length_fits(length: int, n_fft: int, hop: int, channels: int) -> None:
    net = generator(length, channels=channels, n_fft=n_fft, hop_length=hop, width=4, blocks=1)
    sound = net(latents(2))
    assert sound.shape == (2, channels, length) and torch.isfinite(sound).all()
    for piece in sound.tensor_split(8, dim=2):  # All parts of the sound, from the beginning to the end.
        assert (piece.square().mean((1, 2)) > 0).all()


def test_one_latent_is_one_sound_when_it_plays_and_many_when_it_learns() -> None:
    net, z, weights = generator(classes=3), latents(6), torch.eye(3).repeat(2, 1)
    with torch.no_grad():
        assert not torch.equal(net(z, classes=weights), net(z, classes=weights))
        net.eval()
        whole = net(z, classes=weights)
        torch.rand(5)
        assert torch.equal(net(z, classes=weights), whole)
        single = torch.cat([net(z[i : i + 1], classes=weights[i : i + 1]) for i in range(6)])
    torch.testing.assert_close(single, whole, atol=1e-5, rtol=0)


def test_classes_are_emphasised_where_it_plays_and_not_where_it_learns() -> None:
    plain, loud = generator(classes=2, knobs=1), generator(classes=2, knobs=1, emphasis=1.5)
    z, weights, knobs = latents(2), torch.eye(2), torch.tensor([[0.7], [-0.7]])
    with torch.no_grad():
        learned = []
        for net in (plain, loud):
            torch.manual_seed(2)
            learned.append(net.train()(z, classes=weights, knobs=knobs))
            net.eval()
        assert torch.equal(*learned)
        emphasised = loud(z, classes=weights, knobs=knobs)
        torch.testing.assert_close(emphasised, plain(z, classes=1.5 * weights, knobs=knobs))
        usual = plain(z, classes=weights, knobs=knobs)
        assert (emphasised - usual).norm() > 1e-3 * usual.norm()


def test_the_noise_is_saved_with_the_weights() -> None:
    net, other = generator().eval(), ToneNoiseGenerator(SoundFormat(4096), **SMALL, **FRAMES).eval()
    with torch.no_grad():
        assert not torch.equal(other(latents(2)), net(latents(2)))
        file = io.BytesIO()
        torch.save(net.state_dict(), file)
        file.seek(0)
        other.load_state_dict(torch.load(file, weights_only=True))
        assert torch.equal(other(latents(2)), net(latents(2)))


def test_noise_is_another_for_another_latent_and_much_the_same_for_a_near_one() -> None:
    net, z = generator().eval(), latents(40)
    with torch.no_grad():
        net.affine.weight.zero_()
        net.out.weight.zero_()  # Without tones, latents affect the noise only.
        sounds, near = net(z)[:, 0], net(z + 0.1 * latents(40).flip(0))[:, 0]
        pairs = torch.corrcoef(sounds).abs()[~torch.eye(40, dtype=torch.bool)]
        assert pairs.median() < 0.5 and pairs.max() < 0.99
        assert min(float(torch.corrcoef(torch.stack(pair))[0, 1]) for pair in zip(sounds, near, strict=True)) > 0.9
        assert sounds.square().mean(1).std() < 0.2 * sounds.square().mean()
        assert net(torch.zeros(1, z.shape[1])).square().mean() > 0.5 * sounds.square().mean()


def test_sounds_end_in_silence_however_loud_they_are() -> None:
    net = generator()
    torch.nn.init.zeros_(net.out.weight)
    wave = net(latents(2))
    assert wave[..., -1].abs().max() > 1e-3  # Recordings that were cut also end like this.
    wave = net.eval()(latents(2))
    assert wave[..., -1].abs().max() < 1e-6 and wave[..., -400:-200].abs().max() > 1e-3


def test_noise_of_two_channels_and_of_two_frames_differs() -> None:
    net = generator(channels=2).eval()
    torch.nn.init.ones_(net.affine.bias[-1:])
    left, right = net(latents(1))[0].detach()
    assert abs(float(torch.corrcoef(torch.stack([left, right]))[0, 1])) < 0.9
    assert abs(float(torch.corrcoef(torch.stack([left[1024:2048], left[2048:3072]]))[0, 1])) < 0.9


@pytest.mark.parametrize("channels", [1, 2])
def test_a_body_colours_the_whole_sound(channels: int) -> None:
    net, z = generator(body=True, channels=channels, length=8192).eval(), latents(2)
    last = net.affine.out_features - channels + 1  # For stereo sounds, the side channel follows it.
    with torch.no_grad():
        net.affine.weight[last - net.frames.bins : last] = 0  # The body depends on the bias only.
        body = net.affine.bias[last - net.frames.bins : last]
        plain = net(z)
        body[38:43], body[78:83] = 0.7, -0.7
        change = (power(net(z)) / power(plain)).log10() * 10
    assert (change[..., 40] > 14).all() and (change[..., 80] < -8).all()  # In all parts of the sound.
    assert change[..., 55:65].abs().max() < 4


def power(sound: Tensor) -> Tensor:
    """Return the power spectra of the four quarters of a sound, `[B, C, quarters, bins]`."""
    frames = torch.fft.rfft(sound.unfold(2, 256, 128) * torch.hann_window(256)).abs().square()
    return torch.stack([part.mean(2) for part in frames.tensor_split(4, dim=2)], dim=2)


def test_a_stereo_sound_can_be_mono() -> None:
    net = generator(channels=2).eval()
    torch.nn.init.constant_(net.affine.bias[-1:], -1.0)
    left, right = net(latents(1))[0].detach()
    assert torch.equal(left, right) and left.abs().max() > 0


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("channels", [1, 2])
def test_every_weight_learns(channels: int, training: bool) -> None:
    net = generator(classes=3, channels=channels, body=True).train(training)
    net(latents(3), classes=torch.eye(3)).abs().sum().backward()
    for name, weight in net.named_parameters():
        assert weight.grad is not None and torch.isfinite(weight.grad).all() and weight.grad.abs().sum() > 0, name


def test_latents_and_classes_make_different_sounds_and_mixtures_lie_between() -> None:
    net, z = generator(classes=2).eval(), latents(2)
    weights = torch.tensor([[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]])
    with torch.no_grad():
        a, mixed, b = net(z[:1].expand(3, -1), classes=weights)
        other = net(z[1:], classes=weights[:1])[0]
    assert (a - other).norm() > 0.01 * a.norm() and (a - b).norm() > 0.01 * a.norm()
    assert (mixed - a).norm() < (a - b).norm() > (mixed - b).norm()


@pytest.mark.parametrize("z_scale", [0.0, 3.0, 10.0, 100.0])
def test_latents_far_out_are_still_sounds(z_scale: float) -> None:
    """Sounds are not clipped, and the levels of bands and frames are bounded, so sounds of extreme latents are finite
    for any weights."""
    net = generator(classes=2, body=True).eval()
    weights = torch.eye(2)[[0, 1, 0, 1]]
    with torch.no_grad():
        assert torch.isfinite(net(z_scale * latents(4), classes=weights)).all()
        for weight in net.parameters():  # Weights that give extreme levels.
            weight.mul_(300 if weight.dim() > 1 else 1)
        sound = net(z_scale * latents(4), classes=weights)
        assert torch.isfinite(sound).all() and sound.abs().amax() > 1


@pytest.mark.parametrize("make", [ToneNoiseGenerator, ToneNoiseEncoder])
@pytest.mark.parametrize("classes", [0, 2])
def test_conditions_must_fit_the_classes(make: Any, classes: int) -> None:
    net = make(SoundFormat(4096), latent_dim=8, classes=classes, **FRAMES)
    x = torch.zeros(2, 8) if make is ToneNoiseGenerator else torch.zeros(2, 1, 4096)
    with pytest.raises(ValueError, match=f"{make.__name__} takes the inputs"):
        net(x, classes=None if classes else torch.eye(2))


def test_wrong_sizes_are_named() -> None:
    with pytest.raises(ValueError, match=r"ToneNoiseGenerator: latent: expected \[B, 8\], got \[2, 9\]"):
        generator()(torch.zeros(2, 9))
    with pytest.raises(ValueError, match=r"expected \[B, 2, 4096\], got \[3, 1, 4096\]"):
        ToneNoiseEncoder(SoundFormat(4096, channels=2), **FRAMES)(torch.zeros(3, 1, 4096))
    with pytest.raises(ValueError, match="bands=0"):
        generator(bands=0)


@pytest.mark.parametrize(("length", "channels", "rate"), [(4096, 1, 16000), (5000, 2, 44100), (16000, 1, 16000)])
def test_the_encoder_hears_any_sound(length: int, channels: int, rate: int) -> None:
    torch.manual_seed(0)
    small = {"latent_dim": 6, "classes": 2, "widths": (4, 4, 8), "hidden": 16}
    net = ToneNoiseEncoder(SoundFormat(length, channels=channels, sample_rate=rate), **small, **FRAMES)  # type: ignore[arg-type]
    sound, weights = 0.1 * torch.randn(4, channels, length), torch.eye(2)[[0, 1, 0, 1]]
    sound[0], sound[1] = 0, 100 * sound[1]
    mean, log_variance = net(sound, classes=weights)
    assert mean.shape == log_variance.shape == (4, 6) and torch.isfinite(mean).all()
    assert log_variance.min() >= -8 and log_variance.max() <= 2
    assert (mean[2] - mean[3]).norm() > 1e-3 and not torch.equal(net(sound, classes=weights.flip(1))[0], mean)
    (mean.square().sum() + log_variance.sum()).backward()
    for name, weight in net.named_parameters():
        assert weight.grad is not None and torch.isfinite(weight.grad).all() and weight.grad.abs().sum() > 0, name


def test_sounds_begin_at_silence_and_have_no_offset() -> None:
    net = generator(16384).eval()
    with torch.no_grad():
        net.out.bias += 0.3  # Also a high level at frequency 0.
        for bias in (-20.0, -2.0, 20.0):
            net.affine.bias[-1] = bias
            sound = net(latents(4))
            assert sound[..., 0].abs().max() < 1e-6 and sound.mean(2).abs().max() < 1e-3 * sound.abs().max()
    gain = net.onset_gain(torch.full((2, 1), -20.0))
    assert gain.shape == (2, round(SLOWEST_RISE * 16000)) and (gain[:, round(FASTEST_RISE * 16000) + 1 :] == 1).all()
    assert (gain.diff() >= 0).all()


def test_the_mean_that_is_taken_out_looks_back_only() -> None:
    x = torch.zeros(1, 1, 50)
    x[..., 20:] = 1
    mean = trailing_sum(x, 10) / 10
    assert (mean[..., :20] == 0).all() and (mean[..., 29:] - 1).abs().max() < 1e-6
    t = torch.arange(1600) / 16000  # A tone of 100 Hz is unchanged.
    tone = torch.sin(2 * torch.pi * 100 * t)[None, None]
    slow = trailing_sum(trailing_sum(tone, 800), 800) / 800**2
    assert slow.abs().max() < 0.07 and slow[..., 1400:].abs().max() < 0.01


def test_the_listener_hears_attacks_shorter_than_a_frame() -> None:
    """Its view of the beginning distinguishes attacks of 2 ms and 8 ms, which are within one hop of its other view."""
    torch.manual_seed(0)
    net = Listener(SoundFormat(16384), knobs=1, widths=(4, 8, 8, 8), hidden=16)
    t = torch.arange(16384) / 16000
    noise = torch.randn(2, 1, 16384, generator=torch.Generator().manual_seed(0))
    sounds = noise[:1] * torch.stack([(t / rise).clamp_max(1) * (-8 * t).exp() for rise in (0.002, 0.008)])[:, None]

    def frames_apart(view: Any, samples: int) -> int:
        a, b = (view(x[None, :, :samples]) for x in sounds)
        return int(((a - b).abs().mean((0, 1, 3)) > 0.1).sum())

    assert frames_apart(net.trunk.view, 16384) == 1 and frames_apart(net.onset.view, net.beginning) >= 3
    logits, knobs = net(sounds)
    assert logits.shape == (2, 0) and knobs.shape == (2, 1)


def test_one_sound_is_made_faster_but_alike() -> None:
    net = generator(4096).eval()
    z = latents(3)
    together = net(z)
    with torch.inference_mode():
        alone = torch.cat([net(one[None]) for one in z])
    assert (together - alone).abs().max() < 1e-5 * together.abs().max()


def test_class_and_knobs_begin_as_loud_as_the_latent() -> None:
    torch.manual_seed(0)
    net = ToneNoiseGenerator(SoundFormat(1024), latent_dim=48, classes=6, knobs=3, style_dim=512, **FRAMES)
    first = net.mapping[0].weight.detach()
    z, classes, knobs = first.split([48, 6, 3], dim=1)
    loud = [float((x @ weight.T).var()) for x, weight in (
        (torch.randn(500, 48), z), (torch.eye(6), classes), (torch.randn(500, 3), knobs)
    )]  # fmt: skip
    assert max(loud) < 1.3 * min(loud)
