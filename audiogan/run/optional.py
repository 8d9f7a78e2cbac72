"""Output that a training can do without: messages beside the progress bar, logs, previews and reports."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import TextIO

from audiogan.errors import UserError

_reported: set[str] = set()


def notify(text: str, stream: TextIO | None = None) -> None:
    """Print a line beside a progress bar, on standard error by default. A closed terminal is ignored."""
    from tqdm import tqdm

    with contextlib.suppress(OSError, ValueError, RuntimeError):
        tqdm.write(text, file=stream or sys.stderr)


@contextlib.contextmanager
def ignore_write_errors(path: str | os.PathLike[str]) -> Iterator[None]:
    """Write a file that a training can do without.

    An `OSError` in the block, or a `UserError` that reports one, ends the block only. It is reported once for each
    `path`.
    """
    try:
        yield
    except (OSError, UserError) as error:
        cause = error if isinstance(error, OSError) else error.__cause__
        if not isinstance(cause, OSError):
            raise
        if str(path) not in _reported:
            _reported.add(str(path))
            notify(f"{path}: cannot be written ({cause.strerror or cause}); the training continues without it")
