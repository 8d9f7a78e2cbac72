"""What CONTRIBUTING promises: one Python file and one YAML file train, sample, evaluate and are monitored."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import pytest

import audiogan
from audiogan.cli import main
from audiogan.config import PACKAGED

NETWORK = '''
"""The smallest GAN of images: one dense layer each."""

import torch
from torch import nn


class Maker(nn.Module):
    latent, latent_dim = "normal", 16

    def __init__(self, shape, classes=0):
        super().__init__()
        self.shape, self.classes = tuple(shape), classes
        self.takes = frozenset({"latent", "classes"} if classes else {"latent"})
        self.dense = nn.Linear(16 + classes, self.shape[0] * self.shape[1] * self.shape[2])

    def forward(self, latent, classes=None):
        x = latent if classes is None else torch.cat([latent, classes], 1)
        return torch.tanh(self.dense(x)).view(-1, *self.shape)


class Judge(nn.Module):
    def __init__(self, shape, classes=0):
        super().__init__()
        self.classes = classes
        self.takes = frozenset({"classes"} if classes else ())
        self.dense = nn.Linear(shape[0] * shape[1] * shape[2] + classes, 1)

    def forward(self, x, classes=None):
        x = x.flatten(1)
        return self.dense(x if classes is None else torch.cat([x, classes], 1))[:, 0]
'''
CONFIG = """
defaults:
  - base: default
  - data: images
  - loss: non-saturating
  - _self_
batch_size: 16
data: {root: digits}
representation: {_target_: audiogan.representations.Identity, shape: "${facts.signal_shape}"}
game:
  _target_: audiogan.games.Adversarial
  generator: {_target_: tiniest_networks.Maker, shape: "${facts.shape}", classes: "${facts.classes}"}
  critic: {_target_: tiniest_networks.Judge, shape: "${facts.shape}", classes: "${facts.classes}"}
"""
TRUST = ["--trust", "tiniest_networks"]


def test_one_python_file_and_one_yaml_are_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "tiniest_networks.py").write_text(NETWORK)
    (tmp_path / "tiny.yaml").write_text(CONFIG)
    monkeypatch.chdir(tmp_path)
    assert main(["train", "tiny.yaml"]) == 2
    assert "if you trust tiniest_networks.py, add --trust tiniest_networks" in capsys.readouterr().err
    assert "tiniest_networks" not in sys.modules and not Path("runs").exists()
    assert main(["train", "tiny.yaml", *TRUST, "trainer.steps=30", "callbacks.log.every=10"]) == 0
    assert main(["sample", "-n", "3", "--class", "7", "out", *TRUST]) == 0
    assert len(list(Path("out").glob("7-*.png"))) == 3
    assert [row["class"] for row in csv.DictReader(Path("out/samples.csv").read_text().splitlines())] == ["7"] * 3
    assert main(["evaluate", *TRUST]) == 0
    assert any(
        name.startswith("frechet/") for name in json.loads(Path("runs/tiny/evaluation.json").read_text())["values"]
    )
    capsys.readouterr()
    assert main(["doctor", "runs/tiny"]) == 0
    assert "verdict" in capsys.readouterr().out.lower()
    assert Path("runs/tiny/report.html").is_file()
    assert main(["sample", "-n", "1", "out"]) == 2
    assert (
        capsys.readouterr()
        .err.strip()
        .endswith("it needs the module tiniest_networks; if you trust that file, add --trust tiniest_networks")
    )
    assert main(["export", "runs/tiny", "tiny.audiogan", *TRUST]) == 0
    generator = audiogan.load("tiny.audiogan", trust=["tiniest_networks"])
    assert generator.sample(2, seed=1, label="7").shape[0] == 2


@pytest.mark.parametrize("loss", sorted(path.stem for path in (PACKAGED / "loss").glob("*.yaml")))
def test_every_loss_trains_a_network_of_ones_own(loss: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tiniest_networks.py").write_text(NETWORK)
    (tmp_path / "tiny.yaml").write_text(CONFIG)
    monkeypatch.chdir(tmp_path)
    quick = ["trainer.steps=2", "callbacks.monitors=null", "callbacks.previews=null"]
    assert main(["train", "tiny.yaml", *TRUST, f"loss={loss}", "run_dir=run", *quick]) == 0
    assert Path("run/checkpoints/step-00000002.ckpt").is_file()
