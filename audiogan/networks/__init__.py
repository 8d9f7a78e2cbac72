"""Generators and critics, one module per paper, and modules with shared layers and checks."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # The type checker compares the classes in the tuples below with the protocols.
    from audiogan.networks.base import CriticNet, GeneratorNet
    from audiogan.networks.biggan import BigGANCritic, BigGANGenerator
    from audiogan.networks.classifying import DenseClassifier
    from audiogan.networks.dcgan import DCGANCritic, DCGANGenerator
    from audiogan.networks.mlp import MLPCritic, MLPGenerator
    from audiogan.networks.multiview import MultiViewCritic
    from audiogan.networks.r3gan import R3GANCritic, R3GANGenerator
    from audiogan.networks.specgan import SpecGANCritic, SpecGANGenerator
    from audiogan.networks.stftgan import STFTCritic, STFTGenerator
    from audiogan.networks.stylegan import StyleGANCritic, StyleGANGenerator
    from audiogan.networks.tonenoise import ToneNoiseGenerator
    from audiogan.networks.wavegan import WaveGANCritic, WaveGANGenerator

    _generators: tuple[type[GeneratorNet], ...] = (
        BigGANGenerator,
        DCGANGenerator,
        MLPGenerator,
        R3GANGenerator,
        SpecGANGenerator,
        STFTGenerator,
        StyleGANGenerator,
        ToneNoiseGenerator,
        WaveGANGenerator,
    )
    _critics: tuple[type[CriticNet], ...] = (
        BigGANCritic,
        DCGANCritic,
        DenseClassifier,
        MLPCritic,
        MultiViewCritic,
        R3GANCritic,
        SpecGANCritic,
        STFTCritic,
        StyleGANCritic,
        WaveGANCritic,
    )
