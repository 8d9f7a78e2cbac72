"""Tolerant matching of names that users type, such as the class ``hat_closed``."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Sequence

from audiogan.utils.text import join_names, printable, shorten_text

MIN_SIMILARITY = 0.6
"""Smallest similarity of a suggested name, in 0 ... 1, see `difflib.SequenceMatcher.ratio`."""
MAX_LENGTH, MAX_NAMES = 60, 30
"""Maximum number of characters of a name, and maximum number of names, in a message."""


def match_name(text: str, names: Sequence[str]) -> str | None:
    """Return the existing name that matches a text, or None if no name matches or the text is ambiguous.

    An identical name has precedence. Otherwise, case, separators such as ``_`` and ``-``, and the order of words are
    ignored.

    Args:
        text: text from a user.
        names: existing names.

    Examples:
        >>> match_name("closed hat", ["hat_closed", "hat_open"])
        'hat_closed'
    """
    if text in names:
        return text
    for key in (_words, _letters):
        wanted = key(text)
        found = [name for name in dict.fromkeys(names) if key(name) == wanted] if wanted else []
        if found:
            return found[0] if len(found) == 1 else None
    return None


def describe_unknown_name(text: str, names: Sequence[str]) -> str:
    """Return the second half of an error message about an unknown name: the name, a suggestion and the existing names.

    Examples:
        >>> describe_unknown_name("kik", ["kick", "snare"])
        "'kik'; did you mean 'kick'? It has kick, snare"
    """
    simple = {" ".join(_words(name)): printable(name) for name in reversed(names)}
    near = difflib.get_close_matches(" ".join(_words(text[:MAX_LENGTH])), list(simple), 1, MIN_SIMILARITY)
    shown = f"'{shorten_text(printable(text), MAX_LENGTH)}'"
    listed = join_names([printable(name) for name in names], MAX_NAMES) or "none"
    return f"{shown}; did you mean '{simple[near[0]]}'? It has {listed}" if near else f"{shown}; it has {listed}"


def _words(text: str) -> tuple[str, ...]:
    """Return the words of a name in lower case, in alphabetical order."""
    plain = unicodedata.normalize("NFKC", text).casefold()
    return tuple(sorted(re.findall(r"[^\W_]+", plain)))


def _letters(text: str) -> str:
    """Return a name in lower case without separators, so that ``OpenHat`` means ``open hat``."""
    return "".join(re.findall(r"[^\W_]+", unicodedata.normalize("NFKC", text).casefold()))
