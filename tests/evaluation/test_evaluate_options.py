"""Tests of `audiogan evaluate`: the critic's features in every kind of game, and early errors for impossible
options."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import audiogan
from audiogan.cli import main
from audiogan.data.toys.drum_machine import render
from audiogan.errors import UserError
from audiogan.evaluation import evaluate as evaluation
from audiogan.files import unwritable_reason
from audiogan.modalities.wav import save_wav
from audiogan.model.tracing import trace_network
from audiogan.run.config import compose
from audiogan.run.training import train

SILENT = partial(train, progress=False, echo=lambda line: None)


def trained(folder: Path, name: str, *overrides: str) -> str:
    common = (
        "trainer.steps=2",
        "batch_size=4",
        "engine.threads=1",
        "callbacks.previews=null",
        "callbacks.monitors=null",
    )
    SILENT(compose(name, [*common, f"run_dir={folder / 'run'}", *overrides]))
    return str(folder / "run")


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sounds")
    for i in range(56):
        kind = ("kick", "snare")[i % 2]
        wave = render(kind, sample_rate=16000, length=2048, rng=np.random.default_rng([7, i]))
        save_wav(folder / kind / f"{i}.wav", wave, 16000)
    return folder


@pytest.mark.parametrize(
    ("name", "critic", "overrides"),
    [
        ("drums", "critic", ["warm_up=1", "game.generator.width=8", "knobs=[]", "partials=2"]),
        ("drums", "critic", ["network=stftgan", "game.generator.widths=[16,8]", "game.critic.widths=[8,8]"]),
        ("md-gan", "critic_0", ["data.root=digits", "workers=2", "width=4"]),
        ("semi-supervised", "critic", ["data.root=digits", "width=4", "game.critic.widths=[16]"]),
    ],
    ids=["views", "through the signal", "several critics", "semi-supervised"],
)
def test_transfer_reads_what_the_critic_sees(
    name: str, critic: str, overrides: list[str], sounds: Path, tmp_path: Path
) -> None:
    if name == "drums":
        overrides = [*overrides, f"data.root={sounds}", "data.length=2048", "data.holdout=0.45"]
    run = trained(tmp_path, name, *overrides)
    report = evaluation.evaluate_run(run, count=20, classifier=False, transfer=True, echo=lambda line: None)
    found = [key.partition("@")[0] for key in report.values if key.startswith("transfer/")]
    assert found == [f"transfer/{critic}", f"transfer/untrained-{critic}", "transfer/picture"]


@pytest.fixture
def idle(monkeypatch: pytest.MonkeyPatch) -> None:
    """No run is loaded, because options are checked first."""
    monkeypatch.setattr(evaluation, "load", lambda run: pytest.fail("loaded"))


@pytest.mark.usefixtures("idle")
@pytest.mark.parametrize("name", ["s.jpg", "s.pdf", "s", "folder", "folder.png", "file/s.png", "x" * 250 + ".png", ""])
def test_a_sheet_that_cannot_be_written_is_refused_at_once(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("folder", "folder.png"):
        Path(folder).mkdir()
    Path("file").write_text("")
    before = sorted(tmp_path.rglob("*"))
    assert main(["evaluate", "run", "--sheet", name]) == 2
    error = capsys.readouterr().err
    assert f"--sheet {name}: " in error and ".tmp" not in error and len(error.strip().splitlines()) == 1
    assert sorted(tmp_path.rglob("*")) == before


def test_endings_may_be_in_any_case_and_folders_are_made(tmp_path: Path) -> None:
    from audiogan.files import check_output

    check_output(tmp_path / "new/folder/S.PNG", "--sheet", [".png"])
    assert not (tmp_path / "new").exists()


def test_a_closed_folder_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert unwritable_reason(tmp_path / "new/s.png") == f"{tmp_path} is not writable"


@pytest.mark.usefixtures("idle")
def test_weights_without_their_network_are_refused() -> None:
    with pytest.raises(UserError, match=r"--extractor-weights w\.safetensors"):
        evaluation.evaluate_run("run", extractor_weights="w.safetensors")


def test_a_disk_that_fills_up_names_the_flag(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def full(*args: object, **options: object) -> None:
        raise OSError(28, "No space left on device", "/x/.s.png.1234.tmp")

    monkeypatch.setattr(evaluation, "side_by_side", full)
    with pytest.raises(UserError, match=r"^--sheet s.png: cannot be written \(No space left on device\)$"):
        evaluation._draw("s.png", audiogan.load("drums"), None, 0)  # type: ignore[arg-type]


def test_measures_that_need_labels_are_refused_before_anything_is_measured(
    sounds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = ["network=stftgan", "game.generator.widths=[16,8]", "game.critic.widths=[8,8]", "data.length=2048"]
    run = trained(tmp_path, "drums", *small, "classes=0", f"data.root={sounds}", "data.holdout=0.45")
    monkeypatch.setattr(evaluation, "_samples", lambda *args: pytest.fail("measured"))
    with pytest.raises(UserError, match="--gain needs samples of known class"):
        evaluation.evaluate_run(run, count=20, gain=True, echo=lambda line: None)


class Untraceable(nn.Module):
    def forward(self, latent: Tensor, classes: Tensor) -> Tensor:
        if torch.jit.is_tracing():
            raise TypeError("cannot be traced")
        return latent + classes


def test_a_network_that_torchscript_does_not_take_stays_as_it_is() -> None:
    assert trace_network(Untraceable(), {"latent": torch.ones(1, 3), "classes": torch.ones(1, 3)}) is None
