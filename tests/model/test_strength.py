"""Tests of the interpolation between the weights at the end of the first stage and the final weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import audiogan
from audiogan.cli import main
from audiogan.errors import UserError
from audiogan.model.bundle import save_bundle
from audiogan.run.model_files import read_bundle

STAGES = "+callbacks.first_stage={_target_: audiogan.core.FirstStage, fraction: 0.5}"
SOURCE = np.random.default_rng(0).uniform(-1, 1, (1, 16, 16)).astype(np.float32)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stages") / "run"
    small = ["data.size=16", "width=4", "batch_size=4", "game.critic.layers=2", "callbacks.monitors=null"]
    assert main(["train", "pix2pix", "trainer.steps=6", "lr.generator=0.01", *small, STAGES, f"run_dir={folder}"]) == 0
    return folder


def test_strength_moves_every_weight_along_a_line(run: Path) -> None:
    weights = [audiogan.load(run, strength=strength).game.nets.state_dict() for strength in (0, 0.25, 1)]
    final = audiogan.load(run).game.nets.state_dict()
    assert all(torch.equal(value, final[name]) for name, value in weights[2].items())
    first = audiogan.load(run).first_stage
    assert all(torch.equal(x, weights[0][name]) for name, x in first.items() if x.is_floating_point())
    for name, value in first.items():
        if value.is_floating_point():
            torch.testing.assert_close(weights[1][name], 0.75 * value + 0.25 * final[name])
    assert any(not torch.equal(value, final[name]) for name, value in first.items())


def test_a_bundle_keeps_the_first_stage(run: Path, tmp_path: Path) -> None:
    path = save_bundle(tmp_path / "small.audiogan", audiogan.load(run))
    for strength in (0, 0.5, 1):
        expected = audiogan.load(run, strength=strength).apply(SOURCE)
        np.testing.assert_allclose(audiogan.load(path, strength=strength).apply(SOURCE), expected, atol=2e-2)
    assert sum(name.startswith("first_stage.") for name in read_bundle(path)[1]) == len(audiogan.load(run).first_stage)


def test_a_bundle_without_the_first_stage_is_smaller_and_has_no_strength(run: Path, tmp_path: Path) -> None:
    whole, final = tmp_path / "whole.audiogan", tmp_path / "final.audiogan"
    assert main(["export", str(run), str(whole)]) == main(["export", str(run), str(final), "--final"]) == 0
    assert final.stat().st_size < 0.6 * whole.stat().st_size
    assert np.array_equal(audiogan.load(final).apply(SOURCE), audiogan.load(whole).apply(SOURCE))
    with pytest.raises(UserError, match="export it without --final"):
        audiogan.load(final, strength=0.5)
    assert main(["export", str(run), str(tmp_path / "final.onnx"), "--final"]) == 2


@pytest.mark.parametrize("strength", [-0.1, 1.5, float("nan")])
def test_a_strength_out_of_range_is_one_clear_line(run: Path, strength: float) -> None:
    with pytest.raises(UserError, match=r"strength=.*from 0 .* to 1"):
        audiogan.load(run, strength=strength)


def test_a_model_without_a_first_stage_has_no_strength() -> None:
    with pytest.raises(UserError, match="no weights of a finished first stage"):
        audiogan.load("digits", strength=0.5)


def test_damaged_weights_of_the_first_stage_are_refused(run: Path, tmp_path: Path) -> None:
    generator = audiogan.load(run)
    name = next(iter(generator.first_stage))
    for wrong in (generator.first_stage[name][:1], torch.full_like(generator.first_stage[name], float("nan"))):
        generator.first_stage = {**generator.first_stage, name: wrong}
        with pytest.raises(UserError, match=r"first stage|finite"):
            audiogan.load(save_bundle(tmp_path / "wrong.audiogan", generator))
