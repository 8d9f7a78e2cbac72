"""Tests of models that require a signal: sampling, recipes, and messages of other functions."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_translators import cycle, filtering, pix2pix

import audiogan
from audiogan.errors import UserError
from audiogan.kits import make_kit
from audiogan.latents import directions, encode, neighbours
from audiogan.model.generator import Generator
from audiogan.model.morphing import write_morph
from audiogan.model.recipe import Recipe

OLD = '{"model": "drums", "seed": 3, "truncation": 0.5, "classes": {"kick": 1.0}, "knobs": {}, "latent": "AACAPw=="}'


def sounds(n: int) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.uniform(-0.5, 0.5, (1, 2048)).astype(np.float32) for _ in range(n)]


@pytest.fixture(scope="module")
def model() -> Generator:
    return filtering()


def test_a_list_of_signals_gives_one_sample_each(model: Generator) -> None:
    a, b = sounds(2)
    both = model.sample(seed=5, inputs={"source": [a, b]})
    assert both.shape == (2, 1, 2048)
    np.testing.assert_array_equal(both[0], model.sample(seed=5, inputs={"source": a})[0])
    np.testing.assert_array_equal(both[1], model.sample(seed=6, inputs={"source": b})[0])
    assert model.sample(3, seed=5, inputs={"source": a}).shape == (3, 1, 2048)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "needs the input 'source'"),
        ({"n": 3, "inputs": {"source": sounds(2)}}, "source: 2 values for 3 samples"),
        ({"inputs": {"source": []}}, "at least 1"),
        ({"inputs": {"sauce": sounds(1)[0]}}, "did you mean 'source'"),
        ({"inputs": {"source": sounds(1)[0][:, :100]}}, r"expected shape \[1, 2048\], got \[1, 100\]"),
        ({"inputs": {"source": np.full((1, 2048), np.nan, np.float32)}}, "source: .*(NaN|finite)"),
        ({"label": "kick", "inputs": {"source": sounds(1)[0]}}, "trained without classes"),
    ],
)
def test_what_does_not_fit_is_one_line(model: Generator, options: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words) as caught:
        model.sample(**options)
    assert "\n" not in str(caught.value)


def test_a_recipe_holds_the_sha_of_its_signal(model: Generator) -> None:
    source, other = sounds(2)
    recipe = model.recipes(1, seed=1, inputs={"source": source})[0]
    stored = json.loads(recipe.to_json())["inputs"]["source"]
    assert stored == {"sha256": hashlib.sha256(source.tobytes()).hexdigest(), "shape": [1, 2048]}
    back = Recipe.from_json(recipe.to_json())
    assert back == recipe and back.to_json() == recipe.to_json() and not back.signals
    with pytest.raises(UserError, match="source: the recipe contains only the SHA-256 of the signal"):
        model.render(back)
    np.testing.assert_array_equal(model.render(back, inputs={"source": source}), model.render(recipe))
    for given in (back, recipe):
        with pytest.raises(UserError, match="source: differs from the signal of the recipe") as caught:
            model.render(given, inputs={"source": other})
        assert "\n" not in str(caught.value)


def test_recipes_take_one_signal_or_one_each(model: Generator) -> None:
    given = sounds(3)
    recipes = model.recipes(seed=1, inputs={"source": given})
    back = [Recipe.from_json(recipe.to_json()) for recipe in recipes]
    np.testing.assert_array_equal(model.render(back, inputs={"source": given}), model.render(recipes))
    with pytest.raises(UserError, match="source: 2 values for 3 recipes"):
        model.render(back, inputs={"source": given[:2]})
    with pytest.raises(UserError, match="source: differs from the signal"):
        model.render(back, inputs={"source": given[0]})
    with pytest.raises(UserError, match="latent: the recipe already contains its value"):
        model.render(back, inputs={"latent": [0.0, 0.0]})


def test_recipes_of_version_0_1_are_read() -> None:
    recipe = Recipe.from_json(OLD)
    assert recipe.latent == (1.0,) and recipe.classes == {"kick": 1.0} and recipe.inputs == {}
    assert json.loads(recipe.to_json()) == json.loads(OLD)


def test_a_recipe_of_version_0_1_makes_the_same_sound() -> None:
    drums = audiogan.load("drums")
    recipe = drums.recipes(1, seed=5)[0]
    content = json.loads(recipe.to_json())
    assert set(content) == {"model", "seed", "truncation", "classes", "knobs", "latent"}
    np.testing.assert_array_equal(drums.render(Recipe.from_json(json.dumps(content))), drums.sample(1, seed=5))


@pytest.mark.parametrize("inputs", [[], "x", {"a": {"b": float("nan")}}, {"a": 1e300}, {"a" * 2000: 1}])
def test_hostile_inputs_of_a_recipe_are_one_line(inputs: Any) -> None:
    with pytest.raises(UserError, match="not a recipe"):
        Recipe.from_json(json.dumps({**json.loads(OLD), "inputs": inputs}))


def test_a_recipe_of_another_model_names_its_inputs(model: Generator) -> None:
    recipe = Recipe("x", (0.0, 0.0), {"kick": 1.0}, inputs={"source": {}, "mask\x1b": 1})
    with pytest.raises(UserError, match=r"another model, with classes \(kick\), latent, mask.*, source") as caught:
        model.render(recipe)
    assert "\x1b" not in str(caught.value)


TOOLS: list[tuple[str, Callable[[Generator, Path], Any]]] = [
    ("kits", lambda g, out: make_kit(g, 4)),
    ("neighbours", lambda g, out: neighbours(g, g.recipes(1, inputs={"source": sounds(1)[0]})[0], 2, pool_size=8)),
    ("encodings", lambda g, out: encode(g, sounds(1)[0], 16000, seconds=0.1)),
    ("directions", lambda g, out: directions(g, 1)),
    ("the ends of a morph", lambda g, out: write_morph(g, out, "1", "2", 3)),
]


@pytest.mark.parametrize(("what", "use"), TOOLS, ids=[what for what, _ in TOOLS])
def test_tools_that_draw_all_inputs_are_refused(
    model: Generator, what: str, use: Callable[[Generator, Path], Any], tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=rf"filter\.ckpt: it needs the input source, but {what} draw") as caught:
        use(model, tmp_path / "out")
    assert "\n" not in str(caught.value) and not list(tmp_path.iterdir())


def test_the_studio_refuses_a_model_with_a_source(model: Generator) -> None:
    instrument = pytest.importorskip("audiogan.studio.instrument", reason="pip install 'audiogan[studio]'")
    with pytest.raises(UserError, match="needs the input source, but the pads of the studio draw"):
        instrument.Instrument(model)


def test_variations_and_morphs_keep_the_source(model: Generator) -> None:
    source, other = sounds(2)
    a, b = (model.recipes(1, seed=seed, inputs={"source": source})[0] for seed in (1, 2))
    steps = model.render(model.morph(a, b, 3))
    np.testing.assert_array_equal(steps[[0, 2]], model.render([a, b]))
    assert model.render(model.vary(a, 0.3, 2)).shape == (2, 1, 2048)
    with pytest.raises(UserError, match="different values of source cannot be interpolated"):
        model.morph(a, model.recipes(1, seed=2, inputs={"source": other})[0], 3)


def test_two_generators_of_one_model() -> None:
    model = cycle()
    picture = np.random.default_rng(0).uniform(-1, 1, (3, 8, 8)).astype(np.float32)
    there, back = (model.sample(inputs={"source": picture}, generator=name) for name in model.routes)
    assert np.abs(there - back).max() > 0.01
    np.testing.assert_array_equal(model.sample(inputs={"source": picture}, generator="pear"), there)
    with torch.no_grad():
        wanted = model.game.nets["b_to_a"](source=torch.from_numpy(picture)[None])
    np.testing.assert_allclose(back, wanted.numpy(), atol=1e-6)


def test_a_model_without_a_latent_repeats_itself() -> None:
    model = pix2pix()
    grey = np.zeros((1, 8, 8), np.float32)
    first, second = model.sample(2, seed=1, inputs={"source": grey})
    np.testing.assert_array_equal(first, second)
    assert model.recipes(1, seed=1, inputs={"source": grey})[0].latent == ()
