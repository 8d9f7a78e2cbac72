"""Standard output and standard error that never stop a command and never pass on terminal control sequences."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import sys
from collections.abc import Iterator
from typing import Any

from audiogan.utils.text import printable

CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""Control and direction characters, except for tab and line feed."""


class Output:
    """A text stream around another one.

    * A letter that the encoding lacks is written as an escape.
    * Control characters are written as escapes. A carriage return at the beginning stays: progress bars use it.
    * When the reader has gone, or the disk is full, the rest of the output is dropped and the command goes on.

    Args:
        stream: the stream to write to; None drops everything.

    Attributes:
        plain: whether control characters are escaped.
        error: the first error of the stream other than a reader that has gone; None as long as all is well.
    """

    def __init__(self, stream: Any) -> None:
        self.stream, self.plain = stream, True
        self.error: OSError | None = None
        self._gone = stream is None

    def write(self, text: str) -> int:
        if not self._gone:
            self._try(self._write, text)
        return len(text)

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        if not self._gone:
            self._try(self.stream.flush)

    def isatty(self) -> bool:
        return not self._gone and self.stream.isatty()

    def fileno(self) -> int:
        if self.stream is None:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        return self.stream.fileno()

    @property
    def encoding(self) -> str:
        return getattr(self.stream, "encoding", None) or "utf-8"

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    def _write(self, text: str) -> None:
        if self.plain:
            start = "\r" if text.startswith("\r") else ""
            text = start + CONTROL.sub(lambda match: printable(match[0]), text[len(start) :])
        try:
            self.stream.write(text)
        except UnicodeEncodeError:
            self.stream.write(text.encode(self.encoding, "backslashreplace").decode(self.encoding))

    def _try(self, action: Any, *arguments: Any) -> None:
        try:
            action(*arguments)
        except (OSError, ValueError) as error:  # ValueError: the stream is closed
            self._gone = True
            if isinstance(error, OSError) and not isinstance(error, BrokenPipeError):
                self.error = error
            with contextlib.suppress(OSError, ValueError, AttributeError):  # Python flushes once more when it exits
                null = os.open(os.devnull, os.O_WRONLY)
                os.dup2(null, self.stream.fileno())
                os.close(null)


def is_terminal(stream: Any) -> bool:
    """Return whether a stream is an open terminal."""
    try:
        return stream.isatty()
    except (AttributeError, ValueError):  # there is none, or it is closed
        return False


@contextlib.contextmanager
def safe_output() -> Iterator[tuple[Output, Output]]:
    """Replace ``sys.stdout`` and ``sys.stderr`` by `Output` inside the block."""
    before = sys.stdout, sys.stderr
    outputs = Output(sys.stdout), Output(sys.stderr)
    sys.stdout, sys.stderr = outputs
    try:
        yield outputs
    finally:
        for output in outputs:
            output.flush()
        sys.stdout, sys.stderr = before
