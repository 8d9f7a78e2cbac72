"""Small untrained models of every kind that generates sounds or images."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn

from audiogan.games import Generative
from audiogan.inputs import Classes, Input, Knobs, Scale
from audiogan.inputs.scale import QUANTILES
from audiogan.modalities import Image, Modality, Sound
from audiogan.model.generator import Generator
from audiogan.networks.dcgan import DCGANGenerator
from audiogan.networks.specgan import SpecGANGenerator
from audiogan.networks.stftgan import STFTGenerator
from audiogan.networks.stylegan import StyleGANGenerator
from audiogan.networks.tonenoise import ToneNoiseGenerator
from audiogan.networks.wavegan import WaveGANGenerator
from audiogan.representations import ComplexSTFT, Identity, LogMagnitude, Representation, SoundFormat, Waveform

Parts = tuple[nn.Module, Representation, Modality]
SOUND = Sound(16000, "peak")


def stftgan() -> Parts:
    """Return an STFT GAN for stereo sounds, without classes. The number of frames is not a power of two."""
    representation = ComplexSTFT(SoundFormat(2000, channels=2), n_fft=120, hop_length=60, power=0.33)
    network = STFTGenerator(representation.shape, latent_dim=8, widths=(8, 4), style_dim=8)
    return network, representation, Sound(44100)


def tonenoise(voice: bool = False) -> Parts:
    network = ToneNoiseGenerator(
        SoundFormat(2048, channels=1),
        latent_dim=8,
        classes=0 if voice else 2,
        knobs=2,
        width=8,
        blocks=1,
        bands=8,
        style_dim=8,
        voice=voice,
    )
    return network, Waveform(SoundFormat(2048)), SOUND


def specgan() -> Parts:
    return (
        SpecGANGenerator(latent_dim=8, model_size=1, classes=2),
        LogMagnitude(SoundFormat(16384), iterations=2),
        SOUND,
    )


def wavegan() -> Parts:
    return (
        WaveGANGenerator(SoundFormat(16384), latent_dim=8, model_size=1, classes=2, post_filter=64),
        Waveform(SoundFormat(16384)),
        SOUND,
    )


def dcgan() -> Parts:
    return DCGANGenerator((1, 8, 8), latent_dim=8, width=4, classes=2), Identity((1, 8, 8)), Image()


def growing() -> Parts:
    shape = (1, 8, 8)
    return StyleGANGenerator(shape, 8, 8, channel_max=4, mapping_layers=1, progressive=True), Identity(shape), Image()


KINDS: dict[str, Callable[[], Parts]] = {
    "tonenoise": tonenoise,
    "voice": lambda: tonenoise(voice=True),
    "stftgan": stftgan,
    "specgan": specgan,
    "wavegan": wavegan,
    "dcgan": dcgan,
    "growing": growing,
}


def small(kind: str) -> Generator:
    """Return a model of one of ``KINDS``. Calls give equal models."""
    torch.manual_seed(0)
    network, representation, modality = KINDS[kind]()
    names = ["brightness", "decay"][: getattr(network, "knobs", 0)]
    labels = ["kick", "snare"][: getattr(network, "classes", 0)]
    quantiles = np.tile(np.linspace(0, 1, QUANTILES), (len(names), 1))
    inputs: dict[str, Input] = {"classes": Classes(labels=labels)} if labels else {}
    if names:
        inputs["knobs"] = Knobs(scale=Scale(tuple(names), quantiles))
    game = Generative(network.eval(), representation, inputs)
    return Generator(game, modality, {"name": kind, "facts": {"labels": labels}}, Path(f"{kind}.ckpt"), 0)
