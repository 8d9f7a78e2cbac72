"""Sources of sounds: a folder, a downloaded data set, or the built-in drum machine."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from audiogan.data.cache import downloads_folder
from audiogan.data.table import Table
from audiogan.errors import UserError

SOUND_SETS = ("drums", "sc09", "fsdd")
"""Names of the sound data sets that ``audiogan data get`` downloads."""
DATA_SETS = (*SOUND_SETS, "mnist", "fashion-mnist", "flowers", "pets", "digits")
"""Names of data sets that ``data.root`` accepts instead of a path."""
MIN_EXAMPLES = 20
"""Data sets with fewer examples have no held-out examples: all their examples are used for training."""


def describe_held_out(train: Table, held_out: Table, fraction: float | None) -> str:
    """Return text to append to a data description: the number of held-out examples, or why there are none."""
    if len(held_out):
        return f"; {len(held_out):,} held out"
    return f"; none held out (fewer than {MIN_EXAMPLES} examples)" if fraction and len(train) < MIN_EXAMPLES else ""


def open_sounds(
    root: str | os.PathLike[str] | None = None, sets: Sequence[str] = ("drums",), named: bool = False, **settings: Any
) -> Table:
    """Return a table of sounds from a folder, a downloaded data set, or the built-in drum machine.

    Args:
        root: folder of sounds, or the name of a downloaded data set: ``drums``, ``sc09`` or ``fsdd``. Default: the
            first downloaded data set of ``sets``. If none is downloaded and ``sets`` contains ``drums``, the sounds
            come from the drum machine.
        sets: names of the data sets to try, in this order, if ``root`` is not given.
        named: treat ``root`` as the name of a data set even if a folder of this name exists.
        settings: arguments of `audiogan.data.open_audio_folder`. The drum machine ignores settings about onsets and
            long files, because its sounds have the requested length and no leading silence.

    Raises:
        UserError: a setting is unknown or invalid, the data set is not downloaded, or the folder cannot be used.

    Examples:
        >>> from audiogan.data import open_sounds
        >>> open_sounds(length=4096).shape
        (1, 4096)
    """
    if not isinstance(sets, Sequence) or isinstance(sets, str) or not all(name in SOUND_SETS for name in sets):
        raise UserError(f"data.sets={sets!r}: choose from {', '.join(SOUND_SETS)}, as a list")
    from audiogan.data.sounds.decode import DecodeSettings

    known = [*DecodeSettings.__dataclass_fields__, "labels", "links", "cache", "progress"]
    for name in settings:
        if name not in known:
            raise UserError(f"data.{name}: there is no such setting; there are root, sets, {', '.join(known)}")
    if root is None:
        found = next((name for name in sets if _downloaded(name)), None)
        if found is None and "drums" in sets:
            return _drum_machine(settings)
        if found is None:
            commands = " or ".join(f"audiogan data get {name}" for name in sets)
            raise UserError(f"no data.root, and no data set downloaded; run {commands}, or set data.root=FOLDER")
        root = downloads_folder() / found
    from audiogan.data.sounds.folder import open_audio_folder

    return open_audio_folder(resolve_sound_folder(root, named), **settings)


def resolve_sound_folder(root: str | os.PathLike[str], named: bool = False) -> Path:
    """Return the folder of ``data.root``, which is a path or the name of a downloaded data set.

    Args:
        root: value of ``data.root``.
        named: treat ``root`` as the name of a data set even if a folder of this name exists.

    Raises:
        UserError: ``root`` is empty, or the data set is not downloaded.
    """
    name = str(root)
    if not name:
        raise UserError("data.root is empty; set it to a folder, or omit it")
    if name not in SOUND_SETS or (Path(name).exists() and not named):
        return Path(name)
    if not _downloaded(name):
        raise UserError(f"data.root={name}: not downloaded yet; run: audiogan data get {name}")
    return downloads_folder() / name


def _downloaded(name: str) -> bool:
    return (downloads_folder() / name / "manifest.csv").is_file()


def _drum_machine(settings: dict[str, Any]) -> Table:
    """Return the table of the drum machine. Raise `UserError` for an invalid setting."""
    from audiogan.data.labels import AUTO, FOLDERS, NONE
    from audiogan.data.sounds.decode import DecodeSettings
    from audiogan.data.toys.drum_machine import drum_machine
    from audiogan.data.walk import parse_links

    chosen = DecodeSettings(
        **{name: value for name, value in settings.items() if name in DecodeSettings.__dataclass_fields__}
    )
    labels = settings.get("labels", AUTO)
    if labels not in (None, AUTO, FOLDERS, NONE):
        raise UserError(
            f"data.labels={labels}: the built-in drum machine has no files to label; "
            "set data.root=FOLDER, or choose auto or none"
        )
    parse_links(settings.get("links"))
    rate, length, channels = int(chosen.sample_rate), int(chosen.length), int(chosen.channels)
    machine = drum_machine(sample_rate=rate, length=length, channels=channels, normalize=chosen.normalize)
    return machine.drop_column("label") if labels in (None, NONE) else machine
