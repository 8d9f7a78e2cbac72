"""The studio: one local web page to play a model on. ``audiogan studio`` serves it, `create_app` is its application."""

from __future__ import annotations

from typing import Any


def __getattr__(name: str) -> Any:  # FastAPI is imported where it is needed only
    if name == "create_app":
        from audiogan.studio.app import create_app

        return create_app
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
