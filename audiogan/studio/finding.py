"""API routes that find sounds related to a given one: similar random sounds, and moves along latent directions."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Request
from pydantic import Field

from audiogan.studio.instrument import Seed
from audiogan.studio.limits import MAX_SOUNDS, Limits, Slots
from audiogan.studio.sounds import OneSound, Studio

if TYPE_CHECKING:
    from audiogan.latents import Direction
    from audiogan.model.generator import Generator

router = APIRouter(prefix="/api")
POOL_SIZE = 256
"""Number of random sounds among which similar ones are searched."""
MAX_CACHED = 32
"""Maximum number of cached lists of directions. There is one list for each class and number of directions."""


class Similar(OneSound):
    n: Annotated[int, Field(ge=1, le=MAX_SOUNDS)] = 8
    seed: Seed = 0


class Moves(OneSound):
    n: Annotated[int, Field(ge=1, le=8)] = 4
    amount: Annotated[float, Field(gt=0, le=20)] = 1.5


class DirectionCache:
    """Cache of the latent directions of a model, see `audiogan.latents.directions`.

    The directions for a class of sounds, or for all sounds, are computed at the first request.

    Args:
        generator: model whose latent space is analysed.
    """

    def __init__(self, generator: Generator) -> None:
        self.generator = generator
        self.slots = Slots(1, 16, Limits.wait_seconds)
        self._kept: OrderedDict[tuple[str, int], list[Direction]] = OrderedDict()
        self._lock = threading.Lock()

    @classmethod
    def from_request(cls, request: Request) -> DirectionCache:
        return request.app.state.directions

    def find(self, label: str, n: int) -> list[Direction]:
        """Return the ``n`` strongest directions of the sounds of a class, or of all sounds for the label ""."""
        from audiogan.latents import directions

        with self._lock:
            if (label, n) not in self._kept:
                self._kept[label, n] = directions(self.generator, n, label=label or None)
                while len(self._kept) > MAX_CACHED:
                    self._kept.popitem(last=False)
            self._kept.move_to_end((label, n))
            return self._kept[label, n]


@router.post("/neighbours")
async def find_neighbours(request: Request) -> dict[str, Any]:
    """Return the sounds most similar to a recipe among 256 random ones, with their distances, the nearest first.

    `audiogan.latents.neighbours` defines the distance. The field ``seed`` of the request chooses the random sounds.
    """
    from audiogan.latents import neighbours

    studio = Studio.from_request(request)
    want = await studio.parse_body(request, Similar)
    instrument, recipe = studio.instrument, studio.instrument.from_wire(want.recipe)
    found = await studio.renders.run(
        neighbours, instrument.generator, recipe, want.n, pool_size=POOL_SIZE, seed=want.seed
    )
    return {
        "recipes": [instrument.to_wire(one.recipe) for one in found],
        "distances": [round(one.distance, 4) for one in found],
    }


@router.post("/directions")
async def move_along_directions(request: Request) -> dict[str, Any]:
    """Move a sound along the strongest directions of its class, and return the results in pairs.

    The response is ``{"moves": [{"name", "amount", "recipe"}, ...]}``. Each pair consists of a move by ``amount`` and
    one by ``-amount``. ``amount`` is in standard deviations of the latent. ``name`` describes the change of the sound
    in words, such as "brighter, shorter". The first request for a class takes some seconds.
    """
    from audiogan.latents import edit

    studio, cache = Studio.from_request(request), DirectionCache.from_request(request)
    want = await studio.parse_body(request, Moves)
    instrument, recipe = studio.instrument, studio.instrument.from_wire(want.recipe)
    pure = max(recipe.classes.values(), default=0.0) > 0.999
    found = await cache.slots.run(cache.find, recipe.label if pure else "", want.n)
    moves = [
        {"name": name, "amount": amount, "recipe": instrument.to_wire(edit(recipe, direction, amount))}
        for direction in found
        for name, amount in ((direction.name, want.amount), (direction.opposite_name, -want.amount))
    ]
    return {"moves": moves}
