"""Making kits: sounds that are relatives of each other, and their velocity layers."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from audiogan.errors import UserError
from audiogan.kits.drums import compose, role
from audiogan.kits.kit import MOST_LAYERS, Kit, Pad
from audiogan.model.recipe import Recipe
from audiogan.utils.text import printable

if TYPE_CHECKING:
    from audiogan.model.generator import Generator

APART = 0.5
"""How far a sound lies from its kit's centre, towards any other of its class.

Likeness of timbre between pads of different classes, and how far pads of one class are apart, over 30 kits of the
shipped drums: 0.051 and 1.75; picks without a kit: 0.006 and 2.25. Eleven real kits: 0.059 and 2.17; their sounds,
mixed: 0.002 and 3.40 (`benchmarks/kits.py`, which says what is measured)."""
AGAIN = 0.7
"""The same for further pads of a class, which are there to differ from the first."""
TRIES = 4
"""Toms have to differ in pitch: so many candidates for each, from which a scale is picked."""
DARKER = 1.0
"""Octaves of brightness that the softest stroke is asked to have less than the hardest. The shipped drums make 0.2 of
them (median)."""
LOWEST_SHARE = 0.01
"""Below it models do not tell values of a knob apart."""
NEARBY, NEAR = 6, 0.2
"""Where brightness is no knob: sounds near the pad's own that are tried for each soft layer, and how near."""


def make_kit(
    generator: Generator,
    pads: int = 16,
    *,
    seed: int | None = None,
    labels: Sequence[str] | None = None,
    layers: int = 1,
    knobs: Mapping[str, float] | None = None,
) -> Kit:
    """A kit of sounds that belong together.

    All pads share a centre: one latent, and knobs that say the same about each class ("brighter than most kicks",
    "… most snares"). A pad lies half-way from there to a pick of its own, which depends on seed, class and note only.
    Toms are picked and ordered by pitch. Classes with names of drums are laid out as General MIDI has them, others
    chromatically from note 36.

    Args:
        pads: how many, 1 ... 128.
        seed: for the same kit again.
        labels: the classes to use, at most as many as pads; all by default.
        layers: velocity layers of each pad, 1 ... 16: the softer, the darker (see `softer`).
        knobs: 0 ... 1, as for `Generator.sample`; the others are drawn.

    Raises:
        UserError: an unknown class or knob, a number out of range, or more classes than pads.

    Examples:
        >>> g = audiogan.load("drums")
        >>> [(pad.name, pad.note) for pad in make_kit(g, 3, seed=7).pads]
        [('kick', 36), ('snare', 38), ('closed hat', 42)]
    """
    generator.check_drawable("kits")
    if not 1 <= pads <= 128:
        raise UserError(f"pads={pads}: a kit has 1 to 128, one a MIDI note")
    if not 1 <= layers <= MOST_LAYERS:
        raise UserError(f"layers={layers}: 1 to {MOST_LAYERS} are possible")
    if seed is None:
        seed = int(np.random.SeedSequence().generate_state(1)[0])
    wanted = [labels] if isinstance(labels, str) else list(dict.fromkeys(labels or ()))
    if "" in wanted:
        raise UserError("labels: one of the names is empty")
    if len(wanted) > pads:
        raise UserError(f"pads={pads}: too few for the {len(wanted)} classes {', '.join(map(printable, wanted))}")
    classes = wanted or list(dict.fromkeys(generator.labels))
    slots = compose(classes, pads)
    made: dict[int, Recipe] = {}
    for label in dict.fromkeys(its for _, its, _ in slots):
        notes = [note for note, its, _ in slots if its == label]
        tuned = role(label) == "tom" and len(notes) > 1
        sounds = (_tuned if tuned else _relatives)(generator, seed, label, notes, knobs)
        made.update(zip(sorted(notes) if tuned else notes, sounds, strict=True))
    strokes = {note: softer(generator, recipe, layers) for note, recipe in made.items()}
    return Kit(tuple(Pad(name, note, strokes[note]) for note, _, name in sorted(slots)), generator.name)


def _relatives(
    generator: Generator, seed: int, label: str, keys: Iterable[int], knobs: Mapping[str, float] | None
) -> list[Recipe]:
    """Sounds of a class around the centre of the kit of a seed, one for each key (a pad's note); the first is nearest.

    Of one seed, `Generator.recipes` draws the same latent for every class, and knobs of an example that stands at the
    same place in each, from dark to bright: that is the centre.
    """
    asked = label or None
    centre = generator.recipes(1, seed=seed, label=asked, knobs=knobs)[0]
    own = [np.random.SeedSequence([seed, zlib.crc32(label.encode()), key]).generate_state(1)[0] for key in keys]
    picks = [generator.recipes(1, seed=int(s), label=asked, knobs=knobs)[0] for s in own]
    return [centre.towards(pick, AGAIN if i else APART) for i, pick in enumerate(picks)]


def _tuned(
    generator: Generator, seed: int, label: str, notes: Sequence[int], knobs: Mapping[str, float] | None
) -> list[Recipe]:
    """As many relatives as notes, from low to high, as evenly spaced in pitch as there are."""
    found = _relatives(generator, seed, label, range(TRIES * len(notes)), knobs)
    pitches = np.log2(_pitch(generator.render(found), generator.sample_rate))
    left = list(np.argsort(pitches))
    chosen = []
    for wanted in np.linspace(pitches.min(), pitches.max(), len(notes)):
        chosen.append(left.pop(int(np.argmin(np.abs(pitches[left] - wanted)))))
    return [found[i] for i in sorted(chosen, key=lambda i: float(pitches[i]))]


def _pitch(waves: NDArray[np.float32], sample_rate: int) -> NDArray[np.float64]:
    """Hz below which half the energy of each of the sounds `[N, C, T]` lies: near the fundamental of a drum."""
    n = 4 * waves.shape[-1]
    energy = (np.abs(np.fft.rfft(waves, n)) ** 2).sum(axis=1).cumsum(axis=-1)
    half = (energy < energy[:, -1:] / 2).sum(axis=-1)
    return np.maximum(half, 1) * sample_rate / n


def softer(generator: Generator, recipe: Recipe, layers: int) -> tuple[Recipe, ...]:
    """A sound as ``layers`` strokes of growing strength, the last of them the sound itself.

    Softer strokes are darker: the knob *brightness* asks for up to an octave less. Where a model has no such knob, it
    is at its end, or its sounds are heard not to obey, sounds near this one are measured and darker ones picked (then
    the sound itself may be a layer below the hardest).
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
    return _by_ear(generator, recipe, layers)


def _brightness(generator: Generator, recipes: Sequence[Recipe]) -> NDArray[np.float32]:
    """Of the sounds of recipes, in octaves."""
    from audiogan.data.sounds.knobs import measure

    return measure(generator.render(recipes), generator.sample_rate, ["brightness"])[:, 0]


def _by_ear(generator: Generator, recipe: Recipe, layers: int) -> tuple[Recipe, ...]:
    """Sounds near one, from dark to bright."""
    rng = np.random.default_rng(zlib.crc32(np.asarray(recipe.latent, "<f4").tobytes()))
    near = [recipe, *(recipe.varied(NEAR, rng) for _ in range(NEARBY * (layers - 1)))]
    order = np.argsort(_brightness(generator, near), kind="stable")
    top = max(int(np.flatnonzero(order == 0)[0]), layers - 1)
    return tuple(near[order[i]] for i in np.linspace(0, top, layers).round().astype(int))
