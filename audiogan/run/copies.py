"""Expand configuration entries with the key ``copies``, such as the critics of MD-GAN, each of which sees a part
of the data."""

from __future__ import annotations

import re
from typing import Any

from audiogan.errors import UserError
from audiogan.utils.text import printable

MAX_COPIES = 1000
"""Largest value of the key ``copies``."""
MAX_COPIED_VALUES = 20_000
"""Largest number of values in all copies of one entry."""


def expand_copies(node: Any, source: str = "") -> None:
    """Replace each entry that has the key ``copies`` by numbered copies, in place.

    ``critic_{i}: {copies: 2, ...}`` becomes ``critic_0`` and ``critic_1``. In the entry, ``{i}`` inside a string is
    replaced by the number of the copy. A string that is only ``{i}`` becomes an integer. If the configuration already
    has ``critic_1``, its settings override those of the copy; ``critic_1: null`` removes the copy.

    Args:
        node: OmegaConf container that is not in struct mode.
        source: text before the key in error messages. It names the file of the configuration.

    Raises:
        UserError: ``copies`` is not a whole number from 1 to 1,000, or the copies have too many values.
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
        if copies * _count_values(template) > MAX_COPIED_VALUES:
            raise UserError(
                f"{source}{printable(key)}.copies={copies} make over {MAX_COPIED_VALUES:,} values; use fewer copies"
            )
        del template["copies"], node[key]
        for i in range(copies):
            name, copy = str(key).replace("{i}", str(i)), OmegaConf.create(_fill_in_number(template, i))
            if name in node:
                given = node.pop(name)
                copy = None if given is None else OmegaConf.merge(copy, given)
            node[name] = copy


def is_copy_key(config: Any, key: str) -> bool:
    """Return whether a dotted key belongs to a copy that `expand_copies` will make of ``config``."""
    for name in key.split("."):
        if not isinstance(config, dict):
            return False
        if name not in config:
            patterns = (re.escape(str(k)).replace(r"\{i\}", r"\d+") for k in config if "{i}" in str(k))
            return any(re.fullmatch(pattern, name) for pattern in patterns)
        config = config[name]
    return False


def _count_values(node: Any) -> int:
    """Return the number of values in a plain container. Each 100 characters of a text count as one value."""
    if isinstance(node, dict | list):
        return 1 + sum(map(_count_values, [*node, *node.values()] if isinstance(node, dict) else node))
    return 1 + len(str(node)) // 100


def _fill_in_number(template: Any, i: int) -> Any:
    if isinstance(template, dict):
        return {
            _fill_in_number(key, i) if isinstance(key, str) else key: _fill_in_number(value, i)
            for key, value in template.items()
        }
    if isinstance(template, list):
        return [_fill_in_number(value, i) for value in template]
    if isinstance(template, str) and "{i}" in template:
        return i if template == "{i}" else template.replace("{i}", str(i))
    return template
