"""Tests that the examples in docstrings run, and that every object in the API reference has an example."""

from __future__ import annotations

import doctest
import functools
import importlib
import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

import audiogan

PACKAGE = Path(audiogan.__file__).parent
REFERENCE = PACKAGE.parent / "mkdocs.yml"
load = functools.cache(audiogan.load)
"""Loading a model takes longer than most examples."""
EXCEPTIONS = {
    "its methods have examples": """
        model.generator.Generator
    """,
    "it needs a game, data or a trained model, for which an example would be long; the tutorials use it": """
        core.anneal.Anneal
        games.vae.VAEGAN
        games.semi.Accuracy
        games.adversarial.Adversarial
        games.cycle.Cycle
        games.generative.Generative
        games.multi.MultiCritic
        games.semi.SemiSupervised
        games.voice_conversion.VoiceConversion
        inputs.knobs.Knobs
        losses.auxiliary_targets.PartialTracks
        losses.auxiliary_targets.Pitch
        losses.auxiliary_targets.Width
        losses.modes.Glide
        losses.modes.ModeFrequencies
        networks.modal_encoder.MidListener
        networks.multiresolution.MidSideMelView
        networks.multiresolution.CropSTFTView
        networks.multiresolution.MidBeginningView
        networks.multiresolution.SpectralLineView
        representations.partials.Partials
        metrics.gain.augmentation_gain
        metrics.labelled.evaluate_labelled
        metrics.extractor.load_extractor
        monitors.callback.Monitors
        monitors.probe.Probe
        run.callbacks.Previews
        run.progress_bar.Progress
        run.callbacks.averaged_networks
        run.trust.find_object
        evaluation.evaluate.evaluate_run
        model.translation.signals.apply_signal
        model.translation.files.apply_files
        model.export.graph.ExportedGenerator
        model.export.graph.export_program
        model.export.to_onnx.save_onnx
        model.export.to_pt2.save_pt2
        studio.app.create_app
    """,
    "abstract: its subclasses have examples": """
        core.game.Game
        inputs.base.Input
        inputs.base.Random
        networks.base.GeneratorNet
        networks.base.CriticNet
        losses.auxiliary_targets.AuxiliaryTarget
        representations.base.Representation
        data.columns.ViewAugment
        data.columns.Column
        data.degrade.base.Degradation
        data.degrade.images.Mask
        modalities.base.Modality
        features.embedding.Embedding
    """,
    "users receive it from other functions and do not construct it": """
        core.trainer.Move
        data.measures.Measured
        metrics.classifier.Classifier
        metrics.neighbours.Memorisation
        metrics.neighbours.Prdc
        monitors.doctor.Diagnosis
        monitors.history.Missing
        latents.directions.Direction
        latents.encoding.Encoding
        latents.near.Neighbour
    """,
    "its module has no room below the limit of test_layout.py": """
        networks.biggan.UpBlock
        networks.biggan.DownBlock
        run.training.open_data
        run.training.build_inputs
        run.training.build_representation
        run.training.build_game
        run.training.build_modality
        run.training.build_trainer
        run.training.build_engine
        run.training.build_streams
        run.training.build_callbacks
        run.training.train
        run.training.run_trainer
        run.training.write_report_and_summary
        run.training.describe_networks
    """,
}
"""Functions and classes of the API reference without an example, by the reason."""
WITHOUT = {f"audiogan.{name}" for names in EXCEPTIONS.values() for name in names.split()}


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


def documented() -> dict[str, Any]:
    """Return the functions and classes that the API reference shows, by their full names."""
    entries = yaml.safe_load(REFERENCE.read_text(encoding="utf-8"))["extra"]["reference"]
    found: list[Any] = []
    for entry in (entry for page in entries.values() for entry in page):
        parent, _, name = entry.rpartition(".")
        try:
            shown = importlib.import_module(entry)
        except ModuleNotFoundError:
            found.append(getattr(importlib.import_module(parent), name))
            continue
        names = getattr(shown, "__all__", None)
        if names is None:
            names = [name for name, member in vars(shown).items() if getattr(member, "__module__", None) == entry]
        found += [getattr(shown, name) for name in names if not name.startswith("_")]
    found = [each for each in found if inspect.isfunction(each) or inspect.isclass(each)]
    return {f"{each.__module__}.{each.__qualname__}": each for each in found}


@pytest.mark.parametrize("name", modules())
def test_examples(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(audiogan, "load", load, raising=False)
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    report: list[str] = []
    for test in examples(name):
        runner.run(test, out=report.append, clear_globs=False)
    assert runner.summarize(verbose=False).failed == 0, "".join(report)


@pytest.mark.parametrize("kind", ["function", "class"])
def test_documented_parts_have_examples(kind: str) -> None:
    is_kind = inspect.isclass if kind == "class" else inspect.isfunction
    without = {name for name, part in documented().items() if is_kind(part) and ">>> " not in (part.__doc__ or "")}
    assert without - WITHOUT == set()


def test_exceptions_are_needed() -> None:
    shown = documented()
    assert [name for name in WITHOUT if name not in shown or ">>> " in (shown[name].__doc__ or "")] == []
