"""The allow-list of configurations: which classes may stand at which place.

A configuration from a stranger may only combine building blocks. Each place takes one kind: a callback cannot stand for
a modality. A class that writes or deletes files of its own choice stands nowhere.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from typing import Any

from audiogan.errors import UserError
from audiogan.text import printable

FUNCTIONS = ("audiogan.data.sources.open_sounds", "audiogan.data.image_sources.open_images")
"""The functions that a configuration may name. Everything else is a class."""
PARTS = ("augment", "losses", "networks", "representations")
"""Packages with the parts of a game. None of them reads or writes files."""


def targets(node: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Every ``_target_`` in a plain container, with its key."""
    items: Any = ()
    if isinstance(node, dict):
        items = node.items()
    elif isinstance(node, list):
        items = enumerate(node)
    for name, value in items:
        path = f"{key}.{name}" if key else str(name)
        if name == "_target_":
            yield path, value
        else:
            yield from targets(value, path)


def check_places(plain: Any, where: str = "", source: str = "") -> None:
    """Refuse a plain container with a class at a place that does not take it. Nothing is built.

    Args:
        plain: a configuration, or one of its sections.
        where: the key of the section.
        source: what to put in front of the key in messages.
    """
    for key, target in targets(plain, where):
        resolve_target(target, key, source)
    for key in _keys(plain, "_partial_", where):
        if not re.fullmatch(r"players\.[^.]+\.optimizer\._partial_", key):
            raise UserError(f"{source}{printable(key)} is not allowed here; only optimizers are built in part")
    for key in _keys(plain, "_args_", where):
        if _place(f"{key.removesuffix('_args_')}_target_")[1] is not _part:
            raise UserError(f"{source}{printable(key)} is not allowed here; write each setting with its name")


def resolve_target(target: Any, key: str, source: str = "") -> Any:
    """Return the class or function that ``target`` names.

    Args:
        target: a dotted name.
        key: the place in the configuration where it stands, such as ``callbacks.ema._target_``.
        source: what to put in front of the key in messages.

    Raises:
        UserError: there is no such class, or this place does not take it.
    """
    what, takes = _place(key)
    where = f"{source}{printable(key)}"
    refusal = UserError(f"{where}={printable(repr(target))[:120]} is not allowed; this place takes {what}")
    if not isinstance(target, str) or not re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+", target) or "__" in target:
        raise refusal
    parts = target.split(".")
    of_torch = parts[:2] in (["torch", "nn"], ["torch", "optim"]) and len(parts) == 3
    if not of_torch and (parts[0] != "audiogan" or parts[1] not in _PACKAGES):
        raise refusal
    found = _import(parts)
    if found is None:
        raise UserError(f"{where}={target!r} does not exist; check the spelling")
    home = getattr(found, "__module__", "")
    homes = ("torch.nn.modules.", "torch.optim.") if of_torch else tuple(f"audiogan.{name}" for name in _PACKAGES)
    if not home.startswith(homes) or found.__qualname__ != found.__name__ or not takes(found, home):
        raise refusal
    return found


_PACKAGES = ("callbacks", "core", "data", "games", "modalities", "monitors", *PARTS)


def _place(key: str) -> tuple[str, Any]:
    """What the place ``key`` takes, in words and as a test of (class, its module)."""
    for pattern, what, takes in PLACES:
        if re.fullmatch(pattern, key):
            return what, takes
    return "no class", _nothing


def _nothing(found: Any, home: str) -> bool:
    return False


def _data(found: Any, home: str) -> bool:
    return f"{home}.{found.__name__}" in FUNCTIONS or (
        isinstance(found, type)
        and home.startswith("audiogan.data.")
        and hasattr(found, "split")
        and hasattr(found, "batch")
    )


def _view(found: Any, home: str) -> bool:
    return isinstance(found, type) and home == "audiogan.data.views"


def _modality(found: Any, home: str) -> bool:
    from audiogan.modalities import Image, Points, Sound

    return found in (Image, Points, Sound)


def _engine(found: Any, home: str) -> bool:
    from audiogan.core import Engine

    return found is Engine


def _player(found: Any, home: str) -> bool:
    from audiogan.core import Player

    return _is(found, Player)


def _optimizer(found: Any, home: str) -> bool:
    from torch.optim import Optimizer

    return _is(found, Optimizer) and found is not Optimizer


def _callback(found: Any, home: str) -> bool:
    """Checkpoints are no such callback: they delete files, and have a section of their own."""
    from audiogan.core import Callback, Checkpoints

    return _is(found, Callback) and not _is(found, Checkpoints)


def _representation(found: Any, home: str) -> bool:
    from audiogan.representations import Representation

    return _is(found, Representation)


def _game(found: Any, home: str) -> bool:
    from audiogan.core import Game

    return _is(found, Game) and home.startswith("audiogan.games.")


def _part(found: Any, home: str) -> bool:
    from torch import nn

    from audiogan.core import Callback

    if not isinstance(found, type) or issubclass(found, Callback):
        return False
    return (
        issubclass(found, nn.Module)
        if home.startswith("torch.")
        else home.startswith(tuple(f"audiogan.{package}." for package in PARTS))
    )


def _is(found: Any, kind: type) -> bool:
    return isinstance(found, type) and issubclass(found, kind)


PLACES = (
    (r"data\._target_", "a source of data such as audiogan.data.sources.open_sounds", _data),
    (r"streams\.[^.]+\._target_", "a view of audiogan.data.views", _view),
    (r"facts\.modality\._target_", "a modality: audiogan.modalities.Sound, Image or Points", _modality),
    (r"engine\._target_", "audiogan.core.Engine", _engine),
    (r"players\.[^.]+\._target_", "audiogan.core.Player", _player),
    (r"players\.[^.]+\.optimizer\._target_", "an optimizer of torch.optim", _optimizer),
    (r"callbacks\.[^.]+\._target_", "a callback; checkpoints have a section of their own", _callback),
    (r"representation\._target_", "a representation of audiogan.representations", _representation),
    (r"game\._target_", "a game of audiogan.games", _game),
    (r"(?!data\.|streams\.|facts\.|engine\.|players\.|callbacks\.|trainer\.|checkpoints\.|hydra\.).*\._target_",
     "a network, loss, augmentation or representation of audiogan, or a layer of torch.nn", _part),
)  # fmt: skip
"""For each place, by its key: the words for it, and the test of a class. The first pattern that fits decides."""


def _keys(node: Any, wanted: str, key: str) -> Iterator[str]:
    """The full key of every entry ``wanted`` that is not empty."""
    items: Any = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for name, value in items:
        path = f"{key}.{name}" if key else str(name)
        if name == wanted and value:
            yield path
        else:
            yield from _keys(value, wanted, path)


def _import(parts: list[str]) -> Any:
    """The object at a dotted path, importing modules of the package as needed."""
    found, path = importlib.import_module(parts[0]), parts[0]
    for name in parts[1:]:
        path = f"{path}.{name}"
        try:
            found = getattr(found, name)
        except AttributeError:
            try:
                found = importlib.import_module(path)
            except ModuleNotFoundError as error:
                if error.name != path:
                    raise
                return None
    return found
