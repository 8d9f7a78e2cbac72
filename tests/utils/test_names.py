"""Tests of names in the spellings that users type."""

from __future__ import annotations

import pytest

from audiogan.utils.names import describe_unknown_name, match_name

NAMES = ["hat_closed", "hat_open", "kick", "Ö-Ton", "café", ""]


@pytest.mark.parametrize(
    ("text", "name"),
    {
        "kick": "kick", " KICK ": "kick", "open hat": "hat_open", "Hat-Open": "hat_open", "hatopen": "hat_open",
        "ö ton": "Ö-Ton", "cafe\u0301": "café", "": "", "-": None, "hat": None, "kicks": None,
    }.items(),
)  # fmt: skip
def test_what_a_text_means(text: str, name: str | None) -> None:
    assert match_name(text, NAMES) == name


def test_messages_are_short_and_printable() -> None:
    message = describe_unknown_name("open hi hat", NAMES)
    assert message.startswith("'open hi hat'; did you mean 'hat_open'? It has hat_closed")
    long = describe_unknown_name("x" * 10_000, [f"name {i}\x1b[2J\n" for i in range(1000)])
    assert len(long) < 700 and "\n" not in long and "\x1b" not in long and long.endswith("and 970 more")
    assert describe_unknown_name("x", []) == "'x'; it has none"
