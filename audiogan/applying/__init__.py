"""Translate signals and files of any size with a generator that has a signal as an input."""

from __future__ import annotations

from audiogan.applying.files import apply_files
from audiogan.applying.signals import apply_signal

__all__ = ["apply_files", "apply_signal"]
