"""Stacked digits: colour images in which each colour channel shows a digit. The data set has 1,000 known modes."""

from __future__ import annotations

import os
from functools import partial

import numpy as np
from numpy.typing import NDArray

from audiogan.data.columns import Column, Signals, Values
from audiogan.data.images.sources import open_images
from audiogan.data.table import Table, describe_table
from audiogan.errors import UserError
from audiogan.modalities.image import Image

CHANNEL_LABELS = "channel_labels"
"""Name of the column with the class of each colour channel. If the data has this column, `audiogan evaluate` counts
modes."""


class Stack:
    """Array-like storage ``[N, 3, H, W]`` of colour images that are stacked from grey images when they are read.

    Args:
        pixels: grey images, uint8 ``[M, 1, H, W]``, an array or a memory map.
        rows: index of the grey image of each colour channel, int64 ``[N, 3]``.
    """

    def __init__(self, pixels: np.ndarray, rows: NDArray[np.int64]) -> None:
        self.pixels, self.rows = pixels, rows
        self.shape, self.dtype = (len(rows), rows.shape[1], *pixels.shape[2:]), pixels.dtype

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: NDArray[np.int64]) -> np.ndarray:
        return self.pixels[self.rows[index], 0]


def open_stacked_digits(
    root: str | os.PathLike[str] | None = None,
    count: int = 60_000,
    size: int | None = None,
    seed: int = 0,
    named: bool = False,
) -> Table:
    """Return a table of colour images. Their red, green and blue channels are three random grey images.

    Each combination of three classes is a mode. Ten classes of grey images give 1,000 modes, which are about equally
    frequent (stacked MNIST). The images have no class. The column ``channel_labels`` has the class of each channel,
    ``[3]``.

    Args:
        root: source of the grey images with classes, see `open_images`. Default: MNIST if it is downloaded, else
            scikit-learn's digits.
        count: number of colour images, 1 or more.
        size: side length in pixels. Default: the original size.
        seed: seed of the choice of grey images, 0 or more.
        named: treat ``root`` as the name of a data set even if a file or folder of this name exists.

    Raises:
        UserError: the source cannot be read or has no classes, or an argument is out of range.

    Source:
        Metz et al., "Unrolled generative adversarial networks", ICLR 2017, section 3.3.1.

    Examples:
        >>> from audiogan.data import open_stacked_digits
        >>> table = open_stacked_digits("digits", count=10)
        >>> table.shape, table.column("channel_labels", [0]).shape
        ((3, 8, 8), torch.Size([1, 3]))
    """
    for key, number, least in (("count", count, 1), ("seed", seed, 0)):
        if not isinstance(number, int) or isinstance(number, bool) or number < least:
            raise UserError(f"data.{key}={number!r}: must be a whole number of at least {least}")
    grey = open_images(root, size=size, channels=1, named=named)
    if not grey.labels:
        raise UserError(f"data.root={root}: stacked images need images with classes, such as data.root=mnist")
    signals = grey.columns["x"]
    assert isinstance(signals, Signals)
    rows = np.random.default_rng(seed).integers(len(grey), size=(count, 3))
    columns: dict[str, Column] = {
        "x": Signals(Stack(signals.storage, rows), Image()),
        CHANNEL_LABELS: Values(grey.targets[rows].astype(np.float32)),
    }
    modes = f"{len(grey.labels) ** 3:,} modes, three of {grey.source}"
    return Table(columns, count, source=partial(describe_table, total=count, noun="stacked images", origin=modes))
