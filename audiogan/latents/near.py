"""Sounds of a model that resemble one of its sounds."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import numpy as np
import torch
from numpy.typing import NDArray

from audiogan.errors import UserError
from audiogan.features.embedding import embed
from audiogan.model.recipe import Recipe

if TYPE_CHECKING:
    from audiogan.model.generator import Generator

LARGEST = 20_000
KEPT = 4
"""Pools whose features are kept for each model, so that the second question is answered at once."""

_pools: WeakKeyDictionary[Generator, OrderedDict[tuple[int, int], tuple[list[Recipe], NDArray[np.float64]]]]
_pools = WeakKeyDictionary()
_lock = threading.Lock()


@dataclass(frozen=True)
class Neighbour:
    """A sound near another one: its ``recipe``, and its ``distance``: 0 for the same, 1 for nothing in common."""

    recipe: Recipe
    distance: float


def neighbours(generator: Generator, recipe: Recipe, n: int = 8, *, pool: int = 256, seed: int = 0) -> list[Neighbour]:
    """The ``n`` sounds of a model that are most like one of them to the ear, the nearest first.

    They are found among ``pool`` random sounds of any class, as someone who looks for another sound in this place of a
    beat does not mind what it is called; that they come from elsewhere in latent space is what makes them worth hearing
    (for sounds next to it in latent space there is `Generator.vary`). The distance is that of the features with which
    the package measures everything: of sounds, levels of mel bands from the attack to the end, relative to the loudest
    (`metrics.embedding.LogMel`), so that loudness does not count; root mean square, features being 0 ... 1.

    The first question makes the pool (some milliseconds a sound), later ones about the same pool are answered from
    memory.

    Args:
        recipe: of this model; itself, and what sounds exactly like it, is not among its neighbours.
        n: at least 1; no more than ``pool``.
        pool: how many sounds to look through, at most 20,000. A larger one has nearer neighbours.
        seed: of the pool, as in `Generator.sample`.

    Raises:
        UserError: a recipe that does not fit the model, numbers out of range.

    Examples:
        >>> g = audiogan.load("drums")
        >>> kick = g.recipes(1, seed=3, label="kick")[0]
        >>> found = neighbours(g, kick, 2, pool=16)
        >>> found[0].distance <= found[1].distance
        True
    """
    generator.check_drawable("neighbours")
    if not 1 <= n <= pool <= LARGEST:
        raise UserError(f"n={n}, pool={pool}: need 1 <= n <= pool <= {LARGEST:,}")
    here = features(generator, [recipe])[0]
    recipes, there = _pool(generator, pool, seed)
    distances = np.sqrt(np.square(there - here).mean(axis=1))
    order = [i for i in np.argsort(distances, kind="stable").tolist() if distances[i] > 0]
    return [Neighbour(recipes[i], float(distances[i])) for i in order[:n]]


def features(generator: Generator, recipes: list[Recipe], batch: int = 64) -> NDArray[np.float64]:
    """What is heard of recipes, `[N, D]`: the features of the model's kind of signal."""
    embedding = generator.modality.embedding(generator.shape)
    parts = [
        embed(torch.from_numpy(generator.render(recipes[i : i + batch])), embedding)
        for i in range(0, len(recipes), batch)
    ]
    return np.concatenate(parts)


def _pool(generator: Generator, pool: int, seed: int) -> tuple[list[Recipe], NDArray[np.float64]]:
    with _lock:
        kept = _pools.setdefault(generator, OrderedDict())
        if (pool, seed) in kept:
            kept.move_to_end((pool, seed))
            return kept[pool, seed]
    recipes = generator.recipes(pool, seed=seed)
    made = recipes, features(generator, recipes)
    with _lock:
        kept[pool, seed] = made
        while len(kept) > KEPT:
            kept.popitem(last=False)
    return made
