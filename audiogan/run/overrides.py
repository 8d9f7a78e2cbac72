"""Overrides as a person types them, translated to hydra's grammar.

Hydra's grammar gives a meaning to quotes, brackets, commas, ``=`` and ``~``, and knows no letters outside ASCII. Names
of files contain all of these. The value of a setting that holds a path or a name is therefore quoted for hydra,
unless the person wrote it in hydra's grammar.
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
"""Settings that hold a path."""
TEXTS = (*PATHS, "name")
"""Settings that hold text, also where it looks like a number."""

_ASSIGNMENT = re.compile(r"(\+{0,2})([^=]*)=(.*)", re.DOTALL)
_CHOICE = re.compile(r"""\s*('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|(?:\\.|[^,\\])*)\s*(?:,|$)""", re.DOTALL)


def to_hydra_overrides(overrides: Sequence[str], *, multirun: bool = False) -> list[str]:
    """Return overrides that hydra reads as they were meant, one for each of ``overrides``.

    What hydra's grammar already reads as a text stays as it is: quoted values, escapes, ``null``, ``${...}``, and with
    ``multirun`` lists of values such as ``data.root=a,b``. Any other value of a setting in `TEXTS` is quoted. The
    result of this function is not changed by another call.

    Raises:
        UserError: an override that cannot be read, or two that contradict each other.
    """
    translated = [_translated(override, multirun) for override in overrides]
    _check_rates(overrides)
    return translated


def parse_override(override: str) -> Override:
    """Return an override as hydra's parser reads it.

    Raises:
        UserError: hydra cannot read it.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    try:
        return OverridesParser.create().parse_override(override)
    except HydraException as error:
        reason = printable(str(error).splitlines()[0]) if str(error) else type(error).__name__
        raise UserError(
            f"{printable(override)}: cannot be read as KEY=VALUE ({reason}); a list is written [1,2], "
            f"a text with special characters in quotes of its own: \"KEY='VALUE'\""
        ) from error


def split_choices(value: str) -> list[str]:
    """Split a comma-separated list at the commas that are neither quoted nor escaped."""
    found: list[str] = []
    at = 0
    while at <= len(value):
        match = _CHOICE.match(value, at)
        if match is None:  # a backslash at the end
            return [*found, value[at:].strip()]
        found.append(match[1].strip())
        at = match.end()
        if not match[0].endswith(","):
            break
    return found


def quote(text: str) -> str:
    """Return ``text`` as a quoted value of hydra's grammar."""
    from hydra.core.override_parser.types import Quote, QuotedString

    quote = Quote.double if "'" in text and '"' not in text else Quote.single
    return QuotedString(text, quote).with_quotes()


def settings_from_run_name(config: str, overrides: Sequence[str]) -> list[str]:
    """Return the settings that the name of an existing run folder states and that ``overrides`` leave open.

    The name is one that audiogan chose: with ``run_dir=runs/points,loss=hinge`` the setting ``loss=hinge``.
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
    # A name that was shortened ends in a digest and states its settings only in part.
    whole = run_folder_name(name, settings) == called and not re.search(r"-[0-9a-f]{6}$", called)
    if name != find_config(config).stem or not whole or not all("=" in setting for setting in settings):
        return []
    return [setting for setting in settings if setting.partition("=")[0] not in typed]


def _translated(override: str, multirun: bool) -> str:
    match = _ASSIGNMENT.fullmatch(override)
    if match is None or match[2] not in TEXTS:
        parse_override(override)
        return override
    plus, key, value = match.groups()
    if key in PATHS and not value.strip():
        raise UserError(f"{key}= is empty; name a file or folder, or leave it out")
    if "\0" in value or any("\ud800" <= c <= "\udfff" for c in value):
        raise UserError(f"{key}={printable(value)}: this name is not valid UTF-8; rename the file or folder")
    return f"{plus}{key}={_value(key, value, multirun)}"


def _value(key: str, value: str, multirun: bool) -> str:
    """The value of a setting in `TEXTS`, in hydra's grammar."""
    try:
        parsed = parse_override(f"{key}={value}")
    except UserError:
        several = split_choices(value)
        # A run folder that audiogan named, such as runs/points,loss=hinge, is one name.
        if multirun and not _exists(value) and all(c and ("=" not in c or _exists(c)) for c in several):
            return ",".join(_value(key, choice, False) for choice in several) if len(several) > 1 else quote(value)
        return quote(value)
    if parsed.is_sweep_override():
        several = split_choices(value)
        each_exists = len(several) > 1 and all(map(_exists, several))
        if each_exists and not multirun and not _exists(value):
            raise UserError(f"{key}={printable(value)}: several values; with -m one training follows the other")
        if not multirun or (_exists(value) and not each_exists):
            return quote(value)
        if parsed.value_type is not None and parsed.value_type.name == "SIMPLE_CHOICE_SWEEP":
            return ",".join(_value(key, choice, False) for choice in several)
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
    """Refuse ``lr=NUMBER`` beside ``lr.NAME=NUMBER``: the outcome would depend on their order."""
    plain = [override.lstrip("+") for override in overrides]
    every = next((o for o in plain if re.match(r"lr=\s*[^{\s]", o)), None)
    one = next((o for o in plain if o.startswith("lr.")), None)
    if every and one:
        raise UserError(f"{every} sets the rates of all players and {one} that of one; write lr.NAME=RATE for each")
