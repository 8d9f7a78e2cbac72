"""Tests of traced generators: bits and arguments equal those of the network."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import audiogan
from audiogan.model import generator
from audiogan.model.tracing import trace_network
from audiogan.networks.mlp import MLPGenerator
from audiogan.networks.tonenoise import ToneNoiseGenerator
from audiogan.representations import SoundFormat


class Drawing(nn.Module):
    """Network that adds random numbers to its latents, so that no two calls have equal results."""

    def forward(self, latent: Tensor) -> Tensor:
        return latent + torch.randn(1)


class Filter(nn.Module):
    """Network for signals of any length."""

    def forward(self, latent: Tensor, source: Tensor) -> Tensor:
        return source * latent[:, :1, None]


class Endless(nn.Module):
    """Network whose output has no fixed length."""

    shape = (1, None)

    def forward(self, latent: Tensor) -> Tensor:
        return latent[:, None]


def small() -> tuple[ToneNoiseGenerator, dict[str, Tensor]]:
    torch.manual_seed(0)
    net = ToneNoiseGenerator(
        SoundFormat(4096), latent_dim=8, classes=3, knobs=2, n_fft=256, hop_length=128, width=8, blocks=1, bands=8
    )
    inputs = {"latent": torch.randn(1, 8), "classes": torch.eye(3)[:1], "knobs": torch.randn(1, 2)}
    return net.eval(), inputs


@pytest.mark.parametrize("name", ["drums", "digits"])
def test_sounds_are_the_same_bits_before_and_after(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = audiogan.load(name).sample(40, seed=3)
    monkeypatch.setattr(generator, "TRACED_AFTER", 10)
    model = audiogan.load(name)
    assert np.array_equal(model.sample(40, seed=3), expected)
    assert model._traced is not None  # The network was traced, so the comparison is meaningful.
    other = audiogan.load(name).sample(1, seed=3, truncation=0.5)
    assert np.array_equal(model.sample(1, seed=3, truncation=0.5), other)


def test_it_is_called_by_keyword_in_any_order_and_gives_the_same_bits() -> None:
    net, inputs = small()
    with torch.inference_mode():
        for names in (["latent", "classes", "knobs"], ["knobs", "latent", "classes"]):
            script = trace_network(net, {name: inputs[name] for name in names})
            assert script is not None
            for seed in range(4):
                rng = torch.Generator().manual_seed(seed)
                values = {
                    "classes": torch.rand(1, 3, generator=rng),
                    "knobs": torch.randn(1, 2, generator=rng),
                    "latent": torch.randn(1, 8, generator=rng),
                }
                assert torch.equal(script(**values), net(**values))


def test_one_input_suffices() -> None:
    net, inputs = MLPGenerator((2,), 8).eval(), {"latent": torch.randn(1, 8)}
    script = trace_network(net, inputs)
    assert script is not None and torch.equal(script(**inputs), net(**inputs))


def test_a_network_without_the_same_bits_twice_stays_as_it_is() -> None:
    assert trace_network(Drawing(), {"latent": torch.ones(1, 3)}) is None


def test_a_network_of_open_length_or_without_latents_stays_as_it_is() -> None:
    latent, source = torch.ones(1, 3), torch.ones(1, 1, 30)
    assert trace_network(Filter(), {"latent": latent, "source": source}) is None
    assert trace_network(Endless(), {"latent": latent}) is None
    assert trace_network(nn.Identity(), {"input": source}) is None


def test_an_error_of_the_network_is_left_to_the_network() -> None:
    net, inputs = small()
    assert trace_network(net, {"latent": inputs["latent"]}) is None


def test_a_large_network_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    net, inputs = small()
    monkeypatch.setattr("audiogan.model.tracing.MAX_PARAMETERS", 8)
    assert trace_network(net, inputs) is None
