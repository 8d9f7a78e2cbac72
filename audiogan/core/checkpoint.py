"""Checkpoints: atomic writing, verified reading without pickle, and a callback that saves a run at intervals."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from audiogan.core.checking import CheckpointError, is_count
from audiogan.core.trainer import Callback, Trainer
from audiogan.files import atomic_write, is_regular_file

FORMAT_VERSION = 1
"""Version of the checkpoint format. It is stored in the header of each checkpoint."""
TEMPORARY_NAME = re.compile(r"\.step-.*\.tmp|\.tmp[A-Za-z0-9]{6}")
"""Pattern for the names of temporary files that `atomic_write` and safetensors create while they write a checkpoint."""
FILE_NAME = re.compile(r"step-(\d{8,})\.ckpt")
"""Pattern for the file names of checkpoints. Its group matches the step."""


DISK_FULL_ERRORS = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))
"""Error numbers of a full disk or an exceeded quota. Deleting an older checkpoint can make room."""


def save_tensors(path: str | os.PathLike[str], tensors: Mapping[str, Tensor], metadata: dict[str, str]) -> None:
    """Write tensors to a safetensors file atomically: the file is either complete or not created.

    Args:
        path: file to write. An existing file is replaced.
        tensors: tensors by name.
        metadata: strings for the header of the file.

    Raises:
        OSError: the file cannot be written. The error holds the file name and the reason.
    """
    with atomic_write(path) as temporary:
        try:
            save_file(dict(tensors), temporary, metadata)
        except SafetensorError as error:
            number = re.search(r"os error (\d+)", str(error))
            reason = os.strerror(int(number[1])) if number else str(error)
            raise OSError(int(number[1]) if number else errno.EIO, reason, str(path)) from error


def save_state(path: str | os.PathLike[str], state: Mapping[str, Any]) -> None:
    """Write a state to a safetensors file atomically: the file is either complete or not created.

    The structure of the state is stored as JSON in the header of the file, with a SHA-256 of the JSON and of all
    tensors.

    Args:
        path: file to write. An existing file is replaced.
        state: mapping that may contain dicts, lists, tuples, numbers, strings, ``None`` and tensors.

    Raises:
        OSError: the file cannot be written. The error holds the file name and the reason.
        TypeError: ``state`` contains an object of another type.

    Examples:
        >>> import tempfile, torch
        >>> from audiogan.core import load_state, save_state
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save_state(f"{folder}/state.safetensors", {"step": 3, "weights": [torch.ones(2)]})
        ...     load_state(f"{folder}/state.safetensors")
        {'step': 3, 'weights': [tensor([1., 1.])]}
    """
    path = Path(path)
    tensors: dict[str, Tensor] = {}
    tree = json.dumps(_pack(state, tensors))
    save_tensors(path, tensors, {"format": str(FORMAT_VERSION), "tree": tree, "sha256": _digest(tree, tensors)})
    if os.name == "posix":  # Sync the folder, so that a power failure does not lose the new file.
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def load_state(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the state that `save_state` has written. All tensors are on the CPU.

    Args:
        path: checkpoint file.

    Raises:
        CheckpointError: the file cannot be read, is not a regular file, is not a checkpoint, or its SHA-256 is wrong.

    Examples:
        >>> import tempfile
        >>> from audiogan.core import load_state, save_state
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save_state(f"{folder}/state.safetensors", {"step": 3, "rates": (0.1, None)})
        ...     load_state(f"{folder}/state.safetensors")
        {'step': 3, 'rates': (0.1, None)}
    """
    if os.path.lexists(path) and not is_regular_file(path):  # Opening a FIFO would block.
        raise CheckpointError(f"{path}: cannot be read (not a regular file)")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118  (not a dict)
        if metadata.get("format") != str(FORMAT_VERSION):
            raise CheckpointError(f"{path}: the file is not an audiogan checkpoint of format {FORMAT_VERSION}")
        if _digest(metadata["tree"], tensors) != metadata["sha256"]:
            raise CheckpointError(f"{path}: the file is damaged: its SHA-256 is wrong")
        state = _unpack(json.loads(metadata["tree"]), tensors)
    except CheckpointError:
        raise
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror or error})") from error
    except (SafetensorError, KeyError, ValueError, TypeError, IndexError, RecursionError) as error:
        raise CheckpointError(f"{path}: the file is damaged or is not a checkpoint ({str(error)[:120]})") from error
    if not isinstance(state, dict):
        raise CheckpointError(f"{path}: the file is not a checkpoint: it holds a {type(state).__name__}")
    return state


def list_checkpoints(folder: str | os.PathLike[str]) -> list[Path]:
    """Return the paths of all checkpoints in a folder. The checkpoint with the largest step comes first."""
    return [path for path in _named_checkpoints(folder) if is_regular_file(path)]


def _named_checkpoints(folder: str | os.PathLike[str]) -> list[Path]:
    """Return all paths in `folder` that have a checkpoint's name, sorted by step from largest to smallest."""
    named = (p for p in Path(folder).glob("step-*.ckpt") if FILE_NAME.fullmatch(p.name))
    return sorted(named, key=_step_in_name, reverse=True)


def _step_in_name(path: Path) -> int:
    """Return the step in the file name of a checkpoint."""
    match = FILE_NAME.fullmatch(path.name)
    assert match is not None
    return int(match[1])


def load_newest_checkpoint(
    folder: str | os.PathLike[str], *, rename_damaged: bool = False
) -> tuple[Path | None, dict[str, Any], list[str]]:
    """Load the intact checkpoint with the largest step.

    Checkpoints are compared by the step stored in each file, not by the step in the file name. Therefore, a renamed
    copy of an old checkpoint is not loaded instead of a newer checkpoint.

    Args:
        folder: folder with checkpoints.
        rename_damaged: whether to rename each file that cannot be loaded, to ``NAME.damaged``.

    Returns:
        A tuple of the path, the state, and one error message for each file that could not be loaded. Without an intact
        checkpoint, the path is ``None`` and the state is empty.

    Examples:
        >>> import tempfile
        >>> from audiogan.core import load_newest_checkpoint
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     load_newest_checkpoint(folder)  # an empty folder
        (None, {}, [])
    """
    best: tuple[int, Path | None, dict[str, Any]] = (-1, None, {})
    damaged: list[str] = []
    for path in _named_checkpoints(folder):
        if best[0] >= _step_in_name(path):
            break
        try:
            state = load_state(path)
        except CheckpointError as error:
            damaged.append(f"{error}{_rename_damaged(path) if rename_damaged else ''}")
            continue
        inside = state["trainer"].get("step") if isinstance(state.get("trainer"), dict) else None
        step = inside if is_count(inside) else _step_in_name(path)
        if step > best[0]:
            best = step, path, state
    return best[1], best[2], damaged


def _rename_damaged(path: Path) -> str:
    """Rename a damaged checkpoint to ``NAME.damaged``. Return the part of the error message that states the new
    name."""
    name, number = f"{path.name}.damaged", 1
    while os.path.lexists(path.with_name(name)):
        number += 1
        name = f"{path.name}.damaged-{number}"
    try:
        path.rename(path.with_name(name))
    except OSError as error:
        return f"; it cannot be renamed ({error.strerror or error})"
    return f"; renamed to {name}"


class Checkpoints(Callback):
    """Callback that saves the whole state of a run at intervals and at the end.

    Make it the last callback, so that a checkpoint contains all changes that other callbacks made in the step.

    * If a checkpoint cannot be written, the run continues and the next attempt follows after the usual interval.
    * If the checkpoint at the end cannot be written, the error becomes `Trainer.stop_reason`.
    * If the disk is full, old checkpoints are deleted until the new one fits. The newest old checkpoint is kept.
    * If a callback has returned the run to an earlier step, checkpoints of later steps are deleted, so that a resumed
      run continues from the earlier step.

    Args:
        folder: folder for the checkpoints. A file name has the form ``step-00001000.ckpt``.
        every_minutes: time between two checkpoints, in minutes. ``None`` disables saving by time.
        every_steps: number of steps between two checkpoints. ``None`` disables saving by steps.
        keep: number of checkpoints to keep, at least 1. After each save, older ones are deleted.
        extra_values: values that each checkpoint stores in addition to the trainer's state, by name, such as
            ``config``.
        echo: function that receives each message for the user.

    Examples:
        >>> import tempfile
        >>> from audiogan.core import Checkpoints
        >>> Checkpoints(tempfile.gettempdir(), every_steps=1000, every_minutes=None, keep=3).keep
        3
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        every_minutes: float | None = 5.0,
        every_steps: int | None = None,
        keep: int = 2,
        extra_values: Mapping[str, Any] | None = None,
        echo: Callable[[str], None] = print,
    ) -> None:
        if keep < 1 or (every_steps is not None and every_steps < 1):
            raise ValueError(f"keep={keep} and every_steps={every_steps} must be at least 1")
        self.folder, self.every_minutes, self.every_steps, self.keep = Path(folder), every_minutes, every_steps, keep
        self.extra_values = dict(extra_values or {})
        self._echo = echo
        self._saved_at = 0.0
        self._written: set[Path] = set()
        self._failing = False

    def on_start(self, trainer: Trainer) -> None:
        self._saved_at = trainer.seconds
        if trainer.engine.is_main_process:
            for left in self.folder.glob(".*"):  # A run that is killed during a write leaves a temporary file.
                with contextlib.suppress(OSError):
                    if TEMPORARY_NAME.fullmatch(left.name):
                        left.unlink()

    def on_step(self, trainer: Trainer) -> None:
        by_steps = self.every_steps is not None and trainer.step % self.every_steps == 0
        by_time = self.every_minutes is not None and trainer.seconds - self._saved_at >= 60 * self.every_minutes
        if not (by_steps or by_time or self._later_checkpoints(trainer)):
            return
        try:
            self.save(trainer)
            self._failing = False
        except OSError as error:
            if not self._failing:
                self._echo(f"{_write_error(error)}; {self._describe_newest()}; the run continues and will try again")
            self._failing = True

    def on_resume(self, trainer: Trainer) -> None:
        self._saved_at = trainer.seconds

    def on_end(self, trainer: Trainer) -> None:
        try:
            self.save(trainer)
        except OSError as error:
            text = f"{_write_error(error)}; {self._describe_newest()}"
            if self._checkpoint_path(trainer) in self._written and is_regular_file(self._checkpoint_path(trainer)):
                self._echo(text)  # A checkpoint of this step exists already, so nothing is lost.
            else:
                trainer.stop(text)

    def save(self, trainer: Trainer) -> None:
        """Write a checkpoint of the present step.

        If a weight is NaN or infinite, no checkpoint is written and the run stops, so the newest checkpoint always has
        finite weights.

        Args:
            trainer: trainer of the run.

        Raises:
            OSError: the checkpoint cannot be written. The newest existing checkpoint is kept.
        """
        self._saved_at = trainer.seconds
        if not trainer.engine.is_main_process:
            return
        state = trainer.state_dict()
        bad = [n for n, w in state["game"].items() if w.is_floating_point() and not bool(torch.isfinite(w).all())]
        if bad:
            trainer.stop(f"the weights {bad[0]} are no longer finite; {self._describe_newest()}")
            return
        path = self._checkpoint_path(trainer)
        self._write(path, {**self.extra_values, "trainer": state})
        self._written.add(path)
        for old in [*self._later_checkpoints(trainer), *self._earlier_checkpoints(path)[self.keep - 1 :]]:
            self._written.discard(old)
            with contextlib.suppress(OSError):
                old.unlink(missing_ok=True)

    def _write(self, path: Path, state: Mapping[str, Any]) -> None:
        """Write a checkpoint. On a full disk, delete older checkpoints until the new one fits, but keep the newest
        older one."""
        older = self._earlier_checkpoints(path)
        while True:
            try:
                save_state(path, state)
                return
            except OSError as error:
                if error.errno not in DISK_FULL_ERRORS or len(older) < 2:
                    raise
                older.pop().unlink(missing_ok=True)

    def _checkpoint_path(self, trainer: Trainer) -> Path:
        return self.folder / f"step-{trainer.step:08d}.ckpt"

    def _earlier_checkpoints(self, path: Path) -> list[Path]:
        """Return the checkpoints of earlier steps. The newest comes first."""
        return [other for other in list_checkpoints(self.folder) if _step_in_name(other) < _step_in_name(path)]

    def _later_checkpoints(self, trainer: Trainer) -> list[Path]:
        """Return the checkpoints with later steps that this run wrote before a callback returned the run to an
        earlier step."""
        return [path for path in self._written if _step_in_name(path) > trainer.step]

    def _describe_newest(self) -> str:
        good = list_checkpoints(self.folder)
        return f"the last checkpoint is {good[0]}" if good else "there is no checkpoint yet"


def _write_error(error: OSError) -> str:
    return f"{error.filename}: the checkpoint cannot be written ({error.strerror or error})"


def _pack(value: Any, tensors: dict[str, Tensor]) -> Any:
    """Return ``value`` in a form that JSON can store, and add its tensors to ``tensors``.

    Tensors, tuples and dicts become dicts with a single key: ``$tensor``, ``$tuple`` or ``$dict``.
    """
    if isinstance(value, Tensor):
        name = f"t{len(tensors)}"
        tensors[name] = value.detach().cpu().clone(memory_format=torch.contiguous_format)
        return {"$tensor": name}
    if isinstance(value, Mapping):
        return {"$dict": [[_pack(k, tensors), _pack(v, tensors)] for k, v in value.items()]}
    if isinstance(value, tuple):
        return {"$tuple": [_pack(v, tensors) for v in value]}
    if isinstance(value, list):
        return [_pack(v, tensors) for v in value]
    if isinstance(value, np.generic):
        return value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"a checkpoint cannot hold a {type(value).__name__}")


def _unpack(value: Any, tensors: Mapping[str, Tensor]) -> Any:
    if isinstance(value, list):
        return [_unpack(v, tensors) for v in value]
    if isinstance(value, dict):
        ((kind, inside),) = value.items()
        if kind == "$tensor":
            return tensors[inside]
        if kind == "$dict":
            return {_unpack(k, tensors): _unpack(v, tensors) for k, v in inside}
        if kind == "$tuple":
            return tuple(_unpack(v, tensors) for v in inside)
        raise ValueError(f"unknown kind {kind!r}")
    return value


def _digest(tree: str, tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256(tree.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
