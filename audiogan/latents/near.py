"""Search for sounds of a model that resemble a given sound."""

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

MAX_POOL_SIZE = 20_000
"""Maximum number of random sounds in a pool, the set of sounds that is searched."""
MAX_CACHED_POOLS = 4
"""Maximum number of pools (random sounds with their embeddings) cached for each model. The least recently used pool is
dropped first."""

_pools: WeakKeyDictionary[Generator, OrderedDict[tuple[int, int], tuple[list[Recipe], NDArray[np.float64]]]]
_pools = WeakKeyDictionary()
_lock = threading.Lock()


@dataclass(frozen=True)
class Neighbour:
    """A sound similar to a given one.

    Attributes:
        recipe: recipe of the sound.
        distance: root mean square difference of the embeddings, 0 ... 1. 0 means identical embeddings.
    """

    recipe: Recipe
    distance: float


def neighbours(
    generator: Generator, recipe: Recipe, n: int = 8, *, pool_size: int = 256, seed: int = 0
) -> list[Neighbour]:
    """Return the sounds of a model most similar to one of its sounds, the most similar first.

    The candidates are random sounds of all classes. `Generator.vary` instead returns sounds that are near in latent
    space. The distance is the root mean square difference of the embeddings, see `audiogan.features.embedding`. For
    sounds, the embedding contains levels of mel bands relative to the loudest, so it ignores the loudness.

    The first call with a ``pool_size`` and a ``seed`` renders the random sounds, which takes some milliseconds per
    sound. Later calls with the same two values are fast, because the sounds are cached.

    Args:
        generator: the model.
        recipe: recipe of this model. Sounds identical to it are left out of the result.
        n: number of neighbours, from 1 to ``pool_size``.
        pool_size: number of random sounds to search, at most 20,000. The larger the pool, the closer the neighbours.
        seed: random seed of the sounds to search.

    Raises:
        UserError: the recipe does not fit the model, or a number is out of range.

    Examples:
        >>> import audiogan
        >>> from audiogan.latents import neighbours
        >>> generator = audiogan.load("drums")
        >>> recipe = generator.recipes(1, seed=5)[0]
        >>> len(neighbours(generator, recipe, n=3, pool_size=32))
        3
    """
    generator.require_random_inputs("neighbours")
    if not 1 <= n <= pool_size <= MAX_POOL_SIZE:
        raise UserError(f"n={n}, pool_size={pool_size}: need 1 <= n <= pool_size <= {MAX_POOL_SIZE:,}")
    here = embed_recipes(generator, [recipe])[0]
    recipes, there = _pool(generator, pool_size, seed)
    distances = np.sqrt(np.square(there - here).mean(axis=1))
    order = [i for i in np.argsort(distances, kind="stable").tolist() if distances[i] > 0]
    return [Neighbour(recipes[i], float(distances[i])) for i in order[:n]]


def embed_recipes(generator: Generator, recipes: list[Recipe], batch_size: int = 64) -> NDArray[np.float64]:
    """Render recipes and return the embeddings ``[N, D]`` of the signals, see `Modality.embedding`."""
    embedding = generator.modality.embedding(generator.shape)
    parts = [
        embed(torch.from_numpy(generator.render(recipes[i : i + batch_size])), embedding)
        for i in range(0, len(recipes), batch_size)
    ]
    return np.concatenate(parts)


def _pool(generator: Generator, pool_size: int, seed: int) -> tuple[list[Recipe], NDArray[np.float64]]:
    with _lock:
        kept = _pools.setdefault(generator, OrderedDict())
        if (pool_size, seed) in kept:
            kept.move_to_end((pool_size, seed))
            return kept[pool_size, seed]
    recipes = generator.recipes(pool_size, seed=seed)
    made = recipes, embed_recipes(generator, recipes)
    with _lock:
        kept[pool_size, seed] = made
        while len(kept) > MAX_CACHED_POOLS:
            kept.popitem(last=False)
    return made
