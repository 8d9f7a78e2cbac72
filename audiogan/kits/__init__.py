"""Kits: sounds that belong together, on the pads of the tools musicians have.

>>> import audiogan                                              # doctest: +SKIP
>>> from audiogan.kits import make_kit, save_kit
>>> g = audiogan.load("drums")                                   # doctest: +SKIP
>>> save_kit(g, make_kit(g, 16, seed=7, layers=3), "out", "sfz")  # doctest: +SKIP
"""

from __future__ import annotations

from audiogan.kits.kit import Kit, Pad
from audiogan.kits.making import make_kit
from audiogan.kits.playing import play_pattern
from audiogan.kits.rendering import render_pads
from audiogan.kits.saving import FORMATS, save_kit

__all__ = ["FORMATS", "Kit", "Pad", "make_kit", "play_pattern", "render_pads", "save_kit"]
