"""Files that assign MIDI notes to the pads of a kit."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import yaml

from audiogan.errors import UserError
from audiogan.files import read_small_file
from audiogan.kits.drums import drum_role
from audiogan.kits.kit import Kit
from audiogan.utils.names import describe_unknown_name, match_name
from audiogan.utils.text import printable

MAX_MAP_BYTES = 1 << 20
"""Maximum size of a map, in bytes."""
NO_PAD = ("none", "off", "-")
"""Values in a map of notes that assign no pad, so that the note is not played."""

NoteMap = Mapping[int, int | str | None]
"""Assignment of MIDI notes: the name of a pad, the MIDI note of a pad, or None to leave the note out."""


def read_note_map(path: str | os.PathLike[str]) -> dict[int, int | str | None]:
    """Read a YAML or JSON file that assigns MIDI notes to pads.

    Each entry has a MIDI note as key. Its value is the name of a pad, a class, a drum role such as ``closed hat``, or
    the MIDI note of a pad. The value ``none`` leaves the note out.

    Raises:
        UserError: the file cannot be read or is not such a map.

    Examples:
        >>> import tempfile
        >>> from audiogan.kits import read_note_map
        >>> with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        ...     _ = file.write("24: kick\\n58: low tom\\n99: none\\n"), file.flush()
        ...     read_note_map(file.name)
        {24: 'kick', 58: 'low tom', 99: None}
    """
    path = Path(path)
    content = read_small_file(path, MAX_MAP_BYTES, "map of notes")
    try:
        node = yaml.compose(content.decode("utf-8-sig"), Loader=yaml.SafeLoader)
    except (UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
        raise UserError(f"{path}: not YAML or JSON ({printable(' '.join(str(error).split())[:200])})") from error
    if not isinstance(node, yaml.MappingNode) or not node.value:
        raise UserError(f"{path}: has no notes; write one line for each note, such as 24: kick")
    found: dict[int, int | str | None] = {}
    for key, value in node.value:
        line = f"{path}, line {key.start_mark.line + 1}"
        if not isinstance(key, yaml.ScalarNode) or not isinstance(value, yaml.ScalarNode):
            raise UserError(f"{line}: write a note and the name of a pad, such as 24: kick")
        note = _note(key.value)
        if note is None:
            raise UserError(f"{line}: the note {printable(key.value)[:40]!r} must be a whole number from 0 to 127")
        if note in found:
            raise UserError(f"{line}: the note {note} occurs twice; remove one of the lines")
        text = value.value.strip()
        number = _note(text)
        found[note] = None if text.lower() in (*NO_PAD, "null", "~", "") else text if number is None else number
    return found


def resolve_note_map(note_map: NoteMap, kit: Kit) -> dict[int, int | None]:
    """Convert the pads in a map of notes, which may be names, to MIDI notes.

    Args:
        note_map: assignment of MIDI notes, see `read_note_map`.
        kit: the kit.

    Returns:
        A dict from the MIDI note of a file to the MIDI note of a pad. The value is None for a note that is left out.

    Raises:
        UserError: a note or a pad does not exist.
    """
    names = {pad.name: pad.note for pad in kit.pads}
    for pad in kit.pads:  # A class or a role stands for its first pad. Names of pads have priority.
        label = pad.layers[-1].label
        for name in (label, drum_role(label)):
            if name and match_name(name, list(names)) is None:
                names[name] = pad.note
    return {note: _target(note, target, names, {pad.note for pad in kit.pads}) for note, target in note_map.items()}


def _target(note: int, target: int | str | None, names: dict[str, int], notes: set[int]) -> int | None:
    """Return the MIDI note of the pad that a value of a map names."""
    if isinstance(note, bool) or not isinstance(note, int) or not 0 <= note <= 127:
        raise UserError(f"map of notes: {note!r:.40} must be a whole number from 0 to 127")
    if target is None:
        return None
    if isinstance(target, str):
        name = match_name(target, list(names))
        if name is None:
            unknown = describe_unknown_name(target, list(names))
            raise UserError(f"map of notes, note {note}: the kit has no pad {unknown}")
        return names[name]
    if target not in notes:
        listed = ", ".join(map(str, sorted(notes)))
        raise UserError(f"map of notes, note {note}: the kit has no pad on note {target!r:.40}; it has {listed}")
    return target


def _note(text: str) -> int | None:
    """Return the MIDI note that is written in a text, or None if it contains anything else."""
    text = text.strip()
    return int(text) if text.isdecimal() and len(text) <= 3 and int(text) <= 127 else None
