"""`open_audio_folder`: a folder of sounds as a table."""

from __future__ import annotations

import os
from functools import partial
from typing import Any

import numpy as np

from audiogan.data.columns import Column, Labels, Signals
from audiogan.data.sounds.scan import CLIPS, INDEX, scan_folder
from audiogan.data.table import Table, describe_table
from audiogan.data.verdicts import require_usable_files
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
    """Return a table of clips ``[C, T]``, float32, from all usable files in a folder.

    The files are decoded once into the cache. The clips are memory-mapped, so memory use does not depend on their
    number, except for an index of 8 bytes per clip. `Table.split` keeps the clips of one file together.

    Args:
        root: folder of sounds. Sub-folders are included.
        sample_rate: sample rate of the clips in Hz. Files with other rates are resampled.
        length: length of a clip in samples.
        channels: number of channels of the clips.
        channel_mode: treatment of files with more than ``channels`` channels: ``mix`` averages channels, ``keep`` uses
            the first channels.
        long: part to use of files longer than ``length``: ``onset`` (from the first loud sample), ``start``, or
            ``slice`` (all of the file as consecutive clips).
        trim: cut the time before the onset from all files: from short files too, and before long files are sliced.
        lead: time before the onset to keep, in seconds.
        labels: source of the labels: ``auto``, ``folders``, ``none`` or a CSV file.
        min_seconds: minimum duration of a usable file in seconds.
        normalize: level normalisation of each clip: ``peak`` (peak of 0.95) or ``none``.
        links: ``follow`` uses links that lead out of the folder. Default: such links are skipped.
        cache: cache folder. Default: the cache folder of the user.
        progress: show a progress bar while decoding.

    Raises:
        UserError: the folder does not exist or contains no usable file, a setting is invalid, or the cache cannot be
            written.

    Examples:
        >>> import numpy as np, tempfile
        >>> from audiogan.data import open_audio_folder
        >>> from audiogan.modalities import Sound
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     noise = np.random.default_rng(0).uniform(-1, 1, (1, 4000)).astype(np.float32)
        ...     Sound(16000).save(f"{folder}/noise.wav", noise)
        ...     open_audio_folder(folder, length=2048, cache=folder, progress=False).shape
        (1, 2048)
    """
    settings: dict[str, Any] = {"sample_rate": sample_rate, "length": length, "channels": channels}
    settings |= {"channel_mode": channel_mode, "long": long, "trim": trim, "lead": lead}
    settings |= {"min_seconds": min_seconds, "normalize": normalize}
    scan = scan_folder(root, labels=labels, links=links, cache=cache, progress=progress, **settings)
    require_usable_files(scan)
    index: np.ndarray = np.load(scan.folder / INDEX)
    clips = np.memmap(scan.folder / CLIPS, np.float32, "r").reshape(-1, int(channels), int(length))
    columns: dict[str, Column] = {"x": Signals(clips, Sound(int(sample_rate), normalize))}
    if scan.labels:
        columns["label"] = Labels(index["label"], scan.labels)
    source = partial(describe_table, total=scan.clips, noun="clips", origin=printable(str(scan.root)))
    return Table(columns, len(index), source=source, scan=scan, strata=index["label"], recordings=index["file"])
