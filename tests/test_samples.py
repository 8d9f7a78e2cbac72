"""Tests that the recipes of the sounds in `samples/` reproduce these sounds with the shipped models."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from waves import load_wav

import audiogan
from audiogan.model.sampling import read_recipe
from audiogan.run.model_files import shipped_models

SAMPLES = Path(__file__).resolve().parents[1] / "samples"


@pytest.mark.parametrize("name", sorted(name for name in shipped_models() if (SAMPLES / name).is_dir()))
def test_samples_are_made_again_by_their_recipes(name: str) -> None:
    model = audiogan.load(name)
    files = sorted(SAMPLES.glob(f"{name}/*.wav")) + sorted(SAMPLES.glob(f"{name}-morph/morph-*.wav"))
    assert len(files) >= 20
    for file in files[::4]:
        recipe = read_recipe(file)
        assert recipe.model == name
        # On the machine that made the samples, the bits are equal. Other machines may round differently.
        assert np.abs(model.render(recipe)[0] - load_wav(file)[0]).max() < 1e-3, file.name
