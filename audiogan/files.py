"""Small files that may come from strangers."""

from __future__ import annotations

import os

from audiogan.errors import UserError


def read_small(path: str | os.PathLike[str], largest: int, what: str) -> bytes:
    """A file of at most ``largest`` bytes. UserError for a larger one, as no ``what`` is, or one that is not there."""
    try:
        with open(path, "rb") as stream:
            content = stream.read(largest + 1)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from error
    if len(content) > largest:
        raise UserError(f"{path}: larger than {largest >> 20} MB; a {what} is not")
    return content
