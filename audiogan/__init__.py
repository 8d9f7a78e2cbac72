"""audiogan: train generative adversarial networks and play them as instruments.

>>> import audiogan
>>> g = audiogan.load("drums")               # doctest: +SKIP
>>> waves = g.sample(4, seed=1)              # doctest: +SKIP
>>> g.save_wav("kick.wav", waves[0])         # doctest: +SKIP
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


def __getattr__(name: str) -> Any:
    """Import what is asked for only then: torch takes a second."""
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'audiogan' has no attribute {name!r}")
