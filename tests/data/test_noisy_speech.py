"""Tests of speech data: random level and speed, noises, rooms and clipping."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from audiogan.data import open_speech
from audiogan.data.degrade import NoisySpeech
from audiogan.errors import UserError
from audiogan.losses import CompressedSpectrum, SignalToDistortion
from audiogan.modalities import Sound
from audiogan.representations import SoundFormat

QUIET = {"second": 0, "clean": 0, "clip": 0}


def noise(length: int = 8000, seed: int = 0) -> torch.Tensor:
    return torch.tensor(np.random.default_rng(seed).uniform(-0.5, 0.5, (1, length)), dtype=torch.float32)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("speech", "noises", "rooms"):
        (tmp_path / name).mkdir()
        x = noise(16_000, seed=len(name)).numpy()
        if name == "rooms":
            x *= np.exp(-np.arange(16_000) / 2000)
            x[0, 0] = 1
        Sound(16_000).save(tmp_path / name / "a.wav", x)
    return tmp_path


def test_ratio() -> None:
    x, mix = noise(), NoisySpeech(snr=10.0, **QUIET)
    for seed in range(8):
        added = mix(x, np.random.default_rng(seed)) - x
        assert 10 * torch.log10(x.square().mean() / added.square().mean()) == pytest.approx(10, abs=0.01)


def test_silence_gets_noise() -> None:
    y = NoisySpeech(snr=0.0, **QUIET)(torch.zeros(1, 4000), np.random.default_rng(0))
    assert y.square().mean() == pytest.approx(1e-5, rel=0.01)


def test_folders_of_noises_and_rooms(folder: Path) -> None:
    table = open_speech(folder / "speech", length=4000, cache=folder, progress=False)
    column = NoisySpeech(noises=str(folder / "noises"), rooms=str(folder / "rooms"), reverb=1.0, direct=10.0, snr=100.0)
    table = table.with_column("source", column)
    batch = table.batch([0, 1], np.random.default_rng(0))
    late = batch["source"] - batch["x"]
    assert batch["x"].abs().max() < 1 and 0 < late.square().mean() < batch["x"].square().mean()
    examples = table.examples([0, 1])
    # The random changes depend on the row only.
    assert all((examples[name] == table.examples([0, 1])[name]).all() for name in examples)
    assert table.modality.normalize == "none"


def test_level_and_speed(folder: Path) -> None:
    table = open_speech(folder / "speech", length=4000, gain=(-20, -20), speed=(2, 2), cache=folder, progress=False)
    x, plain = table.batch([0], np.random.default_rng(0))["x"], table.batch([0])["x"]
    assert not x[..., 2010:].any() and 0.001 < x.square().mean() / plain.square().mean() < 0.006
    with pytest.raises(UserError, match="speed"):
        open_speech(folder / "speech", speed=(0, 1))


def test_clipping() -> None:
    y = NoisySpeech(snr=100.0, second=0, clean=0, clip=1, level=0.5)(noise(), np.random.default_rng(0))
    assert y.abs().max() == pytest.approx(0.25, abs=0.01)


def test_losses_fall_to_the_target() -> None:
    x = noise(2048)[None]
    spectrum, ratio = CompressedSpectrum(SoundFormat(2048), n_ffts=(64, 256)), SignalToDistortion(limit=20)
    values = [
        (spectrum(x + s * noise(2048, 1), x).item(), ratio(x + s * noise(2048, 1), x).item()) for s in (1, 0.1, 0)
    ]
    assert values == sorted(values, reverse=True) and values[-1] == (0.0, pytest.approx(-20))
    assert ratio(x, torch.zeros_like(x)) == 0
