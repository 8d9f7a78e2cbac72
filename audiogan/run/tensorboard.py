"""Write TensorBoard event files without a background thread."""

from __future__ import annotations

import io
import os
import socket
import time
from pathlib import Path
from typing import Any

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.summary.writer.record_writer import RecordWriter
from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.writer import FileWriter

from audiogan.files import append_bytes


class Board(SummaryWriter):
    """TensorBoard `SummaryWriter` that writes each event immediately and raises `OSError` if it cannot.

    PyTorch's writer uses a background thread. If the disk is full, that thread dies, and the error is raised only by a
    later call.

    Args:
        folder: folder of the event file.
        purge_step: first step of this writer. TensorBoard discards events of earlier files from this step on.
    """

    def __init__(self, folder: Path, purge_step: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._events = _Events(folder, purge_step)
        super().__init__(str(folder))

    def _get_file_writer(self) -> Any:
        self.file_writer: Any = self._events
        self.all_writers: Any = {self._events.get_logdir(): self._events}
        return self._events


class _Events(FileWriter):
    """Writer of one event file, without a background thread."""

    def __init__(self, folder: Path, purge_step: int) -> None:
        self.event_writer: Any = self
        self._folder, self._purge_step, self._begun = folder, purge_step, False
        unique = f"{time.time_ns() // 10**9:010d}.{socket.gethostname()}.{os.getpid()}.{time.time_ns() % 10**9}"
        self._path = folder / f"events.out.tfevents.{unique}"

    def get_logdir(self) -> str:
        return str(self._folder)

    def add_event(self, event: Event, step: int | None = None, walltime: float | None = None) -> None:
        event.wall_time = time.time() if walltime is None else walltime
        if step is not None:
            event.step = int(step)
        records = [event]
        if not self._begun:
            start = SessionLog(status=SessionLog.START)
            first = Event(wall_time=event.wall_time, file_version="brain.Event:2")
            records = [first, Event(wall_time=event.wall_time, step=self._purge_step, session_log=start), event]
        content = io.BytesIO()
        for record in records:
            RecordWriter(content).write(record.SerializeToString())
        append_bytes(self._path, content.getvalue())
        self._begun = True

    def flush(self) -> None:
        """No-op, because every event is written immediately."""

    def close(self) -> None:
        """No-op, because the file is not kept open."""

    def reopen(self) -> None:
        """No-op, because the file is opened for each event."""
