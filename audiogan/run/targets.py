"""Allow-list of the classes that a configuration may use at each key.

An untrusted configuration can only combine the classes of audiogan and PyTorch that are listed here. Each key allows
one kind of class: ``callbacks.NAME`` allows callbacks, but not modalities. No key allows a class that writes or deletes
files at an arbitrary path. Classes of other packages must come from modules that the user trusts
(`audiogan.run.trust`), and must be of the same kind.
"""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from audiogan.errors import UserError
from audiogan.run import trust
from audiogan.utils.text import printable

COMPONENT_PACKAGES = ("augment", "losses", "networks", "representations")
"""Packages of audiogan with components of a game, such as networks. Their classes neither read nor write files."""
COLUMN_MODULES = ("audiogan.data.measures", "audiogan.data.degrade")
"""Modules with the classes that may be used in ``data.columns``."""
MOVED = {
    "audiogan.augment.Brightness": "audiogan.augment.RandomBrightness",
    "audiogan.augment.Scale": "audiogan.augment.RandomScale",
    "audiogan.callbacks.MetricsLog": "audiogan.run.callbacks.MetricsLog",
    "audiogan.callbacks.Previews": "audiogan.run.callbacks.Previews",
    "audiogan.data.image_sources.open_images": "audiogan.data.open_images",
    "audiogan.data.pairs.open_domains": "audiogan.data.open_domains",
    "audiogan.data.pairs.open_pairs": "audiogan.data.open_pairs",
    "audiogan.data.points.Points": "audiogan.data.open_points",
    "audiogan.data.points.open_points": "audiogan.data.open_points",
    "audiogan.data.sources.open_sounds": "audiogan.data.open_sounds",
    "audiogan.games.Sampling": "audiogan.games.Generative",
}
"""Classes that were renamed: name in configurations and models of earlier versions -> current name."""
TargetTest = Callable[[Any, str], bool]
"""Function that takes a class or function and the name of its module, and returns whether it is allowed."""


def find_targets(node: Any, key: str = "", searched_key: str = "_target_") -> Iterator[tuple[str, Any]]:
    """Yield the dotted key and the value of every ``_target_`` (or other key) in a plain container.

    Args:
        node: dict or list, with any nesting.
        key: dotted key of ``node``.
        searched_key: key to find, at any depth.
    """
    items: Any = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for name, value in items:
        path = f"{key}.{name}" if key else str(name)
        if name == searched_key:
            yield path, value
        else:
            yield from find_targets(value, path, searched_key)


def external_modules(node: Any) -> list[str]:
    """Return the top-level modules outside audiogan and PyTorch that the ``_target_`` entries of ``node`` use."""
    found = (target.partition(".")[0] for _, target in find_targets(node) if isinstance(target, str) and "." in target)
    return [name for name in dict.fromkeys(found) if trust.may_be_trusted(name)]


def update_targets(node: Any) -> Any:
    """Return a copy of a plain container in which renamed classes (see `MOVED`) have their current names."""
    if isinstance(node, dict):
        return {
            key: MOVED.get(value, value) if key == "_target_" and isinstance(value, str) else update_targets(value)
            for key, value in node.items()
        }
    return [update_targets(value) for value in node] if isinstance(node, list) else node


def check_targets(config: Any, key: str = "", source: str = "", folder: Path | None = None) -> None:
    """Raise `UserError` if a class is not allowed at its key. No object is built.

    Args:
        config: configuration or section as plain values.
        key: dotted key of the section. Empty for a whole configuration.
        source: text before the key in error messages. It names the file of the configuration.
        folder: folder of the configuration. If the module of a refused class is in this folder, the error suggests
            trusting the module.
    """
    for path, target in find_targets(config, key):
        resolve_target(target, path, source, folder)
    for path, value in find_targets(config, key, "_partial_"):
        if value and not re.fullmatch(r"players\.[^.]+\.optimizer\._partial_", path):
            raise UserError(f"{source}{printable(path)} is only allowed for optimizers; remove it")
    for path, value in find_targets(config, key, "_args_"):
        if value and _find_rule(f"{path.removesuffix('_args_')}_target_")[1] not in (_is_component, _is_game_component):
            raise UserError(f"{source}{printable(path)} is not allowed here; write each argument with its name")


def resolve_target(target: Any, key: str, source: str = "", folder: Path | None = None) -> Any:
    """Return the class or function with the dotted name ``target`` if it is allowed at ``key``.

    Args:
        target: dotted name, such as ``audiogan.core.EMA``. Names of earlier versions are accepted.
        key: dotted key in the configuration, such as ``callbacks.ema._target_``.
        source: text before the key in error messages. It names the file of the configuration.
        folder: folder of the configuration. If the module of a refused class is in this folder, the error suggests
            trusting the module.

    Raises:
        UserError: the class does not exist, is not allowed at ``key``, or belongs to a module that is not trusted.
    """
    what, takes = _find_rule(key)
    where = f"{source}{printable(key)}"
    shown = f"{where}={printable(repr(target))[:120]}"
    refusal = UserError(f"{shown} is not allowed; this key takes {what}")
    if not isinstance(target, str) or not re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+", target) or "__" in target:
        raise refusal
    if takes is _allow_nothing:
        raise refusal
    target = MOVED.get(target, target)
    parts = target.split(".")
    if parts[0] in trust.trusted_modules():
        found = _trusted_object(target, where)
        if not takes(found, found.__module__):
            raise refusal
        return found
    if hint := trust.trust_hint(parts[0], folder):
        raise UserError(f"{shown}: the module {parts[0]} is not trusted; {hint}")
    of_torch = parts[:2] in (["torch", "nn"], ["torch", "optim"]) and len(parts) == 3
    homes = ("torch.nn.modules.", "torch.optim.") if of_torch else _HOMES
    if not of_torch and not target.startswith(homes):
        raise refusal
    found = _import_object(parts)
    if found is None:
        raise UserError(f"{where}={target!r} does not exist; check the spelling")
    home, name = getattr(found, "__module__", ""), getattr(found, "__qualname__", "")
    if not f"{home}.".startswith(homes) or not name or name != found.__name__ or not takes(found, home):
        raise refusal
    return found


def _trusted_object(target: str, where: str) -> Any:
    """Return a class or function of a trusted module."""
    try:
        found = trust.find_object(target)
    except UserError as error:
        raise UserError(f"{where}={target!r}: {error}") from error
    if found is None:
        raise UserError(f"{where}={target!r} does not exist; check the spelling")
    if not trust.is_defined_in(found, target):
        home = getattr(found, "__module__", None)
        elsewhere = f" but in {printable(home)[:80]}" if isinstance(home, str) else ""
        raise UserError(
            f"{where}={target!r} is not allowed; it is not defined in {target.partition('.')[0]}{elsewhere}"
        )
    return found


_PACKAGES = ("core", "data", "games", "inputs", "modalities", "monitors", "run.callbacks", *COMPONENT_PACKAGES)
_HOMES = tuple(f"audiogan.{name}." for name in _PACKAGES)


def _find_rule(key: str) -> tuple[str, Any]:
    """Return a description and a test of the classes that are allowed at ``key``."""
    for pattern, what, takes in RULES:
        if re.fullmatch(pattern, key):
            return what, takes
    return "no class", _allow_nothing


def _allow_nothing(found: Any, home: str) -> bool:
    return False


def _is_from(home: str, *packages: str) -> bool:
    """Return whether a module belongs to one of ``packages`` or is trusted by the user."""
    return (
        f"{home}.".startswith(tuple(f"{name}." for name in packages))
        or home.partition(".")[0] in trust.trusted_modules()
    )


def _opens_data(found: Any, home: str) -> bool:
    """Return whether a function opens data. Functions of `audiogan.data.cache` do not, and may write to any folder."""
    opens = inspect.isfunction(found) and found.__name__.startswith("open_")
    return opens and _is_from(home, "audiogan.data") and home != "audiogan.data.cache"


def _classes_of(*modules: str) -> TargetTest:
    """Return a test for the classes of ``modules``, except callbacks, engines, games and players."""
    return lambda found, home: isinstance(found, type) and _is_from(home, *modules) and not _builds_runs(found)


def _subclasses_of(module: str, name: str, *modules: str) -> TargetTest:
    """Return a test for the subclasses of a class. With ``modules``, they must be defined in these modules."""

    def test(found: Any, home: str) -> bool:
        kind = getattr(importlib.import_module(module), name)
        return _is_subclass(found, kind) and (not modules or _is_from(home, *modules))

    return test


def _is_modality(found: Any, home: str) -> bool:
    from audiogan.modalities import Modality

    return _is_subclass(found, Modality) and found is not Modality


def _is_sound_format(found: Any, home: str) -> bool:
    from audiogan.representations import SoundFormat

    return found is SoundFormat


def _is_engine(found: Any, home: str) -> bool:
    from audiogan.core import Engine

    return found is Engine


def _is_optimizer(found: Any, home: str) -> bool:
    from torch.optim import Optimizer

    return _is_subclass(found, Optimizer) and found is not Optimizer


def _is_callback(found: Any, home: str) -> bool:
    """Return whether a class is a callback. `Checkpoints` is excluded, because it deletes files."""
    from audiogan.core import Callback, Checkpoints

    return _is_subclass(found, Callback) and not _is_subclass(found, Checkpoints)


def _is_component(found: Any, home: str) -> bool:
    from torch import nn

    if not isinstance(found, type) or _builds_runs(found):
        return False
    if home.startswith("torch."):
        return issubclass(found, nn.Module)
    return _is_from(home, *(f"audiogan.{package}" for package in COMPONENT_PACKAGES))


def _is_game_component(found: Any, home: str) -> bool:
    return _is_component(found, home) or (home.startswith("audiogan.games.") and found.__name__ == "Route")


def _builds_runs(found: type) -> bool:
    """Return whether a class is a callback, engine, game, player or exception, which cannot be parts of a game."""
    from audiogan.core import Callback, Engine, Game, Player

    return issubclass(found, Callback | Engine | Game | Player | BaseException)


def _is_subclass(found: Any, kind: type) -> bool:
    return isinstance(found, type) and issubclass(found, kind)


RULES = (
    (r"data\._target_", "a function open_... of audiogan.data, such as audiogan.data.open_sounds", _opens_data),
    (r"data\.columns\.[^.]+(\..+)?\._target_", f"a column of {' or '.join(COLUMN_MODULES)}",
     _classes_of(*COLUMN_MODULES)),
    (r"(game\.)?inputs\.[^.]+\._target_", "an input of audiogan.inputs", _subclasses_of("audiogan.inputs", "Input")),
    (r"streams\.[^.]+\._target_", "a view of audiogan.data.views", _classes_of("audiogan.data.views")),
    (r"(facts\.)?((game\.)?inputs\.[^.]+\.)?modality\._target_",
     "a modality, such as audiogan.modalities.Sound", _is_modality),
    (r"facts\.format\._target_", "audiogan.representations.SoundFormat", _is_sound_format),
    (r"engine\._target_", "audiogan.core.Engine", _is_engine),
    (r"players\.[^.]+\._target_", "audiogan.core.Player", _subclasses_of("audiogan.core", "Player")),
    (r"players\.[^.]+\.optimizer\._target_", "an optimizer of torch.optim", _is_optimizer),
    (r"callbacks\.[^.]+\._target_", "a callback other than Checkpoints (set the section checkpoints)", _is_callback),
    (r"((game\.)?inputs\.[^.]+\.)?representation\._target_", "a representation of audiogan.representations",
     _subclasses_of("audiogan.representations", "Representation")),
    (r"(game\.)?inputs\.[^.]+\.(?!representation\.).*\._target_", "no class", _allow_nothing),
    (r"game\._target_", "a game of audiogan.games", _subclasses_of("audiogan.core", "Game", "audiogan.games")),
    (r"game\.(?!inputs\.).*\._target_",
     "a network, loss, augmentation, representation or Route of audiogan, or a layer of torch.nn", _is_game_component),
    (r"(?!data\.|streams\.|facts\.|engine\.|players\.|callbacks\.|trainer\.|checkpoints\.|hydra\.).*\._target_",
     "a network, loss, augmentation or representation of audiogan, or a layer of torch.nn", _is_component),
)  # fmt: skip
"""Rules: pattern of a key, description of the classes allowed there, and test for a class. The first match applies."""


def _import_object(parts: list[str]) -> Any:
    """Return the object at a dotted path, and import its module if necessary. ``None`` if it does not exist."""
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
