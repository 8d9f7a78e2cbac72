"""Making of kits: sounds with a common character, and their velocity layers."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from audiogan.errors import UserError
from audiogan.kits.drums import assign_notes, drum_role
from audiogan.kits.kit import MOST_LAYERS, Kit, Pad
from audiogan.model.recipe import Recipe
from audiogan.utils.text import printable

if TYPE_CHECKING:
    from audiogan.model.generator import Generator

APART = 0.5
"""Distance in the latent space between a pad and the centre that all pads of a kit share. At 0 the pad lies at the
centre, and at 1 it is a sound of its class that is independent of the kit.

The value makes generated kits resemble real ones. `benchmarks/kits.py` measures the similarity of timbre between pads
of different classes, and the distance between pads of one class. For 30 kits of the shipped drums, the similarity is
0.051 and the distance 1.75. For eleven real kits, the similarity is 0.059 and the distance 2.17.
"""
AGAIN = 0.7
"""Distance from the centre for further pads of a class, as a fraction. It is larger than `APART`, so that these pads
differ more."""
TRIES = 4
"""Number of candidate sounds for each tom. Toms with evenly spaced pitches are selected from them."""
DARKER = 1.0
"""Reduction of brightness requested for the softest layer, in octaves. The shipped drums reach a median of 0.2 octaves.
"""
LOWEST_SHARE = 0.01
"""Minimum knob setting of a soft layer. Models do not distinguish smaller settings."""
NEARBY, NEAR = 6, 0.2
"""For models without a brightness knob: number of nearby sounds tried for each soft layer, and their distance (see
`Recipe.vary`)."""


def make_kit(
    generator: Generator,
    pads: int = 16,
    *,
    seed: int | None = None,
    labels: Sequence[str] | None = None,
    layers: int = 1,
    knobs: Mapping[str, float] | None = None,
) -> Kit:
    """Make a kit of sounds with a common character.

    All pads share a centre: one latent, and one set of knob settings relative to each class ("brighter than most
    kicks"). Each pad lies half-way between the centre and a random sound, which depends on seed, class and note only.
    Toms are selected and sorted by pitch. Classes with drum names use General MIDI notes, others take notes from 36
    upwards.

    Args:
        generator: model of sounds.
        pads: number of pads, 1 ... 128.
        seed: random seed. None makes a different kit in each call.
        labels: classes to use, at most as many as pads. None uses all classes.
        layers: number of velocity layers of each pad, 1 ... 16. Softer layers are darker, see `velocity_layers`.
        knobs: knob settings in 0 ... 1 by name, see `Generator.sample`. Other knobs are drawn.

    Raises:
        UserError: a class or knob is unknown, a number is out of range, or there are more classes than pads.

    Examples:
        >>> import audiogan
        >>> from audiogan.kits import make_kit
        >>> kit = make_kit(audiogan.load("drums"), 2, seed=7, labels=["kick", "snare"])
        >>> [(pad.note, pad.name) for pad in kit.pads]
        [(36, 'kick'), (38, 'snare')]
    """
    generator.require_random_inputs("kits")
    if not 1 <= pads <= 128:
        raise UserError(f"pads={pads} must be from 1 to 128, the number of MIDI notes")
    if not 1 <= layers <= MOST_LAYERS:
        raise UserError(f"layers={layers} must be from 1 to {MOST_LAYERS}")
    if seed is None:
        seed = int(np.random.SeedSequence().generate_state(1)[0])
    wanted = [labels] if isinstance(labels, str) else list(dict.fromkeys(labels or ()))
    if "" in wanted:
        raise UserError("labels: one of the names is empty")
    if len(wanted) > pads:
        raise UserError(f"pads={pads}: too few for the {len(wanted)} classes {', '.join(map(printable, wanted))}")
    classes = wanted or list(dict.fromkeys(generator.labels))
    slots = assign_notes(classes, pads)
    made: dict[int, Recipe] = {}
    for label in dict.fromkeys(its for _, its, _ in slots):
        notes = [note for note, its, _ in slots if its == label]
        tuned = drum_role(label) == "tom" and len(notes) > 1
        sounds = (_tuned if tuned else _relatives)(generator, seed, label, notes, knobs)
        made.update(zip(sorted(notes) if tuned else notes, sounds, strict=True))
    strokes = {note: velocity_layers(generator, recipe, layers) for note, recipe in made.items()}
    return Kit(tuple(Pad(name, note, strokes[note]) for note, _, name in sorted(slots)), generator.name)


def _relatives(
    generator: Generator, seed: int, label: str, keys: Iterable[int], knobs: Mapping[str, float] | None
) -> list[Recipe]:
    """Return recipes of a class around the centre of a kit, one for each key. The first is nearest to the centre.

    For one seed, `Generator.recipes` draws the same latent for every class, and knobs of a training example with the
    same rank of brightness. This recipe is the centre.
    """
    asked = label or None
    centre = generator.recipes(1, seed=seed, label=asked, knobs=knobs)[0]
    own = [np.random.SeedSequence([seed, zlib.crc32(label.encode()), key]).generate_state(1)[0] for key in keys]
    picks = [generator.recipes(1, seed=int(s), label=asked, knobs=knobs)[0] for s in own]
    return [centre.interpolate(pick, AGAIN if i else APART) for i, pick in enumerate(picks)]


def _tuned(
    generator: Generator, seed: int, label: str, notes: Sequence[int], knobs: Mapping[str, float] | None
) -> list[Recipe]:
    """Return one recipe for each note, sorted by pitch and spaced in pitch as evenly as possible."""
    found = _relatives(generator, seed, label, range(TRIES * len(notes)), knobs)
    pitches = np.log2(_pitch(generator.render(found), generator.sample_rate))
    left = list(np.argsort(pitches))
    chosen = []
    for wanted in np.linspace(pitches.min(), pitches.max(), len(notes)):
        chosen.append(left.pop(int(np.argmin(np.abs(pitches[left] - wanted)))))
    return [found[i] for i in sorted(chosen, key=lambda i: float(pitches[i]))]


def _pitch(waves: NDArray[np.float32], sample_rate: int) -> NDArray[np.float64]:
    """Return the median frequency of sounds ``[N, C, T]`` in Hz, which is near the fundamental of a drum."""
    n = 4 * waves.shape[-1]
    energy = (np.abs(np.fft.rfft(waves, n)) ** 2).sum(axis=1).cumsum(axis=-1)
    half = (energy < energy[:, -1:] / 2).sum(axis=-1)
    return np.maximum(half, 1) * sample_rate / n


def velocity_layers(generator: Generator, recipe: Recipe, layers: int) -> tuple[Recipe, ...]:
    """Return velocity layers of a sound, from soft to loud.

    Softer layers are darker: the brightness knob requests up to one octave less. If the model has no such knob,
    the knob is near its minimum, or the generated sounds do not get darker, the layers are nearby sounds sorted by
    brightness. The given sound may then be a layer below the loudest.

    Args:
        generator: model of sounds.
        recipe: recipe of the loudest layer.
        layers: number of layers.
    """
    if layers == 1:
        return (recipe,)
    scale = generator.knobs.get("brightness")
    if scale is not None:
        shares = np.linspace(0, 1, len(scale))
        value = np.interp(recipe.knobs["brightness"], shares, scale)
        lower = np.interp(value - DARKER * np.linspace(1, 0, layers)[:-1], scale, shares)
        if lower[0] >= LOWEST_SHARE:
            knobs = [{**recipe.knobs, "brightness": float(share)} for share in lower]
            strokes = (*(replace(recipe, knobs=its, seed=None) for its in knobs), recipe)
            if (np.diff(_brightness(generator, strokes)) > 0).all():
                return strokes
    return _sort_nearby(generator, recipe, layers)


def _brightness(generator: Generator, recipes: Sequence[Recipe]) -> NDArray[np.float32]:
    """Return the brightness of the sounds of recipes, in octaves."""
    from audiogan.data.sounds.knobs import measure_knobs

    return measure_knobs(generator.render(recipes), generator.sample_rate, ["brightness"])[:, 0]


def _sort_nearby(generator: Generator, recipe: Recipe, layers: int) -> tuple[Recipe, ...]:
    """Return nearby sounds as layers, sorted by measured brightness."""
    rng = np.random.default_rng(zlib.crc32(np.asarray(recipe.latent, "<f4").tobytes()))
    near = [recipe, *(recipe.vary(NEAR, rng) for _ in range(NEARBY * (layers - 1)))]
    order = np.argsort(_brightness(generator, near), kind="stable")
    top = max(int(np.flatnonzero(order == 0)[0]), layers - 1)
    return tuple(near[order[i]] for i in np.linspace(0, top, layers).round().astype(int))
