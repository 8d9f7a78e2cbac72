"""Finding trained models, and making generators of them. Nothing in a file can run code."""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from audiogan.bundle import SUFFIX, read_bundle, shipped
from audiogan.core import CheckpointError, load_state, newest_state
from audiogan.core.checkpoint import differences
from audiogan.errors import UserError
from audiogan.generator import Generator
from audiogan.modalities import Modality

DEFAULT = "drums"
"""The shipped model that is played where there is no run."""


def find(run: str | os.PathLike[str] | None = None) -> Path:
    """The file or run folder that ``run`` means: a path, or the name of a shipped model (a path goes before a name).

    Without it the newest run below ``runs/``, and where there is none the shipped drums.
    """
    models = shipped()
    if run is not None:
        path = Path(run)
        if path.is_file() or (path.is_dir() and (str(run) not in models or _checkpoints(path))):
            return path
        if str(run) in models:
            return models[str(run)]
        near = ", ".join(str(p) for p in runs()[:5]) or "none; train one with: audiogan train drums"
        have = ", ".join(models) or "none"
        raise UserError(f"{run}: no such run, checkpoint or model; runs here: {near}; shipped models: {have}")
    found = runs()
    if not found and DEFAULT not in models:
        raise UserError("no run found in runs/: train one with `audiogan train drums`, or name one with --run")
    return found[0] if found else models[DEFAULT]


def _checkpoints(folder: Path) -> bool:
    return any(folder.glob("checkpoints/step-*.ckpt")) or any(folder.glob("step-*.ckpt"))


def runs(folder: str | os.PathLike[str] = "runs") -> list[Path]:
    """Run folders with a checkpoint, the one last trained first."""

    def newest(run: Path) -> float:
        return max(p.stat().st_mtime for p in (run / "checkpoints").glob("step-*.ckpt"))

    found = {p.parent.parent for p in Path(folder).glob("**/checkpoints/step-*.ckpt")}
    return sorted(found, key=newest, reverse=True)


def load(run: str | os.PathLike[str] | None = None, device: str = "cpu", *, averaged: bool = True) -> Generator:
    """A trained model: a shipped one by its name, or one from a run folder, a checkpoint or a bundle file.

    Without any, that of the newest run below ``runs/``; where there is none, the shipped drums. ``averaged=False``
    takes the weights of a run as they were trained, not their moving average; shipped models have the average only.

    Raises:
        UserError: there is none, it is damaged, or it is not one of audiogan's. Nothing in a file can run code.
    """
    where = find(run)
    if where.suffix == SUFFIX and where.is_file():
        return from_bundle(where, device)
    path: Path | None = where
    try:
        if where.is_dir():
            folder = where / "checkpoints" if (where / "checkpoints").is_dir() else where
            path, state, damaged = newest_state(folder)
            if path is None:
                raise UserError(damaged[0] if damaged else f"{where}: no checkpoint in it yet")
            for complaint in damaged:
                warnings.warn(f"damaged checkpoint left aside: {complaint}", stacklevel=2)
        else:
            state = load_state(where)
    except CheckpointError as error:
        raise UserError(str(error)) from error
    assert path is not None
    return from_state(state, path, device, averaged=averaged)


def from_bundle(path: Path, device: str = "cpu") -> Generator:
    """The generator in a bundle, see `audiogan.bundle`."""
    about, weights, card = read_bundle(path)
    with _understood(path):
        game, modality = _rebuilt(about["config"])
        _fill(game, weights)
        game.to(torch.device(device)).eval().requires_grad_(False)
        name = next((name for name, file in shipped().items() if file == path), None)
        return Generator(game, modality, about["config"], path, int(about["step"]), name=name, card=card)


def from_state(state: dict[str, Any], path: Path, device: str = "cpu", *, averaged: bool = True) -> Generator:
    """The generator in the state of a training; averaged weights where it has them, unless ``averaged=False``."""
    with _understood(path):
        game, modality = _rebuilt(state["config"])
        _fill(game, state["trainer"]["game"])
        for callback in state["trainer"]["callbacks"].values():
            if averaged and isinstance(callback, dict) and "nets" in callback:
                game.nets.load_state_dict(callback["nets"], strict=False)
        game.to(torch.device(device)).eval().requires_grad_(False)
        return Generator(game, modality, state["config"], path, int(state["trainer"]["step"]))


def _rebuilt(config: dict[str, Any]) -> tuple[Any, Modality]:
    """The game of a stored configuration, without its weights, and what kind of signals it makes."""
    from omegaconf import OmegaConf

    from audiogan.training import build_game, build_modality, build_representation

    _check_config(config)
    cfg: Any = OmegaConf.create(config)
    game: Any = build_game(cfg, build_representation(cfg))
    labels = config["facts"]["labels"]
    if game.classes not in (0, len(labels)) or not all(isinstance(name, str) for name in labels):
        raise UserError(f"facts.labels={labels!r} are not the names of {game.classes} classes")
    return game, build_modality(cfg)


def _fill(game: Any, weights: dict[str, torch.Tensor]) -> None:
    weights = game.completed(weights)
    if apart := differences(game.state_dict(), weights):
        raise UserError(f"of another version of this network: {apart}")
    game.load_state_dict(weights)


@contextlib.contextmanager
def _understood(path: Path) -> Iterator[None]:
    """Whatever is wrong with what stands in a file is one line that names it."""
    try:
        yield
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UserError(f"{path}: not a model that audiogan can sample from ({first})") from error


def _check_config(node: Any, key: str = "config") -> None:
    """A stored configuration is resolved. One that still asks for something (an environment variable, say) is not one
    that a training wrote.
    """
    if isinstance(node, dict):
        for name, value in node.items():
            _check_config(name, key)
            _check_config(value, f"{key}.{name}")
    elif isinstance(node, list | tuple):
        for i, value in enumerate(node):
            _check_config(value, f"{key}.{i}")
    elif isinstance(node, str) and "${" in node:
        raise UserError(f"{key}={node[:80]!r}: interpolations are not allowed in a checkpoint")
