"""Values on the command line that several commands take."""

from __future__ import annotations

from audiogan.errors import UserError


def mixture(text: str | None) -> str | dict[str, float] | None:
    """``kick`` or ``kick:0.7,tom:0.3``."""
    if text is None or ":" not in text:
        return text
    return dict(pair(part, ":", "--class") for part in text.split(","))


def pair(text: str, separator: str, flag: str) -> tuple[str, float]:
    name, found, value = text.rpartition(separator)
    try:
        if not found:
            raise ValueError
        return name.strip(), float(value)
    except ValueError:
        raise UserError(f"{flag} {text!r}: write NAME{separator}NUMBER") from None
