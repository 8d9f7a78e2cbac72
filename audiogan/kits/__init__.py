"""Drum kits from generated sounds: make them, save them for samplers, and play MIDI patterns on them."""

from __future__ import annotations

from audiogan.kits.kit import Kit, Pad
from audiogan.kits.making import make_kit
from audiogan.kits.note_map import read_note_map
from audiogan.kits.playing import play_pattern
from audiogan.kits.rendering import render_pads
from audiogan.kits.saving import FORMATS, save_kit

__all__ = ["FORMATS", "Kit", "Pad", "make_kit", "play_pattern", "read_note_map", "render_pads", "save_kit"]
