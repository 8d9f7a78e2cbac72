"""API route that arranges generated sounds and recordings on a map, with similar sounds close together."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import torch
from fastapi import APIRouter, Request
from pydantic import Field

from audiogan.studio.instrument import Instrument, Name, Seed
from audiogan.studio.limits import Limits, Slots, StrictModel
from audiogan.studio.recordings import Recording, Recordings
from audiogan.studio.sounds import Studio

if TYPE_CHECKING:
    from audiogan.model.generator import Generator

router = APIRouter(prefix="/api")
MAX_GENERATED, MAX_RECORDED = 300, 300
"""Largest number of generated sounds and of recordings on a map. If there are more recordings, evenly spaced ones are
used."""
MAX_MAPS = 4
"""Maximum number of maps in memory."""


class WantedMap(StrictModel):
    n: Annotated[int, Field(ge=1, le=MAX_GENERATED)] = 240
    label: Name | None = None
    seed: Seed = 0


class SoundMaps:
    """Maps that show sounds of a model and recordings. The latest ones are kept in memory.

    Args:
        instrument: the model.
        recordings: collection of recordings, which may change.
    """

    def __init__(self, instrument: Instrument, recordings: Recordings) -> None:
        self.instrument, self.recordings = instrument, recordings
        self.slots = Slots(1, 16, Limits.wait_seconds)
        self._kept: OrderedDict[tuple[Any, ...], dict[str, Any]] = OrderedDict()
        self._lock = threading.Lock()

    @classmethod
    def from_request(cls, request: Request) -> SoundMaps:
        return request.app.state.maps

    def find(self, n: int, label: str | None, seed: int) -> dict[str, Any]:
        """Return a map as a JSON object, see `draw_map`."""
        recorded = [kept for kept in self.recordings.all() if label is None or kept.label in ("", label)]
        if len(recorded) > MAX_RECORDED:
            recorded = [recorded[i * len(recorded) // MAX_RECORDED] for i in range(MAX_RECORDED)]
        key = (n, label, seed, *(kept.id for kept in recorded))
        with self._lock:
            if key not in self._kept:
                self._kept[key] = self._arrange(n, label, seed, recorded)
                while len(self._kept) > MAX_MAPS:
                    self._kept.popitem(last=False)
            self._kept.move_to_end(key)
            return self._kept[key]

    def _arrange(self, n: int, label: str | None, seed: int, recorded: list[Recording]) -> dict[str, Any]:
        from audiogan.latents import arrange

        generator = self.instrument.generator
        recipes = generator.recipes(n, seed=seed, label=label)
        features = [embed_waves(generator, list(generator.render(recipes)))]
        if recorded:
            features.append(embed_waves(generator, [kept.wave for kept in recorded]))
        places = np.round(arrange(np.concatenate(features)), 4).tolist()
        points: list[dict[str, Any]] = [
            {"x": x, "y": y, "recipe": self.instrument.to_wire(recipe)}
            for (x, y), recipe in zip(places[:n], recipes, strict=True)
        ]
        points += [
            {"x": x, "y": y, "recording": kept.describe()} for (x, y), kept in zip(places[n:], recorded, strict=True)
        ]
        return {"points": points}


def embed_waves(generator: Generator, waves: list[np.ndarray]) -> np.ndarray:
    """Return the features ``[N, D]`` of waves ``[C, T]``, in the embedding of the model's sounds.

    Waves may be shorter than the sounds of the model, because they are padded with silence.
    """
    from audiogan.features.embedding import embed

    channels, length = generator.shape
    x = np.zeros((len(waves), channels, length), np.float32)
    for row, wave in zip(x, waves, strict=True):
        row[:, : wave.shape[1]] = wave
    return embed(torch.from_numpy(x), generator.modality.embedding(generator.shape))


@router.post("/map")
async def draw_map(request: Request) -> dict[str, Any]:
    """Return the points of a map, in which similar sounds are close together.

    The points are ``n`` random sounds of the model, and the recordings, see ``/api/recordings``. Each point has
    coordinates ``x`` and ``y`` from 0 to 1, and either a ``recipe`` or a ``recording`` with ``id``, ``name`` and
    ``label``. Similarity is measured in the model's embedding, which ignores loudness. `audiogan.latents.arrange`
    describes the layout. Equal requests give equal maps until recordings are added or removed.

    If the request has a ``label``, the map contains sounds of this class, and recordings of this or an unknown class.
    """
    studio, maps = Studio.from_request(request), SoundMaps.from_request(request)
    want = await studio.parse_body(request, WantedMap)
    return await maps.slots.run(maps.find, want.n, want.label, want.seed)
