"""The studio, a local web page for playing a sound model and watching runs. ``audiogan studio`` serves it."""

from __future__ import annotations

from typing import Any


def __getattr__(name: str) -> Any:  # Lazy import, because FastAPI is optional.
    if name == "create_app":
        from audiogan.studio.app import create_app

        return create_app
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
