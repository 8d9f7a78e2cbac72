"""What the command line turns into one clear line and exit code 2."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator


class UserError(ValueError):
    """Bad input from the user: names the file, key or value at fault and what to do about it."""


@contextlib.contextmanager
def reporting(what: str) -> Iterator[None]:
    """Turn an `OSError` of the block into a `UserError`: ``what`` with the reason of the system in brackets."""
    try:
        yield
    except OSError as error:
        raise UserError(f"{what} ({error.strerror or error})") from error
