"""Readers of training logs written by audiogan and by other programs."""

from __future__ import annotations

from audiogan.monitors.logs.reading import Log, find_log, read_log

__all__ = ["Log", "find_log", "read_log"]
