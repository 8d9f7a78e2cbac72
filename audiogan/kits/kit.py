"""The `Kit` and `Pad` classes: sounds on MIDI notes, each with one recipe per velocity layer, from soft to loud."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from audiogan.errors import UserError
from audiogan.model.recipe import Recipe

FORMAT = 1
"""Format version of ``kit.json``."""
MAX_LAYERS = 16
"""Maximum number of velocity layers of a pad, a limit set by the drum machine Hydrogen."""
MAX_PADS = 128
"""Maximum number of pads of a kit, which is the number of MIDI notes."""
MAX_CLASSES, MAX_KNOBS = 1000, 100
"""Maximum numbers of classes and of knobs in one recipe."""
MAX_NAME_LENGTH, MAX_MODEL_LENGTH = 100, 4096
"""Maximum numbers of characters of a pad name, and of a model name or path."""
LEVEL_RANGE, PAN_RANGE, TUNE_RANGE = (-24.0, 12.0), (-1.0, 1.0), (-24.0, 24.0)
"""Limits of three settings of a pad: level in dB, pan from left (-1) to right (1), and tune in semitones."""


@dataclass(frozen=True)
class Pad:
    """One sound of a kit, with its velocity layers.

    Attributes:
        name: printable name, at most 100 characters.
        note: MIDI note, 0 ... 127. Drum classes use the notes of General MIDI.
        layers: 1 to 16 recipes, from soft to loud. `velocity_ranges` gives their velocities.
        level: gain in dB, -24 ... 12, in addition to the gains that `balance_kit` computes.
        pan: position from -1 (left) to 1 (right). If a pad of a kit has a pan other than 0, all sounds of the kit are
            stereo.
        tune: change of pitch in semitones, -24 ... 24. The sound is resampled, so a higher sound is also shorter.

    Examples:
        >>> import audiogan
        >>> from audiogan.kits import Pad
        >>> recipe = audiogan.load("drums").recipes(1, seed=3, label="kick")[0]
        >>> Pad("kick", 36, (recipe,)).note
        36
    """

    name: str
    note: int
    layers: tuple[Recipe, ...]
    level: float = 0.0
    pan: float = 0.0
    tune: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "layers", tuple(self.layers))
        if not (isinstance(self.name, str) and self.name.isprintable() and 0 < len(self.name) <= MAX_NAME_LENGTH):
            raise ValueError(f"pad {self.name!r:.120}: a name is 1 to {MAX_NAME_LENGTH} printable characters")
        if isinstance(self.note, bool) or not isinstance(self.note, int) or not 0 <= self.note <= 127:
            raise ValueError(f"pad {self.name!r}: note={self.note!r:.40} must be a whole number from 0 to 127")
        if not 1 <= len(self.layers) <= MAX_LAYERS:
            raise ValueError(f"pad {self.name!r}: {len(self.layers)} layers; the number must be from 1 to {MAX_LAYERS}")
        if any(len(recipe.classes) > MAX_CLASSES or len(recipe.knobs) > MAX_KNOBS for recipe in self.layers):
            raise ValueError(f"pad {self.name!r}: more than {MAX_CLASSES} classes or {MAX_KNOBS} knobs")
        for key, (low, high) in (("level", LEVEL_RANGE), ("pan", PAN_RANGE), ("tune", TUNE_RANGE)):
            value = getattr(self, key)
            if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
                raise ValueError(f"pad {self.name!r}: {key}={value!r:.40} must be from {low:g} to {high:g}")
            object.__setattr__(self, key, float(value))


@dataclass(frozen=True)
class Kit:
    """A collection of sounds of one model, each on its own MIDI note.

    Attributes:
        pads: pads with distinct notes.
        model: name of the model, see `audiogan.load`.

    Examples:
        >>> import audiogan
        >>> from audiogan.kits import Kit, make_kit
        >>> kit = make_kit(audiogan.load("drums"), 2, seed=7)
        >>> Kit.from_json(kit.to_json()) == kit
        True
    """

    pads: tuple[Pad, ...]
    model: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "pads", tuple(self.pads))
        notes = Counter(pad.note for pad in self.pads)
        if not notes:
            raise ValueError("a kit has at least one pad")
        if twice := sorted(note for note, pads in notes.items() if pads > 1):
            raise ValueError(f"notes {twice}: used by more than one pad")

    def to_json(self) -> str:
        """Return the kit as JSON text, which `from_json` reads."""
        pads = [
            {"name": pad.name, "note": pad.note, "level": pad.level, "pan": pad.pan, "tune": pad.tune}
            | {"layers": [json.loads(recipe.to_json()) for recipe in pad.layers]}
            for pad in self.pads
        ]
        return json.dumps({"kit": FORMAT, "model": self.model, "pads": pads}, indent=1)

    @classmethod
    def from_json(cls, text: str | bytes) -> Kit:
        """Return the kit that `to_json` wrote. The text may come from an untrusted source.

        Raises:
            UserError: the text is not a kit.
        """
        try:
            content = json.loads(text)
            if content["kit"] != FORMAT:
                raise ValueError(f"format {content['kit']!r:.40}; this version reads format {FORMAT}")
            if not isinstance(content["model"], str) or len(content["model"]) > MAX_MODEL_LENGTH:
                raise ValueError(f"its model is not a name of at most {MAX_MODEL_LENGTH} characters")
            if len(content["pads"]) > MAX_PADS:
                raise ValueError(f"{len(content['pads'])} pads; a kit has at most {MAX_PADS}")
            return cls(tuple(_pad_from_json(pad) for pad in content["pads"]), content["model"])
        except KeyError as error:
            raise UserError(f"not a kit of audiogan: {error} is missing") from error
        except (TypeError, ValueError, AttributeError, RecursionError) as error:
            raise UserError(f"not a kit of audiogan: {' '.join(str(error).split())[:200]}") from error


def _pad_from_json(stored: dict[str, Any]) -> Pad:
    layers = tuple(Recipe.from_json(json.dumps(one)) for one in stored["layers"])
    # Kits of earlier versions have no level, pan and tune.
    settings = {key: stored[key] for key in ("level", "pan", "tune") if key in stored}
    return Pad(stored["name"], stored["note"], layers, **settings)


def velocity_ranges(layers: int) -> list[tuple[int, int]]:
    """Return the lowest and highest MIDI velocity of each layer, from soft to loud. The ranges cover 0 ... 127."""
    edges = [round(128 * i / layers) for i in range(layers + 1)]
    return [(low, high - 1) for low, high in pairwise(edges)]
