"""The General MIDI percussion key map (General MIDI System Level 1, 1991), and the drum roles of class names."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

FIRST_FREE_NOTE = 36
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

VIBRASLAP, TOM_RIM = 58, 43
"""Note 58, and the note of the tom that replaces it. Note 58 is the vibraslap in General MIDI, but electronic drums of
Roland send it for the rim of the floor tom, whose own note is 43."""
FAMILIES: dict[int, str] = {
    note: family
    for family, notes in {
        "kick": (35, 36), "snare": (38, 40), "rim": (37,), "clap": (28, 39), "closed hat": (22, 42, 44),
        "open hat": (26, 46), "tom": (41, 43, 45, 47, 48, 50), "crash": (49, 52, 55, 57), "ride": (51, 53, 59),
        "cowbell": (34, 56), "tambourine": (54, 83), "hand drum": (*range(60, 67), 78, 79, 86, 87),
        "shaker": (69, 70, 73, 74, 82), "wood": (27, 31, 32, 33, 75, 76, 77, 85), "bell": (67, 68, 80, 81),
        "chimes": (84,), "effect": (29, 30, 58, 71, 72),
    }.items()
    for note in notes
}  # fmt: skip
"""Family of each note of General MIDI 2 (27 ... 87), and of the hi-hat edges 22 and 26 of electronic drums of Roland.

Source:
    General MIDI 2 (MIDI Manufacturers Association, RP-024, 1999), percussion sound set. Roland TD-17, default notes of
    the pads.
"""
PITCHES: dict[int, int] = {
    60: 50, 61: 48, 62: 48, 63: 47, 64: 45, 65: 50, 66: 47, 78: 47, 79: 45, 86: 41, 87: 41
}  # fmt: skip
"""Note of each hand drum -> note of the tom with the most similar pitch."""

# Words in class names, by the drum role that they stand for.
ROLE_WORDS: dict[str, set[str]] = {
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
HAT_WORDS = {"hat", "hats", "hihat", "hihats", "hh", "ohh", "chh"}

SIMILAR_ROLES: dict[str, tuple[str, ...]] = {
    "kick": ("tom",),
    "snare": ("clap", "rim", "tom"),
    "rim": ("snare", "clap", "perc"),
    "clap": ("snare", "rim"),
    "closed hat": ("open hat", "tambourine", "ride"),
    "open hat": ("closed hat", "ride", "crash"),
    "crash": ("ride", "open hat"),
    "ride": ("closed hat", "open hat", "crash"),
    "tom": ("perc", "snare"),
    "cowbell": ("perc", "rim", "ride", "closed hat"),
    "tambourine": ("closed hat", "perc"),
    "hand drum": ("perc", "tom", "rim", "snare"),
    "shaker": ("closed hat", "tambourine", "perc"),
    "wood": ("rim", "perc", "cowbell", "clap"),
    "bell": ("cowbell", "perc", "ride", "closed hat"),
    "chimes": ("ride", "crash", "open hat"),
    "effect": ("perc", "rim", "clap", "cowbell"),
    "": ("perc", "rim", "cowbell", "tambourine", "tom", "clap"),
}
"""Drum roles that may play a family of notes if the kit lacks the note, the most similar role first. The key
``""`` stands for notes without a drum in General MIDI 2. Only kick notes may be played by a kick.
"""


def drum_role(label: str) -> str | None:
    """Return the drum role of a class name, such as "open hat" for ``hat_open``. None if the class is not a drum."""
    words = re.findall(r"[a-z]+", label.lower())
    if HAT_WORDS.intersection(words) or "hihat" in "".join(words):
        return "open hat" if {"open", "ohh", "oh"}.intersection(words) else "closed hat"
    if "bassdrum" in "".join(words):
        return "kick"
    return next((name for name, known in ROLE_WORDS.items() if known.intersection(words)), None)


def assign_notes(labels: Sequence[str], pad_count: int) -> list[tuple[int, str, str]]:
    """Assign MIDI notes, classes and names to the pads of a kit.

    Each class gets one pad first. Further pads repeat drums that usually occur several times in a kit, such as toms.
    Classes that are not drums, and further pads for which General MIDI has no note left, take free notes from 36
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
    free = iter(
        [note for note in [*range(FIRST_FREE_NOTE, 128), *range(FIRST_FREE_NOTE - 1, -1, -1)] if note not in taken]
    )
    placed = [(next(free) if note is None else note, label, title) for note, label, title in slots]
    return _distinct_names(placed)


def _distinct_names(placed: list[tuple[int, str, str]]) -> list[tuple[int, str, str]]:
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


def find_pad(note: int, roles: Mapping[int, str | None], *, general_midi: bool = False) -> int | None:
    """Return the note of the pad that plays a MIDI note: the pad with this note, or the most similar drum.

    Pads that are not drums replace other notes only if no drum of the kit is similar enough.

    Args:
        note: MIDI note.
        roles: drum role of each pad by its MIDI note, None for a pad that is not a drum.
        general_midi: whether note 58 is the vibraslap of General MIDI. Otherwise, it is the rim of a tom.

    Returns:
        MIDI note of a pad, or None if the kit has no pad that may play the note.

    Examples:
        >>> find_pad(57, {36: "kick", 49: "crash"})
        49
    """
    if note == VIBRASLAP and not general_midi:
        note = TOM_RIM
    if note in roles:
        return note
    family = FAMILIES.get(note, "")
    for role in (family, *SIMILAR_ROLES[family], None):
        if fit := [pad for pad, its in roles.items() if its == role]:
            return min(fit, key=lambda pad: (_pad_order(note, pad, role, family), pad))
    return None


def _pad_order(note: int, pad: int, role: str | None, family: str) -> int:
    """Return the sort key of a pad among the pads of a role.

    For related drums, the pad with the most similar pitch comes first, otherwise the main drum of the role.
    """
    if role in (family, "tom", "perc", None):
        return abs(pad - (PITCHES.get(note, note) if role == "tom" else note))
    return list(NOTES).index(pad) if pad in NOTES else len(NOTES)
