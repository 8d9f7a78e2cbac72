"""Overrides that a finding offers: only those that the run's configuration accepts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

from audiogan.monitors.finding import Finding
from audiogan.monitors.history import History


def offered(settings: Mapping[str, Any], choices: Iterable[str]) -> str:
    """Return the first override that can be pasted behind the command of a run, or an empty string.

    Args:
        settings: the run's flattened configuration, see `audiogan.monitors.callback.read_settings`. Without its
            ``name`` (players that a program built) nothing can be composed, and the first choice is returned; a log
            that knows no learning rates either is not of this package, and nothing is offered.
        choices: overrides such as ``lr.critic=0.0001`` or ``loss=hinge lr.critic=0.0001``, the best first; empty ones
            are skipped.
    """
    found = [choice for choice in choices if choice]
    if "name" not in settings:
        return found[0] if found and any(key.startswith("lr.") for key in settings) else ""
    return next((choice for choice in found if _composes(settings, choice)), "")


def pasteable(finding: Finding, settings: Mapping[str, Any]) -> Finding:
    """Return the finding without its override where that cannot be pasted, see `offered`."""
    return replace(finding, override=offered(settings, [finding.override]))


def slower(history: History, factor: float, *roles: str) -> str:
    """Return an override that multiplies learning rates; empty if they are not known.

    Args:
        history: the run.
        factor: what rates are multiplied by.
        roles: of the players; by default generators and critics.
    """
    names = [name for role in roles or ("generator", "critic") for name in history.configured(role)]
    keys = dict.fromkeys(history.rate(name) for name in names)
    return " ".join(history.scaled(key, factor) for key in keys if key)


def _composes(settings: Mapping[str, Any], choice: str) -> bool:
    """Return whether the configuration has the groups and keys of an override.

    A run folder holds the configuration with all values filled in. Groups are no longer in it, and neither are
    entries from which copies were made, so the shipped configuration of that name is composed, too.
    """
    from audiogan.run.packaged import CONFIG_FOLDER, shipped_configs

    parts = choice.split()
    groups = [part for part in parts if (CONFIG_FOLDER / part.partition("=")[0]).is_dir()]
    keys = [part.partition("=")[0] for part in parts if part not in groups]
    name = str(settings["name"])
    if name in shipped_configs():
        if not _takes(name, tuple(parts)):
            return False
    elif groups:  # what can be chosen in a user's own file is not known
        return False
    return all(_has(settings, key) or (groups and not _closed(settings, key)) for key in keys)


def _has(settings: Mapping[str, Any], key: str) -> bool:
    return key in settings or any(name.startswith(f"{key}.") for name in settings)


def _closed(settings: Mapping[str, Any], key: str) -> bool:
    """Return whether the run has a value, such as ``null``, where an override wants a section."""
    parts = key.split(".")
    return any(".".join(parts[:i]) in settings for i in range(1, len(parts)))


@lru_cache(maxsize=256)
def _takes(name: str, overrides: tuple[str, ...]) -> bool:
    """Return whether a shipped configuration accepts overrides."""
    from audiogan.errors import UserError
    from audiogan.run.config import compose

    try:
        compose(name, overrides)
    except UserError:
        return False
    return True
