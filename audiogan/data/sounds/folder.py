"""A folder of sounds as a table."""

from __future__ import annotations

import os
from functools import partial
from typing import Any

import numpy as np

from audiogan.data.columns import Column, Labels, Signals
from audiogan.data.sounds.scan import CLIPS, INDEX, scan_folder
from audiogan.data.table import Table, describe_table
from audiogan.data.verdicts import require_usable
from audiogan.modalities.sound import Sound
from audiogan.utils.text import printable


def open_audio_folder(
    root: str | os.PathLike[str],
    *,
    sample_rate: int = 16_000,
    length: int = 16_384,
    channels: int = 1,
    channel_mode: str = "mix",
    long: str = "onset",
    trim: bool = False,
    lead: float = 0.005,
    labels: str | os.PathLike[str] | None = "auto",
    min_seconds: float = 0.02,
    normalize: str = "peak",
    links: str | None = None,
    cache: str | os.PathLike[str] | None = None,
    progress: bool = True,
) -> Table:
    """Return clips ``[C, T]``, float32, of every usable file below a folder.

    Files are decoded once, into the cache. Memory does not grow with the audio: clips are read from a memory-mapped
    file, and the index takes 8 bytes a clip. `Table.split` keeps the clips of one file together.

    Args:
        root: folder of sounds, searched with its sub-folders.
        sample_rate, length, channels, channel_mode, long, trim, lead, min_seconds, normalize:
            see `audiogan.data.sounds.decode.DecodeSettings`.
        labels: `auto`, `folders`, `none` or a CSV file (see `audiogan.data.sounds.scan.scan_folder`).
        links: `follow` also uses links that lead out of the folder; None or `inside` skips them.
        cache: folder for the cache instead of the user's.
        progress: show a progress bar while decoding.

    Raises:
        UserError: no such folder, a bad setting, nothing usable, or a cache that cannot be written.
    """
    settings: dict[str, Any] = {"sample_rate": sample_rate, "length": length, "channels": channels}
    settings |= {"channel_mode": channel_mode, "long": long, "trim": trim, "lead": lead}
    settings |= {"min_seconds": min_seconds, "normalize": normalize}
    scan = scan_folder(root, labels=labels, links=links, cache=cache, progress=progress, **settings)
    require_usable(scan)
    index: np.ndarray = np.load(scan.folder / INDEX)
    clips = np.memmap(scan.folder / CLIPS, np.float32, "r").reshape(-1, int(channels), int(length))
    columns: dict[str, Column] = {"x": Signals(clips, Sound(int(sample_rate), normalize))}
    if scan.labels:
        columns["label"] = Labels(index["label"], scan.labels)
    source = partial(describe_table, total=scan.clips, things="clips", origin=printable(str(scan.root)))
    return Table(columns, len(index), source=source, scan=scan, strata=index["label"], recordings=index["file"])
