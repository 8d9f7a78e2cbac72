"""Pads of a kit as JSON objects, and their conversion to and from a `Kit`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from audiogan.errors import UserError
from audiogan.kits.kit import LEVEL_RANGE, MAX_LAYERS, PAN_RANGE, TUNE_RANGE
from audiogan.studio.instrument import Instrument, Name, WireRecipe
from audiogan.studio.limits import StrictModel

if TYPE_CHECKING:
    from audiogan.kits import Kit, Pad

PADS = 16
"""Number of pads of the page."""
FIRST_NOTE = 36
"""MIDI note of the first pad, as on most pad controllers. Pads with lower notes are placed last."""


class PadSound(StrictModel):
    """Sound of a pad as a JSON object.

    Attributes:
        recipe: recipe of the loudest velocity layer of the pad.
        level: level in dB, see `Pad`.
        pan: pan from -1 to 1, see `Pad`.
        tune: change of pitch in semitones, see `Pad`.
    """

    recipe: WireRecipe
    level: Annotated[float, Field(ge=LEVEL_RANGE[0], le=LEVEL_RANGE[1])] = 0.0
    pan: Annotated[float, Field(ge=PAN_RANGE[0], le=PAN_RANGE[1])] = 0.0
    tune: Annotated[float, Field(ge=TUNE_RANGE[0], le=TUNE_RANGE[1])] = 0.0

    def to_pad(self, instrument: Instrument) -> Pad:
        """Return a pad with this sound, which has one layer.

        Raises:
            UserError: the recipe is of another model.
        """
        from audiogan.kits import Pad

        return Pad("sound", FIRST_NOTE, (instrument.from_wire(self.recipe),), self.level, self.pan, self.tune)


class WirePad(PadSound):
    """Pad of a kit as a JSON object.

    Attributes:
        name: name of the pad.
        note: General MIDI note.
        layers: recipes of all velocity layers, from soft to loud, of a pad that was opened from a file. They are
            ignored if the last one is not ``recipe``, because the sound has then been changed.
    """

    name: Name
    note: Annotated[int, Field(ge=0, le=127)]
    layers: Annotated[list[WireRecipe], Field(max_length=MAX_LAYERS)] = Field(default_factory=list)


class WireKit(StrictModel):
    """Kit as a JSON object, with the properties of its sound files.

    Attributes:
        pads: pads of the kit.
        layers: number of velocity layers of each pad.
        sample_rate: sample rate of sound files in Hz.
        bits: bits per sample of sound files.
    """

    pads: Annotated[list[WirePad], Field(min_length=1, max_length=PADS)]
    layers: Annotated[int, Field(ge=1, le=MAX_LAYERS)] = 1
    sample_rate: Literal[44_100, 48_000] = 44_100
    bits: Literal[16, 24] = 24

    def to_kit(self, instrument: Instrument) -> Kit:
        """Return the kit with its velocity layers. Layers that the pads do not contain are computed, which takes time.

        Raises:
            UserError: a recipe is of another model, a name cannot be printed, or a note occurs twice.
        """
        from audiogan.kits import Kit

        try:
            return Kit(tuple(pad_from_wire(instrument, pad, self.layers) for pad in self.pads), instrument.name)
        except ValueError as error:
            raise UserError(str(error)) from error


def pad_from_wire(instrument: Instrument, pad: WirePad, layers: int = 1) -> Pad:
    """Return a pad with a given number of velocity layers.

    Raises:
        ValueError: the name cannot be printed.
        UserError: a recipe is of another model.
    """
    from audiogan.kits import Pad
    from audiogan.kits.making import velocity_layers

    recipe = instrument.from_wire(pad.recipe)
    own = [instrument.from_wire(one) for one in pad.layers]
    kept = len(own) == layers and replace(own[-1], seed=None) == replace(recipe, seed=None)
    strokes = own if kept else velocity_layers(instrument.generator, recipe, layers)
    named = tuple(replace(one, model=instrument.name) for one in strokes)
    return Pad(pad.name, pad.note, named, pad.level, pad.pan, pad.tune)


def pads_to_wire(instrument: Instrument, pads: Iterable[Pad]) -> list[dict[str, Any]]:
    """Return pads as JSON objects, see `WirePad`."""
    return [
        {"name": pad.name, "note": pad.note, "level": pad.level, "pan": pad.pan, "tune": pad.tune}
        | {"recipe": instrument.to_wire(pad.layers[-1])}
        | ({"layers": [instrument.to_wire(one) for one in pad.layers]} if len(pad.layers) > 1 else {})
        for pad in pads
    ]


def in_page_order(pads: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return pads in the order in which the page shows them: by note, from `FIRST_NOTE` upwards."""
    return sorted(pads, key=lambda pad: (pad["note"] < FIRST_NOTE, pad["note"]))
