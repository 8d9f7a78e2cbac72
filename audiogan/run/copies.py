"""Copies: one entry of a configuration that stands for several, such as the critics and shards of MD-GAN."""

from __future__ import annotations

import re
from typing import Any

from audiogan.errors import UserError
from audiogan.utils.text import printable

MAX_COPIES = 1000
"""Largest number of entries that one key with ``copies`` makes."""
MAX_COPIED_VALUES = 20_000
"""Largest number of values in these entries."""


def expand_copies(node: Any, source: str = "") -> None:
    """Replace each entry that has the key ``copies`` by its copies, in place.

    ``critic_{i}: {copies: 2, ...}`` becomes ``critic_0`` and ``critic_1``. ``{i}`` is replaced in strings of the entry
    too; the value ``{i}`` alone becomes a number. An entry ``critic_1`` that the configuration has already is merged
    over the copy; ``critic_1: null`` removes it.

    Args:
        node: a configuration that is not in struct mode.
        source: text before the key in messages.

    Raises:
        UserError: the number of copies is not a whole number in range, or the copies are too large.
    """
    from omegaconf import OmegaConf

    if OmegaConf.is_list(node):
        for value in node:
            expand_copies(value, source)
    if not OmegaConf.is_dict(node):
        return
    for key in list(node):
        if OmegaConf.is_missing(node, key) or OmegaConf.is_interpolation(node, key):
            continue
        value = node[key]
        if not (OmegaConf.is_dict(value) and "copies" in value and "{i}" in str(key)):
            expand_copies(value, source)
            continue
        copies = value.copies
        if not isinstance(copies, int) or isinstance(copies, bool) or not 1 <= copies <= MAX_COPIES:
            raise UserError(
                f"{source}{printable(key)}.copies={copies!r} must be a whole number from 1 to {MAX_COPIES:,}"
            )
        template = OmegaConf.to_container(value, resolve=False)
        assert isinstance(template, dict)
        if copies * _weight(template) > MAX_COPIED_VALUES:
            raise UserError(f"{source}{printable(key)}.copies={copies} of a section of this size are too many")
        del template["copies"], node[key]
        for i in range(copies):
            name, made = str(key).replace("{i}", str(i)), OmegaConf.create(_filled(template, i))
            if name in node:
                given = node.pop(name)
                made = None if given is None else OmegaConf.merge(made, given)
            node[name] = made


def is_copy_key(plain: Any, key: str) -> bool:
    """Return whether a dotted key lies in a copy, given a plain configuration before its copies are made."""
    for name in key.split("."):
        if not isinstance(plain, dict):
            return False
        if name not in plain:
            patterns = (re.escape(str(k)).replace(r"\{i\}", r"\d+") for k in plain if "{i}" in str(k))
            return any(re.fullmatch(pattern, name) for pattern in patterns)
        plain = plain[name]
    return False


def _weight(node: Any) -> int:
    """Return the number of values in a plain container; a long text counts as several."""
    if isinstance(node, dict | list):
        return 1 + sum(map(_weight, [*node, *node.values()] if isinstance(node, dict) else node))
    return 1 + len(str(node)) // 100


def _filled(template: Any, i: int) -> Any:
    if isinstance(template, dict):
        return {_filled(key, i) if isinstance(key, str) else key: _filled(value, i) for key, value in template.items()}
    if isinstance(template, list):
        return [_filled(value, i) for value in template]
    if isinstance(template, str) and "{i}" in template:
        return i if template == "{i}" else template.replace("{i}", str(i))
    return template
