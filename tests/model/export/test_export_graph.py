"""Tests of the exported graph (equal to `Generator.render`) and of the metadata."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from small_models import small

import audiogan
from audiogan.inputs.scale import quantile_levels_to_normal_scores
from audiogan.modalities import Points, Sound
from audiogan.modalities.wav import scale_to_peak as numpy_level
from audiogan.model.export import ExportedGenerator, input_arrays, model_metadata
from audiogan.model.export.metadata import card_licence


def test_normal_scores_are_those_of_the_scale() -> None:
    scale = audiogan.load("drums").scale
    assert scale is not None
    shares = np.concatenate([np.linspace(0, 1, 10_001), [0.075, 0.925, 0.01, 0.99]])
    found = quantile_levels_to_normal_scores(torch.from_numpy(shares.astype(np.float32))).numpy()
    assert np.abs(found - scale.quantile_levels_to_normal_scores(shares)).max() < 2e-6


@pytest.mark.parametrize("normalize", ["peak", None])
def test_levels_are_those_of_the_package(normalize: str | None) -> None:
    loudness = np.array([0, 1e-4, 0.9e-3, 1.1e-3, 0.3, 0.95, 1.0, 40], np.float32)[:, None, None]
    waves = loudness * np.random.default_rng(0).uniform(-1, 1, (8, 2, 50)).astype(np.float32)
    found = Sound(16_000, normalize).postprocess_tensor(torch.from_numpy(waves)).numpy()
    np.testing.assert_allclose(found, numpy_level(waves, normalize), rtol=1e-6)


@pytest.mark.parametrize("kind", ["tonenoise", "voice", "stftgan", "wavegan", "specgan", "dcgan", "growing"])
def test_a_graph_makes_what_the_model_makes(kind: str) -> None:
    model = small(kind)
    recipes = model.recipes(3, seed=5, truncation=None if kind == "growing" else 0.5)
    inputs = {name: torch.from_numpy(x) for name, x in input_arrays(model, recipes).items()}
    # The phase of a voice is the running sum of its pitch, including rounding errors.
    most = 2e-3 if kind == "voice" else 1e-4
    np.testing.assert_allclose(ExportedGenerator(model)(**inputs).numpy(), model.render(recipes), atol=most)


def test_class_weights_need_not_sum_to_one() -> None:
    model = audiogan.load("drums")
    inputs = {name: torch.from_numpy(x) for name, x in input_arrays(model, model.recipes(1, seed=0)).items()}
    play = ExportedGenerator(model)
    wanted = play(**inputs)
    inputs["classes"] = inputs["classes"] * 3
    torch.testing.assert_close(play(**inputs), wanted)
    inputs["classes"] = torch.zeros_like(inputs["classes"])
    assert torch.isfinite(play(**inputs)).all()


def test_exporting_leaves_the_model_alone() -> None:
    model = small("tonenoise")
    before = model.sample(2, seed=1)
    play = ExportedGenerator(model)
    with torch.no_grad():
        for parameter in play.parameters():
            parameter.zero_()
    np.testing.assert_array_equal(model.sample(2, seed=1), before)


def test_a_truncation_of_the_networks_own_is_refused() -> None:
    model = small("growing")
    with pytest.raises(audiogan.UserError, match=r"growing\.ckpt: the truncation"):
        input_arrays(model, model.recipes(1, seed=0, truncation=0.5))


def test_a_model_of_points_is_refused() -> None:
    model = small("dcgan")
    model.modality = Points()
    with pytest.raises(audiogan.UserError, match="a model of point"):
        ExportedGenerator(model)


def test_what_a_file_says_of_itself() -> None:
    model = audiogan.load("digits")
    told = model_metadata(model)
    assert (told["model"], told["step"], told["sample_rate"]) == ("digits", str(model.step), "16000")
    assert json.loads(told["labels"]) == model.labels and told["licence"].startswith("CC BY-SA 4.0")
    assert "Limits" not in told["licence"] and told["card"] == model.card and told["latent"] == "normal"
    drums = json.loads(model_metadata(audiogan.load("drums"))["knobs"])
    assert [knob["unit"] for knob in drums] == ["log2 Hz", "log10 s", "log10 s", "dB"] and len(drums[0]["values"]) == 65
    own = model_metadata(small("wavegan"), "# Mine\n\n## License\n\nMIT\n")
    assert own["licence"] == "MIT" and own["latent"] == "uniform" and own["model"] == "wavegan"
    assert card_licence("# no word of it") == "" and "licence" not in model_metadata(small("wavegan"))
