"""Tests of the network for bandwidth extension."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from audiogan.losses import MultiResolutionSTFT
from audiogan.networks.bandwidth import BandwidthExtender
from audiogan.representations import SoundFormat

LENGTH, RATE, CUTOFF = 8192, 16_000, 4000


def extender(channels: int = 1) -> BandwidthExtender:
    """Return a small network that changes the source audibly, unlike a network before training."""
    torch.manual_seed(0)
    shape = (channels, LENGTH)
    net = BandwidthExtender(shape, shape, SoundFormat(LENGTH, channels, RATE), CUTOFF, width=16, blocks=2).eval()
    torch.nn.init.normal_(net.last.weight, std=0.1)
    return net


def noise(channels: int = 1, seed: int = 0) -> Tensor:
    return 0.1 * torch.randn(1, channels, LENGTH, generator=torch.Generator().manual_seed(seed))


def narrow(x: Tensor) -> Tensor:
    spectrum = torch.fft.rfft(x)
    spectrum[..., round(0.9 * CUTOFF * LENGTH / RATE) :] = 0
    return torch.fft.irfft(spectrum, LENGTH)


@torch.no_grad()
def test_only_the_upper_band_changes() -> None:
    source = narrow(noise())
    change = torch.fft.rfft(extender()(source) - source).abs().square()[0, 0]
    power = torch.fft.rfft(source).abs().square()[0, 0]
    edge, cutoff = (round(f * LENGTH / RATE) for f in (0.9 * CUTOFF, CUTOFF))
    assert 10 * torch.log10(power[:edge].sum() / change[:edge].sum()) > 40
    upper = change[cutoff:].sum()
    assert upper > 1e-4 * power.sum() and change[int(1.5 * cutoff) :].sum() > 0.2 * upper


@torch.no_grad()
def test_silence_stays_silent_and_levels_are_kept() -> None:
    net, source = extender(), narrow(noise())
    assert float(net(torch.zeros(1, 1, LENGTH)).abs().max()) == 0
    softer = net(0.1 * source) / 0.1
    assert float((softer - net(source)).abs().max()) < 0.02 * float(source.abs().max())


@torch.no_grad()
def test_channels_are_processed_separately() -> None:
    net, source = extender(2), narrow(noise(2))
    assert torch.allclose(net(source)[:, 1:], extender()(source[:, 1:]), atol=1e-6)


@torch.no_grad()
def test_the_receptive_field_and_tiles() -> None:
    net, source = extender(), narrow(noise())
    changed = source.clone()
    changed[..., 0] += 1
    far = net.receptive_field + 1
    assert far < LENGTH and torch.equal(net(changed)[..., far:], net(source)[..., far:])
    tile = -(-far // net.multiple) * net.multiple + 4 * net.multiple
    part = net(source[..., :tile])
    assert torch.allclose(part[..., : 4 * net.multiple], net(source)[..., : 4 * net.multiple], atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"cutoff": 8000}, "cutoff=8000 must be below half of 16000 Hz"),
        ({"cutoff": 10}, "cutoff=10 must"),
        ({"hop_length": 100}, "must divide n_fft"),
        ({"overlap": 1.0}, "overlap=1.0 must be above 0.5 and below 1"),
        ({"source": (1, 4096)}, "must both be"),
        ({"blocks": 0}, "blocks"),
    ],
)
def test_settings_are_checked(arguments: dict[str, object], said: str) -> None:
    settings = {"source": (1, LENGTH), "cutoff": CUTOFF, **arguments}
    with pytest.raises(ValueError, match=said):
        BandwidthExtender((1, LENGTH), format=SoundFormat(LENGTH), **settings)
    with pytest.raises(ValueError, match="expected sounds"):
        extender()(torch.zeros(1, LENGTH))


def test_training_reduces_the_distance_above_the_cutoff() -> None:
    net, target = extender(), noise(seed=1)
    source, loss = narrow(target), MultiResolutionSTFT(SoundFormat(LENGTH), above=CUTOFF)
    optimizer = torch.optim.Adam(net.parameters(), 3e-3)
    values = []
    for _ in range(15):
        value = loss(net(source), target)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        values.append(value.item())
    assert values[-1] < 0.8 * values[0] and loss(source, target) > values[-1]


def test_the_loss_compares_only_the_band_above_its_limit() -> None:
    x, loss = noise(), MultiResolutionSTFT(SoundFormat(LENGTH), above=4500, weight=2)
    time = torch.arange(LENGTH) / RATE
    low, high = (0.1 * torch.sin(2 * torch.pi * f * time) for f in (1000, 6000))
    assert loss(x, x).item() == 0
    assert loss(x + low, x) < 0.1 * loss(x + high, x)
    for settings in ({"above": 8000.0}, {"weight": -1.0}, {"n_ffts": ()}):
        with pytest.raises(ValueError, match="out of range"):
            MultiResolutionSTFT(SoundFormat(LENGTH), **settings)
