"""Checkpoints: written whole or not at all, verified when read, free of pickle."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from audiogan.core.callback import Callback

if TYPE_CHECKING:
    from audiogan.core.trainer import Trainer

FORMAT = 1
NAME = re.compile(r"step-(\d{8,})\.ckpt")


class CheckpointError(ValueError):
    """A checkpoint is damaged, foreign or does not fit."""


def save_state(path: str | os.PathLike[str], state: Mapping[str, Any]) -> None:
    """Write nested dicts, lists, tuples, numbers, strings and tensors as one safetensors file.

    The structure stands as JSON in the header, with a SHA-256 of everything. The file appears under its name only when
    whole.
    """
    path = Path(path)
    tensors: dict[str, Tensor] = {}
    tree = json.dumps(_pack(state, tensors))
    metadata = {"format": str(FORMAT), "tree": tree, "sha256": _digest(tree, tensors)}
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        save_file(tensors, temporary, metadata)
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    if os.name == "posix":
        folder = os.open(path.parent, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)


def load_state(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read what ``save_state`` wrote, tensors on the CPU. ``CheckpointError`` if anything is not as written."""
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118  (not a dict)
        if metadata.get("format") != str(FORMAT):
            raise CheckpointError(f"{path}: not an audiogan checkpoint of format {FORMAT}")
        if _digest(metadata["tree"], tensors) != metadata["sha256"]:
            raise CheckpointError(f"{path}: damaged, its checksum does not match")
        state = _unpack(json.loads(metadata["tree"]), tensors)
    except CheckpointError:
        raise
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror or error})") from error
    except (SafetensorError, KeyError, ValueError, TypeError, IndexError, RecursionError) as error:
        raise CheckpointError(f"{path}: not a checkpoint, or damaged ({str(error)[:120]})") from error
    if not isinstance(state, dict):
        raise CheckpointError(f"{path}: not a checkpoint (it holds a {type(state).__name__})")
    return state


def checkpoints(folder: str | os.PathLike[str]) -> list[Path]:
    """Checkpoints in ``folder``, newest first."""
    found = [(int(m[1]), p) for p in Path(folder).glob("step-*.ckpt") if (m := NAME.fullmatch(p.name))]
    return [path for _, path in sorted(found, reverse=True)]


def newest_state(folder: str | os.PathLike[str]) -> tuple[Path | None, dict[str, Any], list[str]]:
    """The newest intact checkpoint: (path, state, what was wrong with newer ones); (None, {}, ...) without one."""
    damaged: list[str] = []
    for path in checkpoints(folder):
        try:
            return path, load_state(path), damaged
        except CheckpointError as error:
            damaged.append(str(error))
    return None, {}, damaged


def differences(expected: Mapping[str, Tensor], found: Mapping[str, Tensor], most: int = 3) -> str:
    """One line naming how two state dicts differ in names and shapes; empty if they don't."""
    lines = []
    for name in sorted(expected.keys() | found.keys()):
        if name not in found:
            lines.append(f"{name} {list(expected[name].shape)} is new")
        elif name not in expected:
            lines.append(f"{name} {list(found[name].shape)} is only in the checkpoint")
        elif expected[name].shape != found[name].shape:
            lines.append(f"{name} is {list(expected[name].shape)} now, {list(found[name].shape)} in the checkpoint")
    more = f" and {len(lines) - most} more" if len(lines) > most else ""
    return "; ".join(lines[:most]) + more


class Checkpoints(Callback):
    """Saves the whole run every so often, and at its end. Put it last, so that it saves what the others did.

    Args:
        folder: where; files are named ``step-00001000.ckpt``.
        every_minutes, every_steps: how often, by wall clock and by steps.
        keep: how many to keep; older ones are deleted.
        extra: saved along, e.g. the configuration that rebuilds the game.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        every_minutes: float | None = 5.0,
        every_steps: int | None = None,
        keep: int = 2,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        if keep < 1 or (every_steps is not None and every_steps < 1):
            raise ValueError(f"keep={keep} and every_steps={every_steps} must be at least 1")
        self.folder, self.every_minutes, self.every_steps, self.keep = Path(folder), every_minutes, every_steps, keep
        self.extra = dict(extra or {})
        self._saved_at = 0.0

    def on_start(self, trainer: Trainer) -> None:
        self._saved_at = trainer.seconds
        if trainer.engine.chief:
            for left in self.folder.glob(".step-*.tmp"):  # a killed run was writing it
                left.unlink(missing_ok=True)

    def on_step(self, trainer: Trainer) -> None:
        by_steps = self.every_steps is not None and trainer.step % self.every_steps == 0
        by_time = self.every_minutes is not None and trainer.seconds - self._saved_at >= 60 * self.every_minutes
        if by_steps or by_time:
            self.save(trainer)

    def on_resume(self, trainer: Trainer) -> None:
        self._saved_at = trainer.seconds

    def on_end(self, trainer: Trainer) -> None:
        self.save(trainer)

    def save(self, trainer: Trainer) -> None:
        """Save now, unless weights are no longer finite: then the run is stopped and the last good checkpoint stays."""
        self._saved_at = trainer.seconds
        if not trainer.engine.chief:
            return
        state = trainer.state_dict()
        bad = [n for n, w in state["game"].items() if w.is_floating_point() and not bool(torch.isfinite(w).all())]
        if bad:
            good = checkpoints(self.folder)
            kept = f"the last good checkpoint is {good[0]}" if good else "there is no good checkpoint yet"
            trainer.stop(f"weights are no longer finite ({bad[0]}); {kept}")
            return
        save_state(self.folder / f"step-{trainer.step:08d}.ckpt", {**self.extra, "trainer": state})
        for old in checkpoints(self.folder)[self.keep :]:
            old.unlink(missing_ok=True)


def _pack(value: Any, tensors: dict[str, Tensor]) -> Any:
    """JSON for ``value``; tensors move to ``tensors``. What JSON lacks is a dict with one key, ``$...``."""
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
