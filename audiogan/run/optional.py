"""Write files and print messages that training does not depend on, such as logs, previews and reports."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import TextIO

from audiogan.errors import UserError

_reported: set[str] = set()


def notify(text: str, stream: TextIO | None = None) -> None:
    """Print a line without breaking a progress bar, by default to standard error. Errors of the stream are ignored."""
    from tqdm import tqdm

    with contextlib.suppress(OSError, ValueError, RuntimeError):
        tqdm.write(text, file=stream or sys.stderr)


@contextlib.contextmanager
def ignore_write_errors(path: str | os.PathLike[str]) -> Iterator[None]:
    """Suppress an `OSError` in a ``with`` block, so that training continues if an optional file cannot be written.

    A `UserError` caused by an `OSError` is suppressed too. One warning is printed per ``path``.
    """
    try:
        yield
    except (OSError, UserError) as error:
        cause = error if isinstance(error, OSError) else error.__cause__
        if not isinstance(cause, OSError):
            raise
        if str(path) not in _reported:
            _reported.add(str(path))
            notify(f"{path}: cannot be written ({cause.strerror or cause}); training continues without it")
