"""Finding trained models, and making generators of them. Nothing in a file can run code.

A model of a network from outside the package needs the module with its code; the person names it: `audiogan.run.trust`.
"""

from __future__ import annotations

import contextlib
import math
import os
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from audiogan.core import CheckpointError, load_state
from audiogan.core.checking import differences
from audiogan.core.checkpoint import checkpoints
from audiogan.errors import UserError
from audiogan.files import is_plain
from audiogan.inputs import Signal
from audiogan.modalities import Modality
from audiogan.model.bundle import SUFFIX, read_bundle, shipped
from audiogan.model.generator import Generator
from audiogan.model.untrusted import SIGNAL, SIZES, Budget, check_config
from audiogan.run.trust import require, trusted, trusting
from audiogan.utils.text import printable

DEFAULT = "drums"
"""The shipped model that is played where there is no run."""
HEADER = 16 << 20
"""Largest header of a checkpoint, in bytes: its configuration and the names of its tensors."""
TABLES, FORWARD = 1 << 24, 1 << 27
"""Largest tensor while networks are built, besides their weights, and while a signal is made, in elements."""
CALLS = 20_000
"""Operations while networks are built, besides those for each of their tensors."""


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
    return bool(checkpoints(folder / "checkpoints") or checkpoints(folder))


def runs(folder: str | os.PathLike[str] = "runs") -> list[Path]:
    """Run folders with a checkpoint, the one last trained first."""

    def newest(run: Path) -> float:
        return max((p.stat().st_mtime for p in checkpoints(run / "checkpoints")), default=0.0)

    found = {p.parent.parent for p in Path(folder).glob("**/checkpoints/step-*.ckpt") if is_plain(p)}
    return sorted(found, key=newest, reverse=True)


def load(
    run: str | os.PathLike[str] | None = None,
    device: str = "cpu",
    *,
    averaged: bool = True,
    trust: str | Sequence[str] = (),
) -> Generator:
    """Load a trained model: a shipped one by its name, or one from a run folder, a checkpoint or a bundle file.

    Without ``run``, load the newest run below ``runs/``, or the shipped drums where there is none.
    ``averaged=False`` takes the weights of a run as they were trained instead of their moving average. Shipped models
    have the average only.

    A model may come from a stranger. Loading reads nothing but its file, runs no code from it, and uses memory in
    proportion to its size.

    ``trust`` names modules from outside the package, such as ``["my_networks"]``, that the model may use. Python looks
    for them in the working folder too. Their code runs: name only modules that you trust.

    Raises:
        UserError: there is no such model, it is damaged, it is not one of audiogan's, its weights are not finite, or it
            needs a module that is not trusted.

    Examples:
        >>> g = audiogan.load("drums")
        >>> g.sample_rate, g.shape, sorted(g.knobs)
        (16000, (1, 16384), ['attack', 'brightness', 'decay', 'noisiness'])
    """
    with trusting(trust):
        where = find(run)
        if where.suffix.lower() == SUFFIX and where.is_file():
            return from_bundle(where, device)
        try:
            path, state = _newest(where) if where.is_dir() else (where, _state(where))
        except CheckpointError as error:
            raise UserError(str(error)) from error
        return from_state(state, path, device, averaged=averaged)


def from_bundle(path: Path, device: str = "cpu") -> Generator:
    """The generator in a bundle, see `audiogan.model.bundle`."""
    about, weights, card = read_bundle(path)
    with _understood(path):
        require(about.get("requires", []))
        config, step = _own(about["config"]), _step(about["step"])
        game, modality = _rebuilt(config, weights)
        name = next((name for name, file in shipped().items() if file == path), None)
        if name is None:
            _try(Generator(game, modality, config, path, step))
        game.to(torch.device(device))
        return Generator(game, modality, config, path, step, name=name, card=card, trust=trusted())


def from_state(state: dict[str, Any], path: Path, device: str = "cpu", *, averaged: bool = True) -> Generator:
    """The generator in the state of a training; averaged weights where it has them, unless ``averaged=False``."""
    with _understood(path):
        require(state.get("requires", []))
        config, step = _own(state["config"]), _step(state["trainer"]["step"])
        game, modality = _rebuilt(config, state["trainer"]["game"])
        for callback in state["trainer"]["callbacks"].values():
            if averaged and isinstance(callback, dict) and "nets" in callback:
                game.nets.load_state_dict(callback["nets"], strict=False)
        _check_finite(game)
        _try(Generator(game, modality, config, path, step))
        game.to(torch.device(device))
        return Generator(game, modality, config, path, step, trust=trusted())


def _own(config: Any) -> Any:
    """The configuration without folders of caches: a stranger's model does not choose where files are written."""
    if not isinstance(config, dict):
        return config
    return {key: _without_cache(value) if key == "data" else value for key, value in config.items()}


def _without_cache(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: _without_cache(value) for key, value in node.items() if key != "cache"}
    return [_without_cache(value) for value in node] if isinstance(node, list) else node


def _newest(folder: Path) -> tuple[Path, dict[str, Any]]:
    """The newest intact checkpoint in a run folder or a folder of checkpoints, and its state."""
    inside = folder / "checkpoints" if (folder / "checkpoints").is_dir() else folder
    damaged = []
    for path in checkpoints(inside):
        try:
            state = _state(path)
        except CheckpointError as error:
            damaged.append(str(error))
            continue
        for complaint in damaged:
            warnings.warn(f"damaged checkpoint skipped: {complaint}", stacklevel=3)
        return path, state
    raise UserError(damaged[0] if damaged else f"{folder}: no checkpoint in it yet")


def _state(path: Path) -> dict[str, Any]:
    """The state in a checkpoint. The length of its header is judged before anything is read."""
    try:
        if not path.is_file():  # opening a named pipe would wait forever
            raise CheckpointError(f"{path}: not a regular file")
        with open(path, "rb") as file:
            header = int.from_bytes(file.read(8), "little")
            size = os.fstat(file.fileno()).st_size
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror or error})") from error
    if not 0 < header <= min(HEADER, size - 8):
        raise CheckpointError(f"{path}: not a checkpoint, or damaged (the length of its header is wrong)")
    return load_state(path)


def _rebuilt(config: Any, weights: dict[str, torch.Tensor]) -> tuple[Any, Modality]:
    """The game of a stored configuration with its weights, and the kind of signals it makes.

    Networks are limited to the memory that fits the stored weights: the weights themselves, their initial values and
    the tables that networks compute, such as windows and filters.
    """
    from omegaconf import OmegaConf

    from audiogan.run.training import build_game, build_inputs, build_modality, build_representation

    check_config(config)
    stored = sum(value.numel() for value in weights.values())
    if odd := next((name for name, value in weights.items() if value.is_complex()), None):
        raise UserError(f"its weights are complex numbers ({printable(odd)[:80]})")
    # Facts of inputs are left out: omegaconf takes milliseconds for a hundred values.
    kept = {key: config[key] for key in ("representation", "game")}
    cfg: Any = OmegaConf.create({**kept, "facts": {"modality": config["facts"]["modality"]}})
    room = TABLES + 8 * stored
    with Budget(room, room, 8 * room, CALLS + 200 * len(weights)):
        inputs = build_inputs(config["inputs"], config["facts"]["inputs"])
        game: Any = build_game(cfg, build_representation(cfg), inputs)
        weights = game.upgrade_state_dict(weights)
        if different := differences(game.state_dict(), weights):
            raise UserError(f"of another version of this network: {printable(different)[:300]}")
        game.load_state_dict(weights)
    game.eval().requires_grad_(False)
    _check_finite(game)
    for given in game.inputs.values():
        _check_input(given)
    modality = build_modality(cfg)
    _check_signals(modality, tuple(game.representation.signal_shape))
    return game, modality


def _check_finite(game: Any) -> None:
    """Refuse weights that are NaN or infinite."""
    for name, value in game.state_dict().items():
        # The sum is not finite if a value is not; large values can overflow it, so all of them decide.
        if value.is_floating_point() and not math.isfinite(float(value.sum())) and not torch.isfinite(value).all():
            shown = printable(name)[:80]
            raise UserError(f"its weights are not finite numbers ({shown}); get another version of this model")


def _check_signals(modality: Modality, shape: tuple[int, ...], where: str = "facts.") -> None:
    """Refuse a kind of signals that does not fit the shape, or that cannot be saved."""
    if math.prod(shape) > SIGNAL:
        raise UserError(f"signals of shape {list(shape)}: more than {SIGNAL:,} values each")
    try:
        modality.check_shape(shape)
    except UserError as error:
        raise UserError(f"{where}modality: {error}") from error


def _check_input(given: Any) -> None:
    """Refuse an input with values that are too large, or without a way to read its signals."""
    given.check()
    sizes = [1 if size is None else size for size in given.shape]
    if len(sizes) > SIZES or not all(isinstance(size, int) and 0 < size <= SIGNAL for size in sizes):
        raise UserError(f"inputs.{given.name}: expected at most {SIZES} sizes and {SIGNAL:,} values")
    if not isinstance(given, Signal):
        return
    if not isinstance(given.modality, Modality):
        raise UserError(f"facts.inputs.{given.name}.modality: the kind of signal is missing")
    # A source can have more channels than files of its kind, such as a picture with its mask.
    _check_signals(given.modality, (1, *sizes[1:]) if len(sizes) > 1 else tuple(sizes), f"facts.inputs.{given.name}.")
    if math.prod(sizes) > SIGNAL:
        raise UserError(f"inputs.{given.name}: more than {SIGNAL:,} values each")


def _try(generator: Generator) -> None:
    """Make one signal, so that a model that cannot make any is refused when it is loaded."""
    with torch.random.fork_rng(devices=[]), Budget(FORWARD, 16 * FORWARD, 16 * FORWARD, 100 * CALLS):
        game = generator.game
        for name in generator.routes:
            values = {key: given.example(1) for key, given in generator.inputs.items()}
            made = generator.modality.finish(game.generate(values, generator=name).numpy())
            if not np.isfinite(made).all():
                raise UserError(f"its {generator.modality.noun}s are not finite numbers")
            # Examples of open sizes are larger than the signals of the training.
            checked = 2 if any(None in given.shape for given in generator.inputs.values()) else made.ndim
            if made.ndim != len(generator.shape) + 1 or made.shape[1:checked] != generator.shape[: checked - 1]:
                raise UserError(f"its signals have the shape {list(made.shape[1:])} instead of {list(generator.shape)}")


def _step(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**53:
        raise UserError(f"step={str(value)[:40]}: must be a number of training steps")
    return value


@contextlib.contextmanager
def _understood(path: Path) -> Iterator[None]:
    """Turn every error about the content of a file into one line that names the file."""
    try:
        yield
    except UserError as error:
        raise UserError(f"{path}: {printable(error)}") from error
    except Exception as error:  # the classes that a configuration names can raise anything
        first = printable((str(error).strip().splitlines() or [type(error).__name__])[0])[:200]
        raise UserError(f"{path}: not a model that audiogan can sample from ({first})") from error
