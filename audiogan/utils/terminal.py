"""Wrappers of standard output and standard error that survive closed pipes and escape terminal control sequences."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import sys
from collections.abc import Iterator
from typing import Any

from audiogan.utils.text import printable

CONTROL_CHARACTERS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""Regular expression for control characters (except tab and line feed) and characters that set the text direction."""


class Output:
    """A text stream that wraps another stream and never raises while writing.

    * A character missing from the encoding is written as an escape sequence.
    * Control characters are written as escape sequences if `plain` is true. A leading carriage return is kept, because
      progress bars use it.
    * If the reader has closed the pipe or the disk is full, later output is dropped and the command continues.

    Args:
        stream: the wrapped stream. None drops all output.

    Attributes:
        plain: whether control characters are written as escape sequences. True by default.
        error: first error of the wrapped stream, except a closed pipe. None if there was no error.
    """

    def __init__(self, stream: Any) -> None:
        self.stream, self.plain = stream, True
        self.error: OSError | None = None
        self._closed = stream is None

    def write(self, text: str) -> int:
        if not self._closed:
            self._try(self._write, text)
        return len(text)

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        if not self._closed:
            self._try(self.stream.flush)

    def isatty(self) -> bool:
        return not self._closed and self.stream.isatty()

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
            text = start + CONTROL_CHARACTERS.sub(lambda match: printable(match[0]), text[len(start) :])
        try:
            self.stream.write(text)
        except UnicodeEncodeError:
            self.stream.write(text.encode(self.encoding, "backslashreplace").decode(self.encoding))

    def _try(self, action: Any, *arguments: Any) -> None:
        try:
            action(*arguments)
        except (OSError, ValueError) as error:  # a closed stream raises ValueError
            self._closed = True
            if isinstance(error, OSError) and not isinstance(error, BrokenPipeError):
                self.error = error
            with contextlib.suppress(OSError, ValueError, AttributeError):  # Python flushes again at exit
                null = os.open(os.devnull, os.O_WRONLY)
                os.dup2(null, self.stream.fileno())
                os.close(null)


def is_terminal(stream: Any) -> bool:
    """Return whether a stream is an open terminal."""
    try:
        return stream.isatty()
    except (AttributeError, ValueError):  # the stream is None or closed
        return False


@contextlib.contextmanager
def safe_output() -> Iterator[tuple[Output, Output]]:
    """Replace ``sys.stdout`` and ``sys.stderr`` by `Output` streams inside the block."""
    before = sys.stdout, sys.stderr
    outputs = Output(sys.stdout), Output(sys.stderr)
    sys.stdout, sys.stderr = outputs
    try:
        yield outputs
    finally:
        for output in outputs:
            output.flush()
        sys.stdout, sys.stderr = before
