"""Logs of trainings as audiogan and others write them, read as rows of figures."""

from __future__ import annotations

from audiogan.monitors.logs.reading import Log, find_log, read_log

__all__ = ["Log", "find_log", "read_log"]
