"""What CONTRIBUTING promises: one network file and one YAML train, sample, evaluate and are monitored."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

import audiogan.networks
from audiogan.cli import main

NETWORK = '''
"""The smallest GAN of images: one dense layer each."""

import torch
from torch import nn


class Maker(nn.Module):
    latent, latent_dim = "normal", 16

    def __init__(self, shape, classes=0):
        super().__init__()
        self.shape, self.classes = tuple(shape), classes
        self.dense = nn.Linear(16 + classes, self.shape[0] * self.shape[1] * self.shape[2])

    def forward(self, z, condition=None):
        return torch.tanh(self.dense(z if condition is None else torch.cat([z, condition], 1))).view(-1, *self.shape)


class Judge(nn.Module):
    def __init__(self, shape, classes=0, spectral_norm=False):
        super().__init__()
        self.classes = classes
        self.dense = nn.Linear(shape[0] * shape[1] * shape[2] + classes, 1)

    def forward(self, x, condition=None):
        x = x.flatten(1)
        return self.dense(x if condition is None else torch.cat([x, condition], 1))[:, 0]
'''
CONFIG = """
defaults:
  - trainer: default
  - data: images
  - loss: non-saturating
  - _self_
batch_size: 16
data: {root: digits}
representation: {_target_: audiogan.representations.Identity, shape: "${facts.signal_shape}"}
game:
  _target_: audiogan.games.Adversarial
  generator: {_target_: audiogan.networks.tiniest.Maker, shape: "${facts.shape}", classes: "${facts.classes}"}
  critic: {_target_: audiogan.networks.tiniest.Judge, shape: "${facts.shape}", classes: "${facts.classes}"}
"""


def test_one_network_file_and_one_yaml_are_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "networks").mkdir()
    (tmp_path / "networks/tiniest.py").write_text(NETWORK)
    (tmp_path / "tiny.yaml").write_text(CONFIG)
    monkeypatch.setattr(audiogan.networks, "__path__", [*audiogan.networks.__path__, str(tmp_path / "networks")])
    monkeypatch.chdir(tmp_path)
    assert main(["train", "tiny.yaml", "trainer.steps=30", "callbacks.log.every=10"]) == 0
    assert main(["sample", "-n", "3", "--class", "7", "out"]) == 0
    assert len(list(Path("out").glob("7-*.png"))) == 3
    assert [row["class"] for row in csv.DictReader(Path("out/samples.csv").read_text().splitlines())] == ["7"] * 3
    assert main(["evaluate"]) == 0
    assert any(
        name.startswith("frechet/") for name in json.loads(Path("runs/tiny/evaluation.json").read_text())["values"]
    )
    capsys.readouterr()
    assert main(["doctor", "runs/tiny"]) == 0
    assert "verdict" in capsys.readouterr().out.lower()
    assert Path("runs/tiny/report.html").is_file()
