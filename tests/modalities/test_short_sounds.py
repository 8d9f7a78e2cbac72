"""Tests of sounds of a few milliseconds: training and evaluation work, or one line explains the error."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from audiogan.cli import main
from audiogan.data.toys.drum_machine import render
from audiogan.metrics import LogMel, evaluate
from audiogan.modalities import Sound
from audiogan.modalities.wav import save_wav


@pytest.mark.parametrize("rate", [8000, 16000, 44100])
@pytest.mark.parametrize("length", [1, 100, 128, 512, 777, 1024, 2048])
def test_the_extractor_takes_sounds_of_any_length(rate: int, length: int) -> None:
    embedding = LogMel.for_length(rate, length)
    x = torch.rand(3, 1, length, generator=torch.Generator().manual_seed(0)) - 0.5
    features = embedding(x)
    assert features.shape[0] == 3 and np.isfinite(features).all() and features.max() > 0
    assert Sound(rate).embedding((1, length)).name == embedding.name


def test_long_enough_sounds_have_the_extractor_they_had() -> None:
    assert LogMel.for_length(16000, 16384).name == LogMel(16000).name == "logmel32x8-16k-1.024s"
    assert LogMel.for_length(16000, 1024).name == LogMel(16000, 0.064).name
    assert LogMel.for_length(16000, 512).name == "logmel32x4-16k-0.032s"
    fake, real = np.random.default_rng(0).uniform(-1, 1, (2, 60, 1, 256)).astype(np.float32)
    report = evaluate(fake, real, sample_rate=16000)
    assert all("logmel32x2-" in name for name in report.values)


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sounds")
    for i in range(44):
        wave = render(("kick", "snare")[i % 2], sample_rate=16000, length=2048, rng=np.random.default_rng([7, i]))
        save_wav(folder / ("kick", "snare")[i % 2] / f"{i}.wav", wave, 16000)
    return folder


COMMON = ("trainer.steps=1", "batch_size=2", "engine.threads=1", "callbacks.previews.count=2", "data.holdout=0.5")


@pytest.mark.parametrize(
    "network",
    [
        ["network=stftgan", "game.generator.widths=[16,8]", "game.critic.widths=[8,8]", "game.augment.max_samples=16"],
        ["warm_up=1", "game.generator.width=8"],
    ],
    ids=["stftgan", "tonenoise"],
)
def test_short_sounds_are_trained_on_and_measured(network: list[str], sounds: Path, tmp_path: Path) -> None:
    command = ["train", "drums", *network, *COMMON, f"data.root={sounds}", "data.length=512", f"run_dir={tmp_path}"]
    assert main(command) == 0
    assert '"monitor/diversity/' in (tmp_path / "metrics.jsonl").read_text()
    assert main(["evaluate", str(tmp_path), "--no-classifier", "-n", "20"]) == 0


@pytest.mark.parametrize(
    ("network", "words"),
    [
        (["network=specgan", "model_size=2"], "SpecGANGenerator needs tensors of shape [1, 128, 128]"),
        (["network=wavegan", "model_size=2"], "length=512 must be one of"),
        (["network=stftgan", "game.generator.widths=[16,8]"], "too small for 5 halvings"),
    ],
    ids=["specgan", "wavegan", "stftgan"],
)
def test_networks_of_longer_sounds_say_so_in_one_line(
    network: list[str], words: str, sounds: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["train", "drums", *network, *COMMON, f"data.root={sounds}", "data.length=512", f"run_dir={tmp_path}"]
    assert main(command) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert words in error and not (tmp_path / "config.yaml").exists()
