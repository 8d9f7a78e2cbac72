from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import audiogan
from audiogan.errors import UserError
from audiogan.latents import neighbours
from audiogan.model.recipe import Recipe


@pytest.fixture(scope="module")
def drums() -> Any:
    return audiogan.load("drums")


def test_they_are_the_nearest_of_all_sounds_of_the_pool(drums: Any) -> None:
    kick = drums.recipes(1, seed=900, label="kick")[0]
    found = neighbours(drums, kick, 5, pool_size=48, seed=10)
    embedding = drums.modality.embedding(drums.shape)
    there = embedding(torch.from_numpy(drums.sample(48, seed=10)))
    here = embedding(torch.from_numpy(drums.render(kick)))
    distances = np.sqrt(((there - here) ** 2).mean(1))
    assert [each.recipe.seed for each in found] == (10 + distances.argsort()[:5]).tolist()
    assert [each.distance for each in found] == pytest.approx(np.sort(distances)[:5].tolist(), abs=1e-4)


@pytest.mark.parametrize("label", ["kick", "snare"])
def test_what_sounds_like_a_kick_is_mostly_kicks(drums: Any, label: str) -> None:
    found = neighbours(drums, drums.recipes(1, seed=901, label=label)[0], 3, pool_size=64)
    assert sum(each.recipe.label == label for each in found) >= 2


def test_a_sound_is_not_its_own_neighbour(drums: Any) -> None:
    inside = drums.recipes(8, seed=0)[3]
    found = neighbours(drums, inside, 8, pool_size=8)
    assert len(found) == 7 and inside not in [each.recipe for each in found]
    assert all(each.distance > 0.001 for each in found)


def test_the_same_question_has_the_same_answer_and_another_seed_another_pool(drums: Any) -> None:
    recipe = drums.recipes(1, seed=5)[0]
    first = neighbours(drums, recipe, 4, pool_size=16, seed=0)
    assert neighbours(drums, recipe, 4, pool_size=16, seed=0) == first
    assert neighbours(audiogan.load("drums"), recipe, 4, pool_size=16, seed=0) == first
    assert {each.recipe.seed for each in neighbours(drums, recipe, 4, pool_size=16, seed=100)} <= set(range(100, 116))


def test_numbers_out_of_range_and_foreign_recipes_are_said_clearly(drums: Any) -> None:
    recipe = drums.recipes(1, seed=5)[0]
    for n, pool in ((0, 8), (9, 8), (1, 10**9)):
        with pytest.raises(UserError, match=f"n={n}"):
            neighbours(drums, recipe, n, pool_size=pool)
    with pytest.raises(UserError, match="a latent of 64 values"):
        neighbours(drums, Recipe("other", (0.0,) * 3), 2, pool_size=4)
