"""Test of a model that removes noise from sounds of any length, written as one Python file and one YAML file."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import soundfile
from every_command import Run
from own_modules import write_module
from waves import load_wav

from audiogan.modalities.wav import save_wav

NETWORKS = '''
import torch
from torch import nn


class Enhancer(nn.Module):
    """Add a correction to the source. Any length."""

    takes = frozenset({"source"})
    receptive_field = 8

    def __init__(self, shape, width=8):
        super().__init__()
        self.shape = tuple(shape)
        self.first = nn.Conv1d(shape[0], width, 9, padding=4)
        self.last = nn.Conv1d(width, shape[0], 9, padding=4)

    def forward(self, source):
        return source + self.last(torch.relu(self.first(source)))


class Critic(nn.Module):
    """Judge a sound beside its source: logits [B, frames]."""

    takes = frozenset({"source"})

    def __init__(self, shape, width=8):
        super().__init__()
        self.shape = tuple(shape)
        self.first = nn.Conv1d(2 * shape[0], width, 15, 4, 7)
        self.last = nn.Conv1d(width, 1, 15, 4, 7)

    def forward(self, x, source):
        return self.last(torch.relu(self.first(torch.cat([x, source], 1)))).flatten(1)
'''
CONFIG = """
defaults:
  - base: default
  - data: sounds
  - loss: least-squares
  - _self_

classes: 0
data:
  _target_: audiogan.data.open_sounds
  sample_rate: 8000
  length: 1024
  columns:
    source: {_target_: audiogan.data.degrade.MixNoise, snr: [0, 10]}
inputs:
  source: {_target_: audiogan.inputs.Signal}
representation: {_target_: audiogan.representations.Identity, shape: "${facts.signal_shape}"}
game:
  _target_: audiogan.games.Adversarial
  penalties: {r1: null}
  distances:
    l1: {_target_: audiogan.losses.L1, weight: 20}
  generator: {_target_: MODULE.Enhancer, shape: "${facts.shape}"}
  critic: {_target_: MODULE.Critic, shape: "${facts.shape}"}
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, tiny_sounds: Path) -> Run:
    folder = tmp_path_factory.mktemp("enhance")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        name = write_module(folder, NETWORKS)
        (folder / "enhance.yaml").write_text(CONFIG.replace("MODULE", name))
        overrides = [f"data.root={tiny_sounds}", "data.holdout=0.5", "batch_size=4", "engine.device=cpu"]
        return Run(folder, "enhance.yaml", overrides, [name])


@pytest.fixture(autouse=True)
def here(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(run.folder)


def test_previews_let_one_hear_source_output_and_target(run: Run) -> None:
    assert f"audiogan apply FILE OUT --run {run.path} --trust {run.trust[0]}" in run.printed
    with soundfile.SoundFile(run.path / "previews/step-00000005.wav") as file:
        layout = json.loads(file.comment)
        assert file.samplerate == 8000
        frames = file.read()
    assert layout["count"] == 12 and layout["titles"][:4] == ["source 1", "output 1", "target 1", "source 2"]
    every = round(layout["every"] * 8000)
    source, _, target = (frames[i * every : i * every + 1024] for i in range(3))
    ratio = 20 * math.log10(target.std() / (source - target).std())
    assert -1 < ratio < 11  # MixNoise: 0 to 10 dB
    assert (run.path / "previews/step-00000005.png").is_file()


def test_a_file_of_any_length_rate_and_number_of_channels(run: Run) -> None:
    noise = 0.1 * np.random.default_rng(0).standard_normal((2, 30_000)).astype(np.float32)
    save_wav(run.folder / "noisy.wav", noise, 44_100)
    run.command("apply", "noisy.wav", "clean.wav", "--run", run.path)
    after, rate = load_wav(run.folder / "clean.wav")
    assert rate == 44_100 and after.shape == (2, 30_000) and np.abs(after).max() > 0.01


def test_measures_of_sounds(run: Run) -> None:
    table = run.command("evaluate", run.path, "--sheet", "sheet.png")
    assert "do nothing" in table and (run.folder / "sheet.png").is_file()
    found = json.loads((run.path / "evaluation.json").read_text())
    names = {name.partition("/")[0]: name for name in found["values"] if "/target@" in name}
    assert names.keys() == {"l1", "si_sdr", "lsd", "stft_distance", "match@16"}
    assert all(math.isfinite(found[kind][name]) for kind in ("values", "nothing") for name in names.values())
    assert 0 < found["nothing"][names["si_sdr"]] < 12 and found["better"][names["si_sdr"]] == "higher"


def test_samples_of_sounds(run: Run) -> None:
    for i in range(2):
        save_wav(run.folder / f"in/hit {i}.wav", np.full((1, 1024), 0.1 * (i + 1), np.float32), 8000)
    said = run.command("sample", "out", "--run", run.path, "--input", "source=in")
    assert "2 sounds" in said
    names = {path.name for path in (run.folder / "out").iterdir()}
    assert names == {"hit_0.wav", "hit_1.wav", "samples.csv", "contact-sheet.png"}


@pytest.mark.parametrize("suffix", ["audiogan", "onnx"])
def test_exports(suffix: str, run: Run) -> None:
    if suffix == "onnx":
        pytest.importorskip("onnx"), pytest.importorskip("onnxscript")
    run.command("export", run.path, f"enhancer.{suffix}")
    if suffix == "audiogan":
        run.command("apply", run_noise(run), "again.wav", "--run", "enhancer.audiogan")
        said = run.command("inputs", "enhancer.audiogan")
        assert said.startswith("source  sound [1, 1024]")
    else:
        runtime = pytest.importorskip("onnxruntime")
        session = runtime.InferenceSession("enhancer.onnx", providers=["CPUExecutionProvider"])
        x = np.random.default_rng(0).uniform(-0.3, 0.3, (3, 1, 1024)).astype(np.float32)
        (made,) = session.run(None, {"source": x})
        wanted = run.generator.sample(inputs={"source": list(x)})
        assert np.abs(made - wanted).max() < 1e-4


def run_noise(run: Run) -> Path:
    path = run.folder / "noise.wav"
    save_wav(path, 0.1 * np.random.default_rng(1).standard_normal((1, 5000)).astype(np.float32), 8000)
    return path
