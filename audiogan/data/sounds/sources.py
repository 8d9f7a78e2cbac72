"""Where sounds come from: a folder, downloaded kits, or the built-in drum machine."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from audiogan.data.cache import downloads
from audiogan.data.table import Table
from audiogan.errors import UserError

SOUND_SETS = ("drums", "sc09", "fsdd")
"""Data sets of sounds that ``audiogan data get`` downloads."""
DATA_SETS = (*SOUND_SETS, "mnist", "fashion-mnist", "digits")
"""All names that ``data.root`` may have in place of a path."""
FEWEST = 20
"""Examples below which none are held out."""


def about_held_out(train: Table, held_out: Table, share: float | None) -> str:
    """How many examples are held out, or why none are: words to follow those about the training data."""
    if len(held_out):
        return f"; {len(held_out):,} held out"
    return f"; none held out of fewer than {FEWEST}" if share and len(train) < FEWEST else ""


def open_sounds(
    root: str | os.PathLike[str] | None = None, sets: Sequence[str] = ("drums",), named: bool = False, **settings: Any
) -> Table:
    """The sounds of ``root``; without it the first of ``sets`` that was downloaded, else the built-in drum machine.

    Args:
        root: a folder of sounds, or the name of a data set that was downloaded: ``drums``, ``sc09`` or ``fsdd``.
        sets: data sets that serve without ``root``. The drum machine stands in for ``drums`` only.
        named: ``root`` is the name of a data set, even if there is a folder of this name.
        settings: arguments of `audiogan.data.open_audio_folder`. All are checked. The drum machine ignores
            settings about onsets and long files, because its sounds begin at once and have the requested length.

    Raises:
        UserError: an unknown setting or value, a data set that was not downloaded yet, or an error of
            `open_audio_folder`.
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
            raise UserError(f"no data.root, and nothing downloaded; run {commands}, or give data.root=FOLDER")
        root = downloads() / found
    from audiogan.data.sounds.folder import open_audio_folder

    return open_audio_folder(sound_folder(root, named), **settings)


def sound_folder(root: str | os.PathLike[str], named: bool = False) -> Path:
    """Return the folder of ``data.root``: a path, or the name of a data set that was downloaded.

    With ``named`` the name of a data set means that data set even if there is a folder of this name.
    """
    name = str(root)
    if not name:
        raise UserError("data.root is empty; name a folder, or leave it out")
    if name not in SOUND_SETS or (Path(name).exists() and not named):
        return Path(name)
    if not _downloaded(name):
        raise UserError(f"data.root={name}: not downloaded yet; run: audiogan data get {name}")
    return downloads() / name


def _downloaded(name: str) -> bool:
    return (downloads() / name / "manifest.csv").is_file()


def _drum_machine(settings: dict[str, Any]) -> Table:
    """The drum machine with settings that are all valid."""
    from audiogan.data.labels import AUTO, FOLDERS, NONE
    from audiogan.data.sounds.decode import DecodeSettings
    from audiogan.data.toys.drum_machine import drum_machine
    from audiogan.data.walk import follows

    chosen = DecodeSettings(
        **{name: value for name, value in settings.items() if name in DecodeSettings.__dataclass_fields__}
    )
    labels = settings.get("labels", AUTO)
    if labels not in (None, AUTO, FOLDERS, NONE):
        raise UserError(
            f"data.labels={labels}: there are no files to label, as the built-in drum machine makes the sounds; "
            "give data.root=FOLDER, or choose auto or none"
        )
    follows(settings.get("links"))
    rate, length, channels = int(chosen.sample_rate), int(chosen.length), int(chosen.channels)
    machine = drum_machine(sample_rate=rate, length=length, channels=channels, normalize=chosen.normalize)
    return machine.without("label") if labels in (None, NONE) else machine
