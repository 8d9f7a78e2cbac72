"""Tests that every network lists its inputs, works with them, and rejects missing or unknown inputs."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from audiogan.networks.base import CriticNet, CriticOutput, GeneratorNet
from audiogan.networks.biggan import BigGANCritic, BigGANGenerator
from audiogan.networks.classifying import DenseClassifier
from audiogan.networks.dcgan import DCGANCritic, DCGANGenerator
from audiogan.networks.mlp import MLPCritic, MLPGenerator
from audiogan.networks.multiview import MultiViewCritic
from audiogan.networks.r3gan import R3GANGenerator
from audiogan.networks.specgan import SpecGANCritic, SpecGANGenerator
from audiogan.networks.stftgan import STFTCritic, STFTGenerator
from audiogan.networks.stylegan import StyleGANCritic, StyleGANGenerator
from audiogan.networks.tonenoise import ToneNoiseEncoder, ToneNoiseGenerator
from audiogan.networks.wavegan import WaveGANCritic, WaveGANGenerator
from audiogan.representations import SoundFormat

BATCH = 4
STYLES: dict[str, Any] = {"channel_base": 112, "channel_max": 16}
FRAMES: dict[str, Any] = {"format": SoundFormat(4096), "n_fft": 256, "hop_length": 128, "latent_dim": 8}
VIEWS: dict[str, Any] = {"n_fft": 256, "hop_length": 128, "n_mels": 32, "mel_widths": (4, 6), "stft_widths": (4, 6)}
TONES: dict[str, Any] = {**FRAMES, "width": 8, "blocks": 1, "bands": 8, "style_dim": 16}

GENERATORS: dict[str, Any] = {
    "biggan": lambda n: BigGANGenerator((1, 16, 16), 9, n, 4, 5),
    "dcgan": lambda n: DCGANGenerator((1, 16, 16), 8, n, 4),
    "mlp": lambda n: MLPGenerator((1, 8, 8), 8, n, (8,)),
    "r3gan": lambda n: R3GANGenerator((1, 8, 8), 8, n, (8, 8), group_channels=4),
    "specgan": lambda n: SpecGANGenerator(8, 1, classes=n),
    "stftgan": lambda n: STFTGenerator((2, 33, 33), 8, n, (4, 4, 4), 8),
    "stylegan": lambda n: StyleGANGenerator((1, 16, 16), 8, 8, n, **STYLES),
    "tonenoise": lambda n: ToneNoiseGenerator(classes=n, **TONES),
    "tonenoise with knobs": lambda n: ToneNoiseGenerator(classes=n, knobs=2, **TONES),
    "wavegan": lambda n: WaveGANGenerator(SoundFormat(16384), latent_dim=8, model_size=1, classes=n),
}
HEADED: dict[str, Any] = {
    "biggan": lambda n, c: BigGANCritic((1, 16, 16), n, 4, conditioning=c),
    "dcgan": lambda n, c: DCGANCritic((1, 16, 16), n, 4, conditioning=c),
    "dcgan with deviation": lambda n, c: DCGANCritic((1, 16, 16), n, 4, conditioning=c, minibatch_std=True),
    "mlp": lambda n, c: MLPCritic((1, 8, 8), n, (8,), conditioning=c),
    "multiview": lambda n, c: MultiViewCritic(SoundFormat(4096), classes=n, conditioning=c, **VIEWS),
    "specgan": lambda n, c: SpecGANCritic(1, classes=n, conditioning=c),
    "stylegan": lambda n, c: StyleGANCritic((1, 16, 16), n, conditioning=c, **STYLES),
    "wavegan": lambda n, c: WaveGANCritic(SoundFormat(16384), model_size=1, classes=n, conditioning=c),
}
GROUPING = ("dcgan with deviation", "multiview", "stylegan")
"""Critics with a minibatch deviation of each class: an auxiliary classifier changes nothing about their inputs."""


def inputs(net: Any) -> dict[str, Tensor]:
    """Return values for the inputs that a network takes."""
    sizes = {"latent": "latent_dim"}
    return {name: torch.rand(BATCH, getattr(net, sizes.get(name, name))) for name in sorted(net.takes)}


def signals(net: Any) -> Tensor:
    x = torch.randn(BATCH, *net.shape)
    return net.view(x) if hasattr(net, "view") else x


def refuses(net: Any, given: dict[str, Tensor], *x: Tensor) -> None:
    """Check that each missing input, and an unknown input, raises an error that lists expected and given inputs."""
    for left_out in given.keys() - {"latent"}:
        fewer = {name: value for name, value in given.items() if name != left_out}
        named = f"{type(net).__name__} takes the inputs: .*{left_out}.*; got: {', '.join(sorted(fewer)) or 'none'}$"
        with pytest.raises(ValueError, match=named):
            net(*x, **fewer)
        with pytest.raises(ValueError, match=f"{left_out}: expected"):
            net(*x, **{**given, left_out: torch.rand(BATCH, 9)})
    if not net.classes:
        with pytest.raises(ValueError, match=f"{type(net).__name__} takes the inputs: .*; got: .*classes"):
            net(*x, **given, classes=torch.rand(BATCH, 3))


@pytest.mark.parametrize("classes", [0, 3])
@pytest.mark.parametrize("name", GENERATORS)
def test_generators_take_what_they_say(name: str, classes: int) -> None:
    net: nn.Module = GENERATORS[name](classes).eval()
    assert isinstance(net, GeneratorNet)
    expected = {"latent"} | ({"classes"} if classes else set()) | ({"knobs"} if getattr(net, "knobs", 0) else set())
    assert net.takes == expected
    given = inputs(net)
    with torch.no_grad():
        x = net(**given)
        assert x.shape[0] == BATCH and torch.equal(x, net(**given))  # No random numbers in evaluation mode.
        if hasattr(net, "forward_truncated"):
            assert net.forward_truncated(0.5, **given).shape == x.shape  # type: ignore[operator]
        with pytest.raises(TypeError, match="latent"):
            net(**{key: value for key, value in given.items() if key != "latent"})
        refuses(net, given)


@pytest.mark.parametrize("conditioning", ["projection", "embedding", "auxiliary"])
@pytest.mark.parametrize("classes", [0, 3])
@pytest.mark.parametrize("name", HEADED)
def test_critics_take_what_they_say(name: str, classes: int, conditioning: str) -> None:
    net: nn.Module = HEADED[name](classes, conditioning).eval()
    assert isinstance(net, CriticNet)
    uses = bool(classes) and (conditioning != "auxiliary" or name in GROUPING)
    assert net.takes == ({"classes"} if uses else set())
    given, x = inputs(net), signals(net)
    with torch.no_grad():
        out: Any = net(x, **given)
        assert isinstance(out, CriticOutput) == (conditioning == "auxiliary" and classes > 0)
        logits = out
        if isinstance(out, CriticOutput):
            assert out.classes is not None and out.classes.shape == (BATCH, classes)
            logits = out.logits
        parts = logits if isinstance(logits, list) else [logits]
        assert isinstance(logits, list) == (name == "multiview") and all(part.shape == (BATCH,) for part in parts)
        features = net.features(x, **given)  # type: ignore[operator]
        assert features.dim() == 2 and len(features) == BATCH
        refuses(net, given, x)


@pytest.mark.parametrize("name", sorted(HEADED.keys() - set(GROUPING)))
def test_auxiliary_critics_ignore_classes(name: str) -> None:
    net = HEADED[name](3, "auxiliary").eval()
    x = signals(net)
    with torch.no_grad():
        assert torch.equal(net(x, classes=torch.rand(BATCH, 3)).logits, net(x).logits)


@pytest.mark.parametrize("classes", [0, 3])
def test_the_other_critics_take_what_they_say(classes: int) -> None:
    net = STFTCritic((2, 33, 33), classes, (4, 8, 8))
    assert isinstance(net, CriticNet) and net.takes == ({"classes"} if classes else set())
    given, x = inputs(net), signals(net)
    assert net(x, **given).shape == (BATCH,)
    refuses(net, given, x)
    classifier = DenseClassifier((1, 8, 8), 3, (8,))
    assert isinstance(classifier, CriticNet) and classifier.takes == set()
    assert classifier(signals(classifier)).shape == (BATCH, 3)


@pytest.mark.parametrize("classes", [0, 3])
@pytest.mark.parametrize("knobs", [0, 2])
def test_the_encoder_takes_what_it_says(classes: int, knobs: int) -> None:
    net = ToneNoiseEncoder(classes=classes, knobs=knobs, widths=(4, 4, 8), hidden=8, **FRAMES)
    assert net.takes == ({"classes"} if classes else set()) | ({"knobs"} if knobs else set())
    given, x = inputs(net), torch.randn(BATCH, 1, 4096)
    assert net(x, **given)[0].shape == (BATCH, 8)
    refuses(net, given, x)
