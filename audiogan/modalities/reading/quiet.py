"""Suppression of messages that the MP3 decoder prints.

libsndfile decodes MP3 files with libmpg123, which prints warnings to standard error. Neither library has an option to
turn them off. Therefore the file descriptor of standard error is redirected while a file is decoded, and all other
output is passed on.
"""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
import threading
from collections.abc import Iterator
from typing import IO

_MESSAGES = re.compile(rb"^(?:(?:Warning|Note|Error): |\[[^\]\n]*libmpg123)[^\n]*\n?", re.MULTILINE)
_STDERR = 2


class _Redirect:
    """Redirection of standard error to a temporary file, shared by all threads that decode MP3 files."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.depth, self.saved, self.passed = 0, -1, 0
        self.file: IO[bytes] | None = None

    def enter(self) -> None:
        with self.lock:
            if self.depth == 0:
                try:
                    self.saved = os.dup(_STDERR)
                except OSError:  # Standard error is closed.
                    self.saved = -1
                else:
                    self.file, self.passed = tempfile.TemporaryFile(buffering=0), 0  # noqa: SIM115
                    os.dup2(self.file.fileno(), _STDERR)
            self.depth += 1

    def leave(self) -> None:
        with self.lock:
            self.depth -= 1
            if self.file is None:
                return
            if self.depth == 0:
                os.dup2(self.saved, _STDERR)
            self._pass_on(whole=self.depth == 0)
            if self.depth == 0:
                self.file.close()
                os.close(self.saved)
                self.file = None

    def _pass_on(self, whole: bool) -> None:
        """Copy captured output to standard error, without the messages of libmpg123.

        Args:
            whole: whether to copy an incomplete last line, too.
        """
        assert self.file is not None
        text = os.pread(self.file.fileno(), os.fstat(self.file.fileno()).st_size - self.passed, self.passed)
        text = text if whole else text[: text.rfind(b"\n") + 1]
        self.passed += len(text)
        others = _MESSAGES.sub(b"", text)
        if others.strip(b"\n"):
            with contextlib.suppress(OSError):  # Writing fails if the reader of standard error is closed.
                os.write(self.saved, others)


_redirect = _Redirect()


@contextlib.contextmanager
def suppress_mpg123_messages(enabled: bool = True) -> Iterator[None]:
    """Return a context manager that discards messages of libmpg123 on standard error.

    It is thread-safe. On systems other than POSIX it has no effect.

    Args:
        enabled: if False, do nothing.
    """
    if not enabled or os.name != "posix":
        yield
        return
    _redirect.enter()
    try:
        yield
    finally:
        _redirect.leave()
