"""Tests of the critic of several views: one logit per view, conditions, bounds, and penalties on its views."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from audiogan.losses import R1, R2, GradientPenalty
from audiogan.networks.base import CriticOutput
from audiogan.networks.multiview import MultiViewCritic
from audiogan.representations import SoundFormat

LENGTH = 4096
SMALL: dict[str, Any] = {
    "n_fft": 256,
    "hop_length": 128,
    "n_mels": 32,
    "mel_widths": (4, 6, 8),
    "stft_widths": (4, 6, 8, 8),
}


def critic(length: int = LENGTH, channels: int = 1, **options: Any) -> MultiViewCritic:
    torch.manual_seed(0)
    return MultiViewCritic(SoundFormat(length, channels), **{**SMALL, **options})


def sounds(n: int, channels: int = 1, length: int = LENGTH) -> Tensor:
    return 0.2 * torch.randn(n, channels, length, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize(
    ("length", "n_fft", "hop"), [(2048, 256, 128), (4000, 512, 256), (16000, 512, 256), (44100, 1024, 512)]
)
def test_a_logit_a_view_of_any_sound(length: int, n_fft: int, hop: int, channels: int) -> None:
    net = critic(length, channels=channels, n_fft=n_fft, hop_length=hop)
    seen = net.view(sounds(2, channels, length))
    assert seen.dim() == 2 and len(seen) == 2 and [logits.shape for logits in net(seen)] == [(2,), (2,)]


@pytest.mark.parametrize("left_out", ["mel_widths", "stft_widths"])
def test_one_view_only(left_out: str) -> None:
    both, one = critic(classes=2), critic(classes=2, **{left_out: ()})
    (logits,) = one(one.view(sounds(3)), classes=torch.eye(2)[[0, 1, 0]])
    assert logits.shape == (3,)
    assert one.view(sounds(3)).shape[1] < both.view(sounds(3)).shape[1]
    with pytest.raises(ValueError, match="at least one of mel_widths"):
        critic(mel_widths=(), stft_widths=())


def test_each_logit_depends_on_its_own_view_alone() -> None:
    net = critic()
    seen = net.view(sounds(3)).requires_grad_()
    logits = net(seen)
    felt = [torch.autograd.grad(logits[k].sum(), seen, retain_graph=True)[0].abs().sum(0) > 0 for k in range(2)]
    assert not (felt[0] & felt[1]).any() and all(f.any() for f in felt)
    # The first view is the log-mel spectrogram, which does not depend on the polarity.
    turned = net(net.view(-sounds(3)))
    torch.testing.assert_close(turned[0], logits[0], atol=1e-4, rtol=0)
    assert (turned[1] - logits[1]).abs().min() > 1e-3


@pytest.mark.parametrize("conditioning", ["projection", "embedding", "auxiliary"])
@pytest.mark.parametrize("spectral_norm", [False, True])
def test_classes_come_in_and_every_weight_learns(conditioning: str, spectral_norm: bool) -> None:
    net = critic(classes=3, conditioning=conditioning, spectral_norm=spectral_norm)
    weights = torch.eye(3)[[0, 1, 2, 0]]
    out = net(net.view(sounds(4)), classes=weights)
    parts, class_logits = out[:2] if isinstance(out, CriticOutput) else (out, None)
    assert isinstance(parts, list)
    logits = torch.stack(parts, dim=1)
    assert logits.shape == (4, 2) and (class_logits is not None) == (conditioning == "auxiliary")
    loss = logits.square().sum()
    if class_logits is not None:
        assert class_logits.shape == (4, 3)
        loss = loss + nn.functional.cross_entropy(class_logits, weights)
    else:
        other = net(net.view(sounds(4)), classes=weights.roll(1, 1))
        # Both views depend on the condition.
        assert isinstance(other, list) and (logits - torch.stack(other, dim=1)).abs().min(0).values.min() > 1e-5
    loss.backward()
    for name, weight in net.named_parameters():
        assert weight.grad is not None and torch.isfinite(weight.grad).all() and weight.grad.abs().sum() > 0, name


def test_features_are_one_row_a_sound_and_tell_sounds_apart() -> None:
    net = critic(classes=2)
    kept = net.features(net.view(sounds(4)))
    assert kept.dim() == 2 and len(kept) == 4 and kept.shape[1] == 8 + 8
    assert torch.pdist(kept).min() > 1e-3
    kept.sum().backward()  # feature matching


def test_spectral_norm_bounds_every_layer() -> None:
    net, plain = critic(spectral_norm=True), critic()

    def largest(network: nn.Module) -> list[float]:
        layers = [m for m in network.modules() if isinstance(m, (nn.Linear, nn.Conv2d))]
        return [float(torch.linalg.matrix_norm(layer.weight.detach().flatten(1), 2)) for layer in layers]

    seen = net.view(sounds(2))
    for _ in range(30):  # One power iteration per call.
        net(seen)
    assert max(largest(plain)) > 1.2
    assert len(largest(net)) == len(largest(plain)) and all(0.95 < s < 1.05 for s in largest(net))


@pytest.mark.parametrize("penalty", [R1(1.0, every=1), R2(1.0, every=1), GradientPenalty(1.0)])
@pytest.mark.parametrize("sound", ["noise", "silence"])
def test_penalties_on_views_reach_every_weight(penalty: Any, sound: str) -> None:
    net, weights = critic(classes=2, channels=2), torch.eye(2)[[0, 1, 0, 1]]
    real = net.view(sounds(4, 2) if sound == "noise" else torch.zeros(4, 2, LENGTH))
    fake = real.flip(0)
    value = penalty(lambda x: torch.stack(net(x, classes=weights), dim=1), real, fake, torch.rand)
    assert value.shape == () and torch.isfinite(value) and value > 0
    value.backward()
    for name, weight in net.named_parameters():
        if weight.dim() > 1:  # Gradients depend on the weights. Biases only select the side of a leaky ReLU.
            assert weight.grad is not None and torch.isfinite(weight.grad).all() and weight.grad.abs().sum() > 0, name


def test_a_gradient_reaches_the_sound_from_its_first_sample_to_its_last() -> None:
    net, x = critic(5000), sounds(2, 1, 5000).requires_grad_()
    (gradient,) = torch.autograd.grad(sum(logits.sum() for logits in net(net.view(x))), x)
    assert torch.isfinite(gradient).all()
    for piece in gradient.tensor_split(50, dim=2):
        assert (piece.abs().amax((1, 2)) > 0).all()


def test_wrong_input_is_named() -> None:
    with pytest.raises(ValueError, match=r"MultiViewCritic: signal: expected \[B, 1, 4096\], got \[2, 2, 4096\]"):
        critic().view(sounds(2, 2))
    net = critic(classes=3)
    with pytest.raises(ValueError, match="MultiViewCritic takes the inputs: classes; got: none"):
        net(net.view(sounds(2)))
    with pytest.raises(ValueError, match="MultiViewCritic takes the inputs: none; got: classes"):
        critic()(critic().view(sounds(2)), classes=torch.eye(2))
    with pytest.raises(ValueError, match="cannot be halved 6 times"):
        critic(mel_widths=(4,) * 6)
    with pytest.raises(ValueError, match="conditioning="):
        critic(classes=2, conditioning="telepathy")


@pytest.mark.parametrize("channels", [1, 2])
def test_the_third_critic_hears_the_beginning_alone(channels: int) -> None:
    net = critic(16384, channels=channels, onset_widths=(4, 6, 8))
    x = sounds(3, channels, 16384)
    later = x.clone()
    later[..., 16 * 128 :] *= 0.1
    logits = [net(net.view(wave)) for wave in (x, later)]
    assert [part.shape for part in logits[0]] == [(3,)] * 3
    torch.testing.assert_close(logits[0][2], logits[1][2])
    assert not torch.allclose(logits[0][0], logits[1][0], atol=1e-3)
