"""Tests of recipes: reproduction of a sound from JSON and from its file, variations, interpolation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from waves import load_wav

import audiogan
from audiogan import Recipe, UserError
from audiogan.cli import main
from audiogan.modalities.wav import save_wav
from audiogan.model.sampling import read_recipe

numbers = st.floats(-1e6, 1e6, allow_nan=False)
names = st.text(min_size=1, max_size=8)


@pytest.fixture(scope="module")
def model(tiny_run: Path) -> audiogan.Generator:
    return audiogan.load(tiny_run)


@given(
    st.builds(
        Recipe,
        model=st.text(),
        latent=st.lists(numbers, max_size=40).map(tuple),
        classes=st.dictionaries(names, numbers, max_size=3),
        knobs=st.dictionaries(names, numbers, max_size=3),
        seed=st.none() | st.integers(0, 2**63 - 1),
        truncation=st.none() | st.floats(0.1, 2),
    )
)
def test_json_keeps_everything(recipe: Recipe) -> None:
    assert Recipe.from_json(recipe.to_json()) == recipe


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        "null",
        '{"model": 1, "latent": ""}',
        '{"model": "a", "latent": [1, 2]}',
        '{"model": "a", "latent": "AAA"}',
        '{"model": "a", "latent": "AADAfw=="}',  # NaN
        '{"model": "a", "latent": "", "classes": {"kick": true}}',
        '{"model": "a", "latent": "", "knobs": {"decay": 1e999}}',
        json.dumps({"model": "a", "latent": "A" * 40000}),
        "[" * 100_000,
        '{"a":' * 50_000,
        '{"model": "a", "latent": "//9/fw=="}',  # the largest float
        '{"model": "a", "latent": "", "seed": 1e300}',
        '{"model": "a", "latent": "", "seed": "7"}',
        '{"model": "a", "latent": "", "seed": true}',
        '{"model": "a", "latent": "", "seed": 1' + "0" * 5000 + "}",
        '{"model": "a", "latent": "", "seed": 1' + "0" * 400 + "}",
        '{"model": "a", "latent": "", "truncation": 1e300}',
        '{"model": "a", "latent": "", "truncation": NaN}',
        '{"model": "a", "latent": "", "truncation": -1}',
        '{"model": "a", "latent": "", "knobs": {"decay": 1' + "0" * 400 + "}}",
        '{"model": "a", "latent": "", "classes": {"\\u001b[2J": "x"}}',
        '{"model": "a", "latent": "", "classes": "ab"}',
        json.dumps({"model": "a", "latent": "", "classes": {str(i): 1 for i in range(20_000)}}),
        json.dumps({"model": "a", "latent": "", "knobs": {"k" * 2_000: 1}}),
        json.dumps({"model": "m" * 10_000, "latent": ""}),
        json.dumps({"model": "a", "latent": "", "more": " " * 2_000_000}),
    ],
)
def test_what_is_no_recipe_is_one_line(text: str) -> None:
    with pytest.raises(UserError, match="not a recipe") as caught:
        Recipe.from_json(text)
    assert len(str(caught.value)) < 200 and str(caught.value).isprintable()


def test_a_recipe_makes_the_sound_again(model: audiogan.Generator) -> None:
    recipes = model.recipes(5, seed=3)
    assert [r.seed for r in recipes] == [3, 4, 5, 6, 7] and {r.label for r in recipes} <= {"kick", "snare"}
    waves = model.sample(5, seed=3)
    assert np.array_equal(model.render(recipes), waves)
    again = [Recipe.from_json(r.to_json()) for r in recipes]
    assert again == recipes and np.array_equal(model.render(again), waves)
    assert model.render([]).shape == (0, *model.shape)
    mixed = [model.recipes(1, seed=1, truncation=t)[0] for t in (None, 0.5, None)]
    out = model.render(mixed)
    assert np.allclose(out[0], out[2], atol=1e-5) and not np.allclose(out[0], out[1], atol=1e-4)


def test_variations_are_as_near_as_asked(model: audiogan.Generator) -> None:
    recipe = model.recipes(1, seed=3, label="kick")[0]
    z = np.array(recipe.latent)
    assert model.vary(recipe, 0.0)[0] == recipe
    apart = []
    for amount in (0.1, 0.3, 0.6, 1.0):
        varied = model.vary(recipe, amount, 20, seed=1)
        assert all(r.classes == {"kick": 1.0} and r.seed is None for r in varied) and len(set(varied[0].latent)) > 1
        apart.append(np.mean([np.linalg.norm(np.array(r.latent) - z) for r in varied]))
        lengths = np.mean([np.linalg.norm(r.latent) for r in varied])
        assert 0.8 < lengths / np.sqrt(len(z)) < 1.2
    assert apart == sorted(apart)
    assert model.vary(recipe, 0.3, 2, seed=5) == model.vary(recipe, 0.3, 2, seed=5)
    with pytest.raises(UserError, match="amount=2"):
        model.vary(recipe, 2)


def test_a_morph_goes_from_one_end_to_the_other(model: audiogan.Generator) -> None:
    a, b = model.recipes(1, seed=3, label="kick")[0], model.recipes(1, seed=9, label="snare")[0]
    way = model.morph(a, b, 5)
    assert way[0] == a and way[-1] == b and len(way) == 5
    assert way[2].classes == pytest.approx({"kick": 0.5, "snare": 0.5})
    lengths = [np.linalg.norm(r.latent) for r in way]
    # The latents are interpolated on a sphere, not on a straight line.
    assert min(lengths) > 0.95 * min(lengths[0], lengths[-1])
    waves = model.render(way)
    steps = np.abs(np.diff(waves, axis=0)).mean(axis=(1, 2))
    assert steps.max() < np.abs(waves[-1] - waves[0]).mean()
    with pytest.raises(UserError, match="steps=1"):
        model.morph(a, b, 1)
    with pytest.raises(UserError, match="different models"):
        a.interpolate(Recipe("other", b.latent), 0.5)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"latent": (0.0,)}, "recipe has 1$"),
        ({"classes": {}}, "another model"),
        ({"classes": {"gong": 1.0}}, "gong"),
        ({"knobs": {"decay": 0.5}}, "another model"),
    ],
)
def test_recipes_of_other_models_are_refused(model: audiogan.Generator, change: dict[str, Any], words: str) -> None:
    recipe = model.recipes(1, seed=0)[0]
    with pytest.raises(UserError, match=words):
        model.render(Recipe(**{**vars(recipe), **change}))


def test_files_hold_their_recipe(
    model: audiogan.Generator, tiny_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main(["sample", "-n", "3", "--seed", "7", "--run", str(tiny_run), str(out)]) == 0
    for file in out.glob("*.wav"):
        wave = model.render(read_recipe(file))[0]
        assert np.abs(load_wav(file)[0] - wave).max() < 1e-4
    save_wav(tmp_path / "bare.wav", np.zeros((1, 10)), 16000)
    (tmp_path / "text.wav").write_text("RIFF")
    for name, words in (("bare.wav", "no recipe"), ("text.wav", "cannot be read"), ("none.png", "cannot be read")):
        with pytest.raises(UserError, match=words):
            read_recipe(tmp_path / name)


def test_a_morph_from_the_command_line(
    tiny_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run = ["--run", str(tiny_run)]
    assert main(["morph", *run, "--from", "kick-3", "--to", "snare-8", "--steps", "4", "out"]) == 0
    names = sorted(p.name for p in Path("out").iterdir())
    assert names == ["contact-sheet.png", *[f"morph-{i}.wav" for i in (1, 2, 3, 4)], "morph.wav"]
    assert load_wav("out/morph.wav")[0].shape[1] == 4 * 2048 + 3 * 4000
    assert main(["morph", *run, "--from", "out/morph-2.wav", "--to", "5", "--steps", "2", "again"]) == 0
    assert read_recipe("again/morph-1.wav") == read_recipe("out/morph-2.wav")
    capsys.readouterr()
    assert main(["morph", *run, "--from", "kick", "--to", "5", "bad"]) == 2
    assert "kick-7" in capsys.readouterr().err and not Path("bad").exists()
