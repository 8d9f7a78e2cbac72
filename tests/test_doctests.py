"""The examples in docstrings run, and show what they return."""

from __future__ import annotations

import doctest
import functools
import importlib
from pathlib import Path

import numpy as np
import pytest
import torch

import audiogan

PACKAGE = Path(audiogan.__file__).parent
load = functools.cache(audiogan.load)
"""Loading a model takes longer than most examples."""
MOST_PUBLIC = {
    "audiogan.latents.directions.directions",
    "audiogan.latents.directions.edit",
    "audiogan.latents.encoding.encode",
    "audiogan.latents.near.neighbours",
    "audiogan.kits.making.make_kit",
    "audiogan.kits.saving.save_kit",
    "audiogan.core.trainer.Trainer",
    "audiogan.data.table.Table.split",
    "audiogan.metrics.distances.frechet_distance",
    "audiogan.metrics.neighbours.prdc",
    "audiogan.model.loading.load",
    "audiogan.errors.UserError",
    "audiogan.features.patches.Patches",
    "audiogan.games.generative.Route",
    "audiogan.inputs.base.Inputs",
    "audiogan.inputs.base.Seeded",
    "audiogan.inputs.classes.Classes",
    "audiogan.inputs.latent.Latent",
    "audiogan.inputs.scale.Scale",
    "audiogan.kits.kit.Kit",
    "audiogan.kits.kit.Pad",
    "audiogan.latents.encoding.nearest_distance",
    "audiogan.latents.walking.walk",
    "audiogan.latents.walking.write_walk",
    "audiogan.losses.penalties.GradientPenalty",
    "audiogan.losses.penalties.R1",
    "audiogan.losses.penalties.R2",
    "audiogan.losses.spectra.log_spectral_distance",
    "audiogan.metrics.convnet.ClassifierRecipe",
    "audiogan.modalities.image.Image",
    "audiogan.modalities.points.Points",
    "audiogan.modalities.sound.Sound",
    "audiogan.model.recipe.Recipe",
    "audiogan.representations.base.Identity",
    "audiogan.representations.lab.Lab",
    *(
        f"audiogan.model.generator.Generator.{name}"
        for name in ("sample", "recipes", "render", "vary", "morph", "save")
    ),
}


def modules() -> list[str]:
    """Return the names of the modules that hold examples."""
    paths = sorted(path for path in PACKAGE.rglob("*.py") if ">>> " in path.read_text(encoding="utf-8"))
    parts = [("audiogan", *path.relative_to(PACKAGE).with_suffix("").parts) for path in paths]
    return [".".join(part for part in each if part != "__init__") for each in parts]


def examples(name: str) -> list[doctest.DocTest]:
    """Return the examples in the docstrings of a module, one entry for each object."""
    module = importlib.import_module(name)
    names = {"audiogan": audiogan, "np": np, "torch": torch}
    return [test for test in doctest.DocTestFinder().find(module, extraglobs=names) if test.examples]


@pytest.mark.parametrize("name", modules())
def test_examples(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(audiogan, "load", load, raising=False)
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    report: list[str] = []
    for test in examples(name):
        runner.run(test, out=report.append, clear_globs=False)
    assert runner.summarize(verbose=False).failed == 0, "".join(report)


def test_public_functions_have_examples() -> None:
    found = {test.name for name in modules() for test in examples(name)}
    assert not MOST_PUBLIC - found
