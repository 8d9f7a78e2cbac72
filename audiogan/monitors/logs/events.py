"""Event files of TensorBoard, as ``SummaryWriter`` of PyTorch and ``tf.summary`` write them.

The records are parsed here, since TensorBoard's own reader computes the checksums of images and sounds in Python,
which takes minutes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from audiogan.errors import wrap_os_errors

MARK = "tfevents"
"""Part of the name of an event file."""
LARGEST_RECORD = 1 << 28
"""Bytes of one event that are read; a larger one, say a video, is passed over."""


def is_events(path: Path, start: bytes) -> bool:
    """Whether a file is an event file, by its first bytes."""
    return b"brain.Event:" in start[:64] or (MARK in path.name and not start)


def read_events(paths: Iterable[Path]) -> tuple[list[dict[str, float]], list[str]]:
    """Read the scalars of a run.

    A run that was resumed has written several files. Of each figure, values of steps that were taken again are
    dropped.

    Args:
        paths: event files, oldest first.

    Returns:
        A row of figures for each step, in order; and lines about what could not be read.

    Raises:
        UserError: a file cannot be opened.
    """
    figures: dict[str, list[tuple[int, float]]] = {}
    scalars: set[str] = set()
    remarks: list[str] = []
    for path in paths:
        for event in _events(path, remarks):
            for value in event.summary.value:
                if value.metadata.plugin_data.plugin_name == "scalars":
                    scalars.add(value.tag)
                amount = _amount(value, scalars)
                if amount is None:
                    continue
                points = figures.setdefault(value.tag, [])
                while points and points[-1][0] >= event.step:
                    points.pop()
                points.append((event.step, amount))
    rows: dict[int, dict[str, float]] = {}
    for name, points in figures.items():
        for step, amount in points:
            rows.setdefault(step, {"step": step})[name] = amount
    return [rows[step] for step in sorted(rows)], remarks


def _events(path: Path, remarks: list[str]) -> Iterator[Any]:
    """The events of a file: length, checksum of it, content, checksum of that."""
    from google.protobuf.message import DecodeError
    from tensorboard.compat.proto import event_pb2

    broken = 0
    with wrap_os_errors(f"{path}: cannot be read"), open(path, "rb") as file:
        left = file.seek(0, 2)
        file.seek(0)
        while left:
            head = file.read(12)
            size = struct.unpack("<Q", head[:8])[0] if len(head) == 12 else left
            left -= 12 + size + 4
            if left < 0:
                remarks.append(f"{path.name} ends in the middle of an event; what follows there is missing")
                break
            if size > LARGEST_RECORD:
                file.seek(size + 4, 1)
                continue
            content = file.read(size + 4)[:size]
            try:
                yield event_pb2.Event.FromString(content)
            except DecodeError:
                broken += 1
    if broken:
        remarks.append(f"{path.name}: {broken} event{'s'[: broken > 1]} could not be read")


def _amount(value: Any, scalars: set[str]) -> float | None:
    """The number of a summary; ``None`` for images, sounds, texts and histograms."""
    if value.HasField("simple_value"):
        return float(value.simple_value)
    if value.tag not in scalars or not value.HasField("tensor"):
        return None
    from tensorboard.util import tensor_util

    try:
        return float(tensor_util.make_ndarray(value.tensor))
    except (TypeError, ValueError):
        return None
