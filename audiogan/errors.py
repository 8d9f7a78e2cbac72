"""Exceptions for errors that the user can correct."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator


class UserError(ValueError):
    """Invalid input from the user. The command line prints the message as one line and exits with code 2.

    The message names the file, key or value, says what is wrong with it, and says what to do.

    Examples:
        >>> from audiogan.errors import UserError
        >>> isinstance(UserError("--seed 'x': write a whole number"), ValueError)
        True
    """


@contextlib.contextmanager
def wrap_os_errors(message: str) -> Iterator[None]:
    """Convert an `OSError` raised inside the block into a `UserError`.

    Args:
        message: text of the new error. The reason given by the operating system follows in brackets.

    Raises:
        UserError: the block raised an `OSError`.

    Examples:
        >>> from audiogan.errors import UserError, wrap_os_errors
        >>> try:
        ...     with wrap_os_errors("cannot read the recipe"):
        ...         open("no-such-file.json")
        ... except UserError as error:
        ...     print(error)
        cannot read the recipe (No such file or directory)
    """
    try:
        yield
    except OSError as error:
        raise UserError(f"{message} ({error.strerror or error})") from error
