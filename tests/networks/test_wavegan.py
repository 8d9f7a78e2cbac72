"""Tests of WaveGAN: size of the paper, TensorFlow's SAME padding, initialisation, phase shuffle."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from audiogan.networks.blocks import SameConv1d, SameConvTranspose1d
from audiogan.networks.wavegan import WaveGANCritic, WaveGANGenerator, phase_shuffle
from audiogan.representations import SoundFormat

FORMAT = SoundFormat(16384)


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def tensorflow_same(length: int, kernel: int, stride: int) -> tuple[np.ndarray, int]:
    """Return the index of the input that each output tap reads, `[outputs, kernel]`, for TensorFlow's SAME padding. -1:
    zero."""
    outputs = -(-length // stride)
    total = max((outputs - 1) * stride + kernel - length, 0)
    read = np.arange(outputs)[:, None] * stride + np.arange(kernel) - total // 2
    return np.where((read < 0) | (read >= length), -1, read), outputs


def dense_matrix(weight: np.ndarray, length: int, stride: int) -> np.ndarray:
    """Return a SAME convolution with weights `[C', C, K]` as a matrix `[C' * outputs, C * length]`."""
    outs, ins, kernel = weight.shape
    read, outputs = tensorflow_same(length, kernel, stride)
    matrix = np.zeros((outs, outputs, ins, length))
    for o in range(outputs):
        for k in range(kernel):
            if read[o, k] >= 0:
                matrix[:, o, :, read[o, k]] += weight[:, :, k]
    return matrix.reshape(outs * outputs, ins * length)


@pytest.mark.parametrize(
    ("length", "size", "generator", "critic"),
    [
        (16384, 64, 19_065_345, 17_427_969),
        (32768, 64, 73_149_953, 69_875_201),
        (65536, 64, 73_149_953, 69_875_201),
        (16384, 32, 5_180_673, 4_361_985),
    ],
)
def test_parameter_counts(length: int, size: int, generator: int, critic: int) -> None:
    with torch.device("meta"):
        assert count(WaveGANGenerator(SoundFormat(length), model_size=size)) == generator
        assert count(WaveGANCritic(SoundFormat(length), model_size=size)) == critic
        assert count(WaveGANGenerator(SoundFormat(length), model_size=size, post_filter=512)) == generator + 512


@pytest.mark.parametrize(("kernel", "stride", "length"), [(25, 4, 32), (25, 2, 32), (5, 2, 12), (12, 1, 9), (3, 4, 8)])
def test_convolution_is_tensorflows_same(kernel: int, stride: int, length: int) -> None:
    layer = SameConv1d(2, 3, kernel, stride, bias=False)
    x = torch.randn(4, 2, length)
    matrix = dense_matrix(layer.weight.detach().double().numpy(), length, stride)
    expected = (x.double().numpy().reshape(4, -1) @ matrix.T).reshape(4, 3, -1)
    assert np.allclose(layer(x).detach(), expected, atol=1e-5)


@pytest.mark.parametrize(("kernel", "stride", "length"), [(25, 4, 8), (25, 2, 16), (5, 2, 6)])
def test_transposed_convolution_is_tensorflows_same(kernel: int, stride: int, length: int) -> None:
    """TensorFlow defines the transposed convolution as the gradient of the convolution."""
    layer = SameConvTranspose1d(3, 2, kernel, stride)
    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    x = torch.randn(4, 3, length)
    matrix = dense_matrix(layer.weight.detach().double().numpy(), length * stride, stride)
    expected = (x.double().numpy().reshape(4, -1) @ matrix).reshape(4, 2, -1)
    assert np.allclose(layer(x).detach(), expected, atol=1e-5)


@pytest.mark.parametrize("length", [16384, 32768, 65536])
@pytest.mark.parametrize("channels", [1, 3])
def test_shapes_ranges_and_gradients(length: int, channels: int) -> None:
    generator = WaveGANGenerator(SoundFormat(length, channels=channels), latent_dim=7, model_size=2, post_filter=None)
    critic = WaveGANCritic(SoundFormat(length, channels=channels), model_size=2)
    wave = generator(torch.rand(3, 7) * 2 - 1)
    assert wave.shape == (3, channels, length) and wave.abs().max() <= 1
    logits = critic(wave)
    assert logits.shape == (3,)
    logits.sum().backward()
    for name, parameter in [*generator.named_parameters(), *critic.named_parameters()]:
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


def test_initialisation_is_glorot_uniform() -> None:
    for network in (
        WaveGANGenerator(FORMAT, model_size=8),
        WaveGANCritic(FORMAT, model_size=8),
    ):
        for name, parameter in network.named_parameters():
            if name.endswith("bias"):
                assert not parameter.any(), name
                continue
            taps = parameter[0, 0].numel()
            bound = (6 / ((parameter.shape[0] + parameter.shape[1]) * taps)) ** 0.5
            assert 0.95 * bound < parameter.abs().max() <= bound, name


def test_post_filter_is_one_linear_filter_a_channel() -> None:
    generator = WaveGANGenerator(SoundFormat(16384, channels=2), model_size=1, post_filter=512)
    z = torch.rand(1, 100)
    filtered = generator(z)[0].detach()
    taps, generator.post_filter = generator.post_filter.weight.detach(), None  # type: ignore[union-attr]
    plain = generator(z)[0].detach()
    for channel in range(2):
        # A SAME correlation of even length 512 reads 255 samples on the left and 256 on the right.
        padded = np.pad(plain[channel].numpy(), (255, 256))
        assert np.allclose(np.correlate(padded, taps[channel, 0].numpy(), "valid"), filtered[channel], atol=1e-4)


def original_phase_shuffle(x: np.ndarray, phase: int) -> np.ndarray:
    """Phase shuffle as in the authors' code: reflect at one end, crop at the other."""
    left, right = max(phase, 0), max(-phase, 0)
    return np.pad(x, ((0, 0), (0, 0), (left, right)), mode="reflect")[..., right : right + x.shape[-1]]


def test_phase_shuffle() -> None:
    x = torch.randn(3, 2, 16)
    candidates = {phase: original_phase_shuffle(x.numpy(), phase) for phase in range(-2, 3)}
    torch.manual_seed(0)
    seen = []
    for _ in range(500):
        shuffled = phase_shuffle(x, 2).numpy()
        seen += [phase for phase, expected in candidates.items() if np.array_equal(shuffled, expected)]
    assert len(seen) == 500  # All sounds of a batch have the same shift, one of five.
    assert min(np.bincount(np.array(seen) + 2)) > 60  # Each shift occurs a fifth of the time.


@pytest.mark.parametrize("length", [16384, 65536])
def test_only_the_first_four_layers_are_shuffled(length: int, monkeypatch: pytest.MonkeyPatch) -> None:
    widths: list[int] = []
    monkeypatch.setattr("audiogan.networks.wavegan.phase_shuffle", lambda x, n: widths.append(x.shape[1]) or x)
    WaveGANCritic(SoundFormat(length), model_size=1)(torch.zeros(1, 1, length))
    assert widths == [1, 2, 4, 8]


def test_phase_shuffle_acts_in_training_only_and_follows_the_seed() -> None:
    critic, x = WaveGANCritic(FORMAT, model_size=2), torch.randn(2, 1, 16384)

    def scores(seed: int) -> Tensor:
        torch.manual_seed(seed)
        return critic(x)

    assert torch.equal(scores(1), scores(1)) and not torch.equal(scores(1), scores(2))
    critic.eval()
    assert torch.equal(scores(1), scores(2))
    plain = WaveGANCritic(FORMAT, model_size=2, phase_shuffle=0)
    assert torch.equal(plain(x), plain(x))


def test_spectral_norm_bounds_every_layer() -> None:
    critic = WaveGANCritic(FORMAT, model_size=4, spectral_norm=True)
    for _ in range(30):  # One power iteration per forward pass.
        critic(torch.randn(1, 1, 16384))
    for layer in [*critic.layers, critic.head.score]:
        norm = torch.linalg.matrix_norm(layer.weight.detach().flatten(1), ord=2)
        assert norm == pytest.approx(1, abs=0.1)


def test_wrong_use_is_named() -> None:
    generator, critic = (
        WaveGANGenerator(FORMAT, model_size=1),
        WaveGANCritic(FORMAT, model_size=1),
    )
    with pytest.raises(ValueError, match=r"expected \[B, 100\], got \[2, 99\]"):
        generator(torch.rand(2, 99))
    with pytest.raises(ValueError, match=r"expected \[B, 1, 16384\], got \[2, 1, 8192\]"):
        critic(torch.rand(2, 1, 8192))
    for network, x in ((generator, torch.rand(2, 100)), (critic, torch.rand(2, 1, 16384))):
        assert network.classes == 0
        with pytest.raises(ValueError, match=r"takes the inputs: (latent|none); got: classes"):
            network(x, classes=torch.rand(2, 10))
    with pytest.raises(ValueError, match=r"length=8192 must be one of 16384, 32768, 65536"):
        WaveGANGenerator(SoundFormat(8192))
    with pytest.raises(ValueError, match="model_size=0"):
        WaveGANCritic(FORMAT, model_size=0)
    with pytest.raises(ValueError, match="post_filter=0"):
        WaveGANGenerator(FORMAT, post_filter=0)
