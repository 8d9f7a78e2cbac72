"""The General MIDI percussion key map (General MIDI System Level 1, 1991), and the drum roles of class names."""

from __future__ import annotations

import re
from collections.abc import Sequence

FIRST = 36
"""First MIDI note for pads without a General MIDI note. Most pad controllers start at this note."""

# Role and pad name by MIDI note, in the order of priority: only large kits use the last ones.
NOTES: dict[int, tuple[str, str]] = {
    36: ("kick", "kick"), 38: ("snare", "snare"), 42: ("closed hat", "closed hat"),
    46: ("open hat", "open hat"), 39: ("clap", "clap"), 37: ("rim", "rim"), 45: ("tom", "low tom"),
    49: ("crash", "crash"), 51: ("ride", "ride"), 60: ("perc", "perc"), 56: ("cowbell", "cowbell"),
    54: ("tambourine", "tambourine"), 48: ("tom", "mid tom"), 41: ("tom", "floor tom"),
    40: ("snare", "snare 2"), 35: ("kick", "kick 2"), 44: ("closed hat", "pedal hat"), 50: ("tom", "high tom"),
    57: ("crash", "crash 2"), 43: ("tom", "floor tom 2"), 61: ("perc", "perc 2"), 59: ("ride", "ride 2"),
    47: ("tom", "low tom 2"), 55: ("crash", "crash 3"), 53: ("ride", "ride 3"), 52: ("crash", "crash 4"),
    **{note: ("perc", f"perc {i}") for i, note in enumerate([*range(62, 82), 58], 3)},
}  # fmt: skip

WORDS: dict[str, set[str]] = {
    "kick": {"kick", "kicks", "bd", "bassdrum"},
    "snare": {"snare", "snares", "sd"},
    "clap": {"clap", "claps", "handclap", "handclaps"},
    "rim": {"rim", "rims", "rimshot", "sidestick", "crossstick"},
    "tom": {"tom", "toms"},
    "ride": {"ride", "rides"},
    "crash": {"crash", "crashes", "splash", "china", "cymbal", "cymbals"},
    "cowbell": {"cowbell", "cowbells"},
    "tambourine": {"tambourine", "tambourines"},
    "perc": {"perc", "percs", "percussion", "conga", "congas", "bongo", "bongos", "timbale", "timbales", "agogo"}
    | {"cabasa", "maraca", "maracas", "shaker", "guiro", "clave", "claves", "woodblock", "cuica", "triangle", "djembe"},
}
HATS = {"hat", "hats", "hihat", "hihats", "hh", "ohh", "chh"}

NEAREST: dict[str, tuple[str, ...]] = {
    "kick": ("tom",),
    "snare": ("clap", "rim", "tom"),
    "rim": ("snare", "clap", "perc"),
    "clap": ("snare", "rim"),
    "closed hat": ("open hat", "ride", "tambourine"),
    "open hat": ("crash", "ride", "closed hat"),
    "crash": ("ride", "open hat"),
    "ride": ("crash", "open hat", "closed hat"),
    "tom": ("perc", "kick", "snare"),
    "cowbell": ("perc", "rim", "ride"),
    "tambourine": ("perc", "closed hat"),
    "perc": ("tom", "cowbell", "rim", "tambourine"),
}
"""Drum roles that may replace a role that a kit lacks. The role most similar to the lacking one comes first."""


def drum_role(label: str) -> str | None:
    """Return the drum role of a class name, or None if the class is no drum. The class ``hat_open`` has the role "open
    hat"."""
    words = re.findall(r"[a-z]+", label.lower())
    if HATS.intersection(words) or "hihat" in "".join(words):
        return "open hat" if {"open", "ohh", "oh"}.intersection(words) else "closed hat"
    if "bassdrum" in "".join(words):
        return "kick"
    return next((name for name, known in WORDS.items() if known.intersection(words)), None)


def assign_notes(labels: Sequence[str], pad_count: int) -> list[tuple[int, str, str]]:
    """Assign MIDI notes, classes and names to the pads of a kit.

    Each class gets one pad first. Further pads repeat drums that usually occur several times in a kit, such as toms.
    Classes that are no drums, and further pads for which General MIDI has no note left, take free notes from 36
    upwards.

    Args:
        labels: class names.
        pad_count: number of pads.

    Returns:
        MIDI note, class name and pad name of each pad.
    """
    roles: dict[str, list[str]] = {}
    for label in labels:
        roles.setdefault(drum_role(label) or "", []).append(label)
    strange = roles.pop("", [])
    turns = dict.fromkeys(roles, 0)
    first: list[tuple[int | None, str, str]] = []
    more: list[tuple[int | None, str, str]] = []
    for note, (name, title) in NOTES.items():
        if name not in roles:
            continue
        turn, mine = turns[name], roles[name]
        turns[name] += 1
        label = mine[turn % len(mine)]
        title = f"{label} {turn // len(mine) + 1}" if name == "perc" or len(mine) > 1 else title
        (first if turn < len(mine) else more).append((note, label, title))
    slots = [*first, *((None, label, label) for label in strange), *more]
    while len(slots) < pad_count:
        slots += [(None, label, label) for label in labels or [""]]
    slots = slots[:pad_count]
    taken = {note for note, _, _ in slots}
    free = iter([note for note in [*range(FIRST, 128), *range(FIRST - 1, -1, -1)] if note not in taken])
    placed = [(next(free) if note is None else note, label, title) for note, label, title in slots]
    return _distinct(placed)


def _distinct(placed: list[tuple[int, str, str]]) -> list[tuple[int, str, str]]:
    """Return the pads with printable names. A number is appended to names that occur twice."""
    seen: set[str] = set()
    out = []
    for note, label, title in placed:
        plain = "".join(c if c.isprintable() else " " for c in title).replace("_", " ").strip()[:80]
        plain = re.sub(r" 1$", "", plain) or "sound"
        name, number = plain, 1
        while name in seen:
            number += 1
            name = f"{re.sub(r' [0-9]+$', '', plain)} {number}"
        seen.add(name)
        out.append((note, label, name))
    return out


def substitute_note(note: int, roles: dict[int, str | None]) -> int:
    """Return the note of the pad that replaces a note missing from a kit.

    Args:
        note: missing MIDI note.
        roles: drum role of each pad by MIDI note, None for a pad that is no drum.
    """
    wanted = NOTES.get(note, ("", ""))[0]
    for name in (wanted, *NEAREST.get(wanted, ())):
        if fit := [mine for mine, its in roles.items() if its == name]:
            return min(fit, key=lambda mine: (abs(mine - note), mine))
    return min(roles, key=lambda mine: (abs(mine - note), mine))
