"""Kits: sounds that belong together, on the pads of the tools musicians have.

>>> from audiogan.kits import make_kit, save_kit
>>> g = audiogan.load("drums")
>>> files = save_kit(g, make_kit(g, 2, seed=7, layers=2), "kit", "sfz")
"""

from __future__ import annotations

from audiogan.kits.kit import Kit, Pad
from audiogan.kits.making import make_kit
from audiogan.kits.playing import play_pattern
from audiogan.kits.rendering import render_pads
from audiogan.kits.saving import FORMATS, save_kit

__all__ = ["FORMATS", "Kit", "Pad", "make_kit", "play_pattern", "render_pads", "save_kit"]
