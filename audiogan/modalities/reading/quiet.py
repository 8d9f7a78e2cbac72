"""Keep the MP3 decoder from writing to the terminal.

libsndfile decodes MP3 with libmpg123, which prints warnings to standard error without the name of the file. Neither
library has a switch for it, so the file descriptor is redirected during a call. All other output that arrives in
the meantime is passed on.
"""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
import threading
from collections.abc import Iterator
from typing import IO

_NOISE = re.compile(rb"^(?:(?:Warning|Note|Error): |\[[^\]\n]*libmpg123)[^\n]*\n?", re.MULTILINE)
_STDERR = 2


class _Redirect:
    """Standard error, redirected to a temporary file as long as at least one thread asks for it."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.depth, self.saved, self.passed = 0, -1, 0
        self.file: IO[bytes] | None = None

    def enter(self) -> None:
        with self.lock:
            if self.depth == 0:
                try:
                    self.saved = os.dup(_STDERR)
                except OSError:  # standard error is closed
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
        """Write what has arrived to the real standard error; only complete lines unless ``whole``."""
        assert self.file is not None
        text = os.pread(self.file.fileno(), os.fstat(self.file.fileno()).st_size - self.passed, self.passed)
        text = text if whole else text[: text.rfind(b"\n") + 1]
        self.passed += len(text)
        others = _NOISE.sub(b"", text)
        if others.strip(b"\n"):
            with contextlib.suppress(OSError):  # the reader of standard error is gone
                os.write(self.saved, others)


_redirect = _Redirect()


@contextlib.contextmanager
def quiet(needed: bool = True) -> Iterator[None]:
    """Drop the messages of libmpg123 while the block runs. Safe in several threads."""
    if not needed or os.name != "posix":
        yield
        return
    _redirect.enter()
    try:
        yield
    finally:
        _redirect.leave()
