"""Small untrained models that translate pictures and sounds."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from audiogan.games import Generative, Route
from audiogan.inputs import Signal
from audiogan.modalities import Image, Modality, Sound
from audiogan.model.generator import Generator
from audiogan.networks.resnet import ResNetGenerator
from audiogan.networks.unet import UNet
from audiogan.representations import Identity, SoundFormat, Waveform


class Filter(nn.Module):
    """Network from sounds `[B, 1, T]` and latents `[B, 2]` to sounds `[B, 1, T]`."""

    takes = frozenset({"source", "latent"})
    latent_dim = 2

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(1, 1, 5, padding=2)

    def forward(self, source: Tensor, latent: Tensor) -> Tensor:
        return torch.tanh(self.conv(source) + 0.1 * latent.sum(1)[:, None, None])


def filtering() -> Generator:
    """Return a model that filters sounds, with random numbers as a second input."""
    torch.manual_seed(0)
    source, sound = Signal("source", (1, 2048), Sound(16000)), Sound(16000)
    return _translator("filter", Generative(Filter().eval(), Waveform(SoundFormat(2048)), {"source": source}), sound)


def pix2pix(noise: int = 0) -> Generator:
    """Return a model from grey pictures to colour pictures, with a latent if ``noise`` is more than 0."""
    torch.manual_seed(0)
    network = UNet((3, 8, 8), (1, 8, 8), latent_dim=noise, width=4)
    return _translator("pix2pix", Generative(network.eval(), Identity((3, 8, 8)), {"source": _source(1)}))


def cycle() -> Generator:
    """Return a model that translates pictures in both directions."""
    torch.manual_seed(0)
    networks = {name: ResNetGenerator((3, 8, 8), (3, 8, 8), width=4, blocks=1).eval() for name in ("a_to_b", "b_to_a")}
    routes = {"a_to_b": Route(0, 1), "b_to_a": Route(1, 0)}
    return _translator("cycle", Generative(networks, Identity((3, 8, 8)), {"source": _source(3)}, routes))


def _source(channels: int) -> Signal:
    return Signal("source", (channels, 8, 8), Image())


def _translator(name: str, game: Generative, modality: Modality | None = None) -> Generator:
    config = {"name": name, "facts": {"labels": ["apple", "pear"]}}
    return Generator(game, modality or Image(), config, Path(f"{name}.ckpt"), 0)
