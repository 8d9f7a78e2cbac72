"""Translate overrides of the command line to Hydra's override syntax.

Hydra treats quotes, brackets, commas, ``=`` and ``~`` as syntax and accepts only ASCII letters, but file names may
contain any of these characters. Therefore, values of settings that hold a path or a name are quoted, unless they
already follow Hydra's syntax.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from audiogan.errors import UserError
from audiogan.utils.text import printable

if TYPE_CHECKING:
    from hydra.core.override_parser.types import Override

PATHS = ("data.root", "data.labels", "data.cache", "run_dir")
"""Keys of settings that contain a path."""
TEXTS = (*PATHS, "name")
"""Keys of settings that are always text, even if the value looks like a number."""

_ASSIGNMENT = re.compile(r"(\+{0,2})([^=]*)=(.*)", re.DOTALL)
_CHOICE = re.compile(r"""\s*('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|(?:\\.|[^,\\])*)\s*(?:,|$)""", re.DOTALL)


def to_hydra_overrides(overrides: Sequence[str], *, multirun: bool = False) -> list[str]:
    """Translate typed overrides to Hydra's syntax, one by one.

    Values of the settings in `TEXTS` are quoted, except quoted values, escapes, ``null`` and ``${...}``. Translating
    the result again does not change it.

    Args:
        overrides: overrides as typed on the command line.
        multirun: whether a list such as ``data.root=a,b`` stands for several values.

    Raises:
        UserError: an override is invalid, or two overrides contradict each other.
    """
    translated = [_translate(override, multirun) for override in overrides]
    _check_rates(overrides)
    return translated


def parse_override(override: str) -> Override:
    """Parse an override with Hydra's parser.

    Raises:
        UserError: the override is invalid.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    try:
        return OverridesParser.create().parse_override(override)
    except HydraException as error:
        reason = printable(str(error).splitlines()[0]) if str(error) else type(error).__name__
        raise UserError(
            f"{printable(override)}: invalid override ({reason}); write KEY=VALUE. Write a list as [1,2], "
            f"and quote text with special characters: \"KEY='VALUE'\""
        ) from error


def split_choices(value: str) -> list[str]:
    """Split a comma-separated list. Quoted and escaped commas do not separate values."""
    found: list[str] = []
    at = 0
    while at <= len(value):
        match = _CHOICE.match(value, at)
        if match is None:  # A backslash at the end of the list does not escape anything.
            return [*found, value[at:].strip()]
        found.append(match[1].strip())
        at = match.end()
        if not match[0].endswith(","):
            break
    return found


def quote(text: str) -> str:
    """Quote a text for Hydra's override syntax."""
    from hydra.core.override_parser.types import Quote, QuotedString

    quote = Quote.double if "'" in text and '"' not in text else Quote.single
    return QuotedString(text, quote).with_quotes()


def settings_from_run_name(config: str, overrides: Sequence[str]) -> list[str]:
    """Return the settings in the name of an existing run folder, except those that ``overrides`` set already.

    With ``run_dir=runs/points,loss=hinge``, the result is ``["loss=hinge"]``. It is empty if the name has no settings.

    Args:
        config: path of a YAML file, or name of a shipped configuration.
        overrides: overrides as typed on the command line.
    """
    from audiogan.run.folder import run_folder_name
    from audiogan.run.packaged import find_config

    typed = {o.lstrip("+~").partition("=")[0]: o for o in overrides}
    if "run_dir" not in typed:
        return []
    folder = parse_override(to_hydra_overrides([typed["run_dir"]])[0]).value()
    if not isinstance(folder, str) or not os.path.isdir(os.path.join(os.path.expanduser(folder), "checkpoints")):
        return []
    called = Path(folder).name
    name, *settings = called.split(",")
    # A shortened name ends in a digest and does not contain all settings.
    whole = run_folder_name(name, settings) == called and not re.search(r"-[0-9a-f]{6}$", called)
    if name != find_config(config).stem or not whole or not all("=" in setting for setting in settings):
        return []
    return [setting for setting in settings if setting.partition("=")[0] not in typed]


def _translate(override: str, multirun: bool) -> str:
    match = _ASSIGNMENT.fullmatch(override)
    if match is None or match[2] not in TEXTS:
        parse_override(override)
        return override
    plus, key, value = match.groups()
    if key in PATHS and not value.strip():
        raise UserError(f"{key}= is empty; give a file or folder, or remove the setting")
    if "\0" in value or any("\ud800" <= c <= "\udfff" for c in value):
        raise UserError(f"{key}={printable(value)}: this name is not valid UTF-8; rename the file or folder")
    return f"{plus}{key}={_quote_value(key, value, multirun)}"


def _quote_value(key: str, value: str, multirun: bool) -> str:
    """Return the value of a setting in `TEXTS` in Hydra's syntax."""
    try:
        parsed = parse_override(f"{key}={value}")
    except UserError:
        several = split_choices(value)
        # The name of a run folder, such as runs/points,loss=hinge, is one value in spite of its comma.
        if multirun and not _exists(value) and all(c and ("=" not in c or _exists(c)) for c in several):
            return (
                ",".join(_quote_value(key, choice, False) for choice in several) if len(several) > 1 else quote(value)
            )
        return quote(value)
    if parsed.is_sweep_override():
        several = split_choices(value)
        each_exists = len(several) > 1 and all(map(_exists, several))
        if each_exists and not multirun and not _exists(value):
            raise UserError(f"{key}={printable(value)}: several values; add -m to train with each value")
        if not multirun or (_exists(value) and not each_exists):
            return quote(value)
        if parsed.value_type is not None and parsed.value_type.name == "SIMPLE_CHOICE_SWEEP":
            return ",".join(_quote_value(key, choice, False) for choice in several)
        return value
    meant = parsed.value()
    if meant is None or value.lstrip()[:1] in ("'", '"') or "${" in value:
        return value
    if isinstance(meant, str) and (meant == value or not _exists(value)):
        return value
    return quote(value)


def _exists(path: str) -> bool:
    return os.path.lexists(os.path.expanduser(path))


def _check_rates(overrides: Sequence[str]) -> None:
    """Raise `UserError` if both ``lr=RATE`` and ``lr.NAME=RATE`` are given, because their order would matter."""
    plain = [override.lstrip("+") for override in overrides]
    every = next((o for o in plain if re.match(r"lr=\s*[^{\s]", o)), None)
    one = next((o for o in plain if o.startswith("lr.")), None)
    if every and one:
        raise UserError(f"{every} and {one} contradict each other; write lr.NAME=RATE for each player")
