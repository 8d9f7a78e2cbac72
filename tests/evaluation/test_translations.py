"""Tests of the evaluation of translations, including the scores of the unchanged sources."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from audiogan.evaluation import translations
from audiogan.evaluation.translations import Translated, measure_samples, measure_source_preservation
from audiogan.games.generative import Route
from audiogan.inputs import Signal
from audiogan.modalities import Image, Sound

RNG = np.random.default_rng


def model(source: tuple[int, ...], **settings: Any) -> Any:
    """Return the parts of a generator of images ``[3, 16, 16]`` that the functions use."""
    return SimpleNamespace(
        modality=Image(),
        shape=(3, 16, 16),
        inputs={"source": Signal("source", source, Image())},
        routes={"there": Route(0, 1)},
        **settings,
    )


@pytest.mark.parametrize("shape", [(3, 16, 16), (1, 16, 16), (3, 4, 4), (1, 8, 8), (3, 32, 32)])
def test_sources_take_the_shape_of_outputs(shape: tuple[int, ...]) -> None:
    levels = torch.linspace(-1, 1, 5)[:, None, None, None].expand(5, *shape)
    found = translations._sources_as_outputs(model(shape), {"source": levels})
    assert found is not None and found.shape == (5, 3, 16, 16)
    assert np.allclose(found, levels[:, :1, :1, :1].numpy(), atol=1e-6)


def test_other_sources_are_not_measured() -> None:
    generator = model((3, 16, 16))
    generator.inputs = {"source": Signal("source", (1, 400), Sound(8000))}
    assert translations._sources_as_outputs(generator, {"source": torch.zeros(2, 1, 400)}) is None
    generator.shape = (1, 16, 16)
    generator.inputs = model((3, 16, 16)).inputs
    assert translations._sources_as_outputs(generator, {"source": torch.zeros(2, 3, 16, 16)}) is None  # colour to grey


def test_the_appearance_of_real_images_is_the_floor() -> None:
    real = RNG(0).uniform(-1, 1, (4, 3, 16, 16)).astype(np.float32)
    report = measure_samples(real / 2, real, model((3, 16, 16)))
    assert report.values["sharpness@4"] == pytest.approx(0.25, rel=1e-4) and report.floor["sharpness@4"] == 1
    assert report.values["colourfulness@4"] == pytest.approx(report.floor["colourfulness@4"] / 2, rel=1e-4)
    assert report.better == {"colourfulness@4": "near floor", "sharpness@4": "near 1"}
    flat = measure_samples(real, 0 * real, model((3, 16, 16)))
    assert list(flat.values) == ["colourfulness@4"]  # Real images without fine structure have no sharpness.


def test_one_direction_has_edges_and_no_way_back() -> None:
    x = RNG(0).uniform(-1, 1, (4, 3, 16, 16)).astype(np.float32)
    game = SimpleNamespace(required_inputs={"source": None})
    made = Translated(-x, x, x, False, {"source": x})
    report = measure_source_preservation(made, model((3, 16, 16), game=game), "there", 0)
    assert report.values == {"edge_correlation/source@4": pytest.approx(1)}
    assert not measure_source_preservation(made._replace(paired=True), model((3, 16, 16), game=game), "there", 0).values
