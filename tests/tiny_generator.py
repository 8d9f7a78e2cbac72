"""A small, untrained model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from audiogan.games import Adversarial
from audiogan.inputs import Classes, Latent
from audiogan.losses import NonSaturating
from audiogan.modalities import Modality
from audiogan.model.generator import Generator
from audiogan.networks.mlp import MLPCritic, MLPGenerator
from audiogan.representations import Identity


def tiny_generator(
    modality: Modality, shape: tuple[int, ...], classes: int = 0, distribution: str = "normal"
) -> Generator:
    """Return an untrained model."""
    torch.manual_seed(0)
    inputs: dict[str, Any] = {"latent": Latent(shape=8, distribution=distribution)}
    if classes:
        inputs["classes"] = Classes(labels=[*"abc"][:classes])
    generator = MLPGenerator(shape, latent_dim=8, widths=[16], classes=classes)
    critic = MLPCritic(shape, widths=[16], classes=classes)
    game = Adversarial(generator, critic, NonSaturating(), Identity(shape), inputs=inputs)
    return Generator(game.eval(), modality, {}, Path("tiny.ckpt"), 7)
