"""Reader of TensorBoard event files written by PyTorch's ``SummaryWriter`` or by ``tf.summary``.

Records are parsed here, because TensorBoard's own reader computes checksums of images and sounds in Python, which takes
minutes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from audiogan.errors import wrap_os_errors

EVENT_FILE_MARK = "tfevents"
"""Substring of the names of event files."""
LARGEST_RECORD = 1 << 28
"""Largest event that is read, in bytes. Larger events, such as videos, are skipped."""


def is_event_file(path: Path, first_bytes: bytes) -> bool:
    """Return whether a file is a TensorBoard event file.

    Args:
        path: the file. An empty file counts as an event file if its name contains ``tfevents``.
        first_bytes: first 64 bytes of the file.
    """
    return b"brain.Event:" in first_bytes[:64] or (EVENT_FILE_MARK in path.name and not first_bytes)


def read_events(paths: Iterable[Path]) -> tuple[list[dict[str, float]], list[str]]:
    """Read the scalars of a run from its event files.

    A resumed run has several event files. Values that a later file repeats for the same steps replace the earlier ones.

    Args:
        paths: event files, oldest first.

    Returns:
        A row of metrics for each step in ascending order, and messages about content that could not be read.

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
                amount = _scalar_value(value, scalars)
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
    """Yield the events of a file. A record is a length, the checksum of the length, the event and its checksum."""
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
                remarks.append(f"{path.name} ends in the middle of an event; later events are missing")
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


def _scalar_value(value: Any, scalars: set[str]) -> float | None:
    """Return the scalar value of a summary. ``None`` for images, sounds, texts and histograms."""
    if value.HasField("simple_value"):
        return float(value.simple_value)
    if value.tag not in scalars or not value.HasField("tensor"):
        return None
    from tensorboard.util import tensor_util

    try:
        return float(tensor_util.make_ndarray(value.tensor))
    except (TypeError, ValueError):
        return None
