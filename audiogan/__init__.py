"""audiogan: train generative adversarial networks and play them as instruments.

Examples:
    >>> import audiogan
    >>> generator = audiogan.load("drums")
    >>> waves = generator.sample(4, seed=1)
    >>> waves.shape
    (4, 1, 16384)
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from audiogan.errors import UserError
    from audiogan.model.generator import Generator
    from audiogan.model.loading import load
    from audiogan.model.recipe import Recipe

__version__ = "0.1.0"
__all__ = ["Generator", "Recipe", "UserError", "__version__", "load"]

_HOMES = {
    "Generator": "audiogan.model.generator",
    "Recipe": "audiogan.model.recipe",
    "UserError": "audiogan.errors",
    "load": "audiogan.model.loading",
}


_PACKAGES = ("games", "inputs", "kits", "latents", "losses", "metrics", "networks")


def __getattr__(name: str) -> Any:
    """Import a public name on first use, because importing PyTorch takes a second."""
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    if name in _PACKAGES:
        return importlib.import_module(f"audiogan.{name}")
    raise AttributeError(f"module 'audiogan' has no attribute {name!r}")
