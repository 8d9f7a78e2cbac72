"""Overrides that findings suggest. Only overrides that the configuration of the run accepts are suggested."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

from audiogan.monitors.finding import Finding
from audiogan.monitors.history import History


def first_valid_override(settings: Mapping[str, Any], candidates: Iterable[str]) -> str:
    """Return the first override that the configuration of a run accepts, or an empty string.

    Args:
        settings: flattened configuration of the run, see `audiogan.monitors.callback.read_settings`. Without the key
            ``name``, overrides cannot be tested. The result is then the first candidate if the settings contain
            learning rates, else an empty string.
        candidates: overrides such as ``lr.critic=0.0001`` or ``loss=hinge lr.critic=0.0001``, the best first. Empty
            strings are ignored.
    """
    found = [override for override in candidates if override]
    if "name" not in settings:
        return found[0] if found and any(key.startswith("lr.") for key in settings) else ""
    return next((override for override in found if _accepts(settings, override)), "")


def clear_invalid_override(finding: Finding, settings: Mapping[str, Any]) -> Finding:
    """Return a copy of a finding, without its override if the configuration of the run does not accept the override."""
    return replace(finding, override=first_valid_override(settings, [finding.override]))


def scale_learning_rates(history: History, factor: float, *roles: str) -> str:
    """Return an override that multiplies learning rates, or an empty string if no learning rate is known.

    Args:
        history: the logged metrics and settings of the run.
        factor: factor by which learning rates are multiplied.
        roles: roles of the players to change. Default: generators and critics.
    """
    names = [name for role in roles or ("generator", "critic") for name in history.configured_players(role)]
    keys = dict.fromkeys(history.learning_rate_key(name) for name in names)
    return " ".join(history.scaled_setting_override(key, factor) for key in keys if key)


def _accepts(settings: Mapping[str, Any], override: str) -> bool:
    """Return whether the configuration of a run accepts an override.

    The ``config.yaml`` of a run folder contains neither the configuration groups nor the sections from which other
    sections were copied. The shipped configuration of the same name is therefore composed as well.
    """
    from audiogan.run.packaged import CONFIG_FOLDER, shipped_configs

    parts = override.split()
    groups = [part for part in parts if (CONFIG_FOLDER / part.partition("=")[0]).is_dir()]
    keys = [part.partition("=")[0] for part in parts if part not in groups]
    name = str(settings["name"])
    if name in shipped_configs():
        if not _shipped_config_accepts(name, tuple(parts)):
            return False
    elif groups:  # The groups in a user's own configuration file are unknown, so overrides of groups are not suggested.
        return False
    return all(_has_key(settings, key) or (groups and not _has_value_above(settings, key)) for key in keys)


def _has_key(settings: Mapping[str, Any], key: str) -> bool:
    return key in settings or any(name.startswith(f"{key}.") for name in settings)


def _has_value_above(settings: Mapping[str, Any], key: str) -> bool:
    """Return whether the run has a value, such as ``null``, at a key where the override expects a section."""
    parts = key.split(".")
    return any(".".join(parts[:i]) in settings for i in range(1, len(parts)))


@lru_cache(maxsize=256)
def _shipped_config_accepts(name: str, overrides: tuple[str, ...]) -> bool:
    """Return whether the shipped configuration ``name`` accepts the overrides."""
    from audiogan.errors import UserError
    from audiogan.run.config import compose

    try:
        compose(name, overrides)
    except UserError:
        return False
    return True
