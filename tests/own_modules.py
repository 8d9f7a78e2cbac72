"""Modules of users for tests of ``--trust``."""

from __future__ import annotations

import itertools
from pathlib import Path

_NUMBERS = itertools.count()


def write_module(folder: Path, text: str) -> str:
    """Write a module with a new name, and return its name."""
    name = f"own_module_{next(_NUMBERS)}"
    (folder / f"{name}.py").write_text(text)
    return name
