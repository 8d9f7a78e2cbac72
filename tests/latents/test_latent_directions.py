from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import audiogan
from audiogan.data.sounds.knobs import measure_knobs
from audiogan.errors import UserError
from audiogan.latents import Direction, directions, edit, neighbours

RISES = {
    "brighter": ("brightness", 1),
    "darker": ("brightness", -1),
    "softer": ("attack", 1),
    "sharper": ("attack", -1),
}
RISES |= {
    "longer": ("decay", 1),
    "shorter": ("decay", -1),
    "noisier": ("noisiness", 1),
    "more tonal": ("noisiness", -1),
}


@pytest.fixture(scope="module")
def drums() -> Any:
    return audiogan.load("drums")


@pytest.fixture(scope="module")
def found(drums: Any) -> dict[str, list[Direction]]:
    return {method: directions(drums, 4, method=method) for method in ("pca", "factorisation")}  # type: ignore[arg-type]


def change(g: Any, direction: Direction, amount: float = 1.5, seed: int = 5000) -> np.ndarray:
    """Return the median change of the four measured knobs along a direction, over twenty new sounds."""
    recipes = g.recipes(20, seed=seed)
    up, down = (g.render([edit(r, direction, sign * amount) for r in recipes]) for sign in (1, -1))
    before, after = (
        measure_knobs(x, g.sample_rate, ["brightness", "attack", "decay", "noisiness"]) for x in (down, up)
    )
    return np.median(after - before, axis=0)


@pytest.mark.parametrize("method", ["pca", "factorisation"])
def test_directions_do_what_they_are_called(drums: Any, found: dict[str, list[Direction]], method: str) -> None:
    tried = 0
    names = list(drums.knobs)
    for direction in found[method]:
        changed = change(drums, direction)
        for word in direction.name.split(", "):
            if word in RISES:
                knob, sign = RISES[word]
                assert sign * changed[names.index(knob)] > 0, (direction.name, changed)
                tried += 1
    assert tried >= 3


def test_different_directions_do_different_things(found: dict[str, list[Direction]]) -> None:
    effects = np.array([list(direction.effects.values()) for direction in found["factorisation"]])
    alike = np.corrcoef(effects) - np.eye(len(effects))
    assert alike.max() < 0.9
    assert len({direction.name for direction in found["factorisation"]}) >= 3
    assert all(direction.strength > 0.01 for direction in found["factorisation"])


@pytest.mark.parametrize("method", ["pca", "factorisation"])
def test_directions_are_perpendicular_and_of_length_one(found: dict[str, list[Direction]], method: str) -> None:
    vectors = np.array([[*d.vector, *d.knobs.values()] for d in found[method]])
    assert vectors.shape == (4, 64 + 4) and found[method][0].vector.dtype == np.float32
    np.testing.assert_allclose(vectors @ vectors.T, np.eye(4), atol=1e-5)


def test_factorisation_is_that_of_the_weights_of_the_first_layer(drums: Any) -> None:
    made = directions(drums, 3, method="factorisation", knobs=False)
    weights = drums.game.nets["generator"].mapping[0].weight[:, :64].numpy()
    strongest = np.linalg.svd(weights)[2][:3]
    np.testing.assert_allclose(np.abs([d.vector @ v for d, v in zip(made, strongest, strict=True)]), 1, atol=1e-3)
    assert all(d.knobs == {} for d in made)


def test_principal_directions_change_more_than_random_ones(drums: Any) -> None:
    strongest = directions(drums, 1, label="snare", knobs=False)[0]
    rng = np.random.default_rng(0)
    random = rng.standard_normal((3, 64))
    random /= np.linalg.norm(random, axis=1, keepdims=True)
    recipes = drums.recipes(4, seed=50, label="snare")
    embedding = drums.modality.embedding(drums.shape)

    def moved(vector: np.ndarray) -> float:
        direction = Direction("drums", vector.astype(np.float32), {}, "", {}, 0.0)
        up, down = (drums.render([edit(r, direction, a) for r in recipes]) for a in (2, -2))
        return float(np.abs(embedding(torch.from_numpy(up)) - embedding(torch.from_numpy(down))).mean())

    # Any change of the latent also changes the noise a little.
    assert moved(strongest.vector) > 1.2 * max(moved(v) for v in random)


def test_an_edit_can_be_undone_and_keeps_the_class(drums: Any, found: dict[str, list[Direction]]) -> None:
    recipe, direction = (
        drums.recipes(1, seed=3, label="kick", knobs=dict.fromkeys(drums.knobs, 0.5))[0],
        found["pca"][0],
    )
    there = edit(recipe, direction, 1.0)
    assert there.seed is None and there.classes == recipe.classes and there.model == "drums"
    assert there.latent != recipe.latent and there.knobs != recipe.knobs
    back = edit(there, direction, -1.0)
    np.testing.assert_allclose(back.latent, recipe.latent, atol=1e-5)
    assert back.knobs == pytest.approx(recipe.knobs)
    assert edit(recipe, direction, 0) is recipe
    far = edit(recipe, direction, 20)
    assert all(0 <= share <= 1 for share in far.knobs.values()) and np.isfinite(drums.render(far)).all()


def test_what_cannot_be_is_said_clearly(drums: Any, found: dict[str, list[Direction]]) -> None:
    recipe, direction = drums.recipes(1, seed=3)[0], found["pca"][0]
    foreign = Direction("other", direction.vector, {}, "", {}, 0.0)
    with pytest.raises(UserError, match="other"):
        edit(recipe, foreign, 1)
    for amount in (21.0, float("nan"), float("inf")):
        with pytest.raises(UserError, match="amount"):
            edit(recipe, direction, amount)
    for n in (0, 69):
        with pytest.raises(UserError, match=f"n={n}"):
            directions(drums, n)
    with pytest.raises(UserError, match="umap"):
        directions(drums, method="umap")  # type: ignore[arg-type]
    with pytest.raises(UserError, match="cowbell"):
        directions(drums, label="cowbell")


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return an image model after two training steps."""
    from audiogan.run import config
    from audiogan.run.training import train

    run_dir = tmp_path_factory.mktemp("digits") / "run"
    overrides = ["data.root=digits", "network=mlp", "widths=[16,16]", "batch_size=8", "trainer.steps=2"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUDIOGAN_CACHE", str(run_dir.parent / "cache"))
        train(config.compose("handwriting", [*overrides, f"run_dir={run_dir}"]), progress=False, echo=lambda line: None)
    return audiogan.load(run_dir)


@pytest.mark.parametrize("method", ["pca", "factorisation"])
def test_images_have_directions_and_neighbours_too(digits: Any, method: Any) -> None:
    made = directions(digits, 2, method=method)
    recipe = digits.recipes(1, seed=0)[0]
    assert set(made[0].effects) >= {"lightness", "contrast"} and made[0].strength > 0
    assert not np.array_equal(digits.render(edit(recipe, made[0], 2)), digits.render(recipe))
    distances = [each.distance for each in neighbours(digits, recipe, 3, pool_size=8)]
    assert distances == sorted(distances)
