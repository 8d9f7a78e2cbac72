"""`fetch`: download of one file with a size limit, a checksum and resuming."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from pooch import file_hash

from audiogan.utils.text import printable

TIMEOUT = 30.0
"""Timeout in seconds for connecting and for receiving each piece of a file."""
PIECE = 1 << 16
"""Number of bytes to read from the server at a time."""
Progress = Callable[[int, int], object] | None


class UnexpectedFile(ValueError):
    """Error for a response that is not the expected file. The message gives the reason in one line."""


def fetch(
    url: str, path: Path, max_bytes: int, sha256: str | None = None, *, resume: bool = False, progress: Progress = None
) -> None:
    """Download a file to ``path``, which is written only if the download is complete and correct.

    Incomplete data is stored in ``path`` with the suffix ``.part``.

    Args:
        url: URL of the file. Redirects are followed, except from https to http.
        path: path of the file, in an existing folder.
        max_bytes: maximum size in bytes. A larger download is aborted.
        sha256: expected SHA-256. Default: the content is not checked.
        resume: keep the data of an interrupted download, and resume it. Requires ``sha256``.
        progress: function called with the number of received bytes and the expected total (0 if unknown).

    Raises:
        requests.RequestException: the connection failed, or the server refused the request.
        UnexpectedFile: the file exceeds ``max_bytes``, has a wrong checksum, or is redirected to an unencrypted URL.
        OSError: the file cannot be written.
    """
    part = path.with_name(path.name + ".part")
    resume = resume and sha256 is not None
    if not resume or (part.exists() and part.stat().st_size > max_bytes):
        part.unlink(missing_ok=True)
    try:
        _receive(url, part, max_bytes, progress)
        if sha256 is not None and file_hash(part) != sha256:
            raise UnexpectedFile("the file has a wrong SHA-256 and was deleted")
        os.replace(part, path)
    except BaseException as error:
        if not resume or isinstance(error, UnexpectedFile):
            part.unlink(missing_ok=True)
        raise


def _receive(url: str, part: Path, max_bytes: int, progress: Progress) -> None:
    """Download the missing bytes of a file and append them to ``part``."""
    import requests
    from urllib3.exceptions import HTTPError

    start = part.stat().st_size if part.exists() else 0
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
    try:
        answer = requests.get(url, headers=headers, stream=True, timeout=TIMEOUT)
    except requests.RequestException:
        raise
    except (ValueError, HTTPError) as error:  # Some errors of urllib3 are not wrapped by requests.
        raise UnexpectedFile("the URL, or a URL to which it redirects, is not valid") from error
    with answer as response:
        if start and response.status_code == 416:  # No bytes remain: the partial file is complete.
            return
        if url.startswith("https:") and not response.url.startswith("https:"):
            raise UnexpectedFile("the server redirects to an unencrypted URL")
        response.raise_for_status()
        if not response.headers.get("content-range", "").startswith(f"bytes {start}-"):
            start = 0
        announced = response.headers.get("content-length", "")
        expected = start + int(announced) if announced.isdecimal() and len(announced) < 16 else 0
        too_large = UnexpectedFile(f"the file is larger than the expected {max_bytes:,} bytes and was deleted")
        if expected > max_bytes:
            raise too_large
        with open(part, "ab" if start else "wb") as stream:
            size = start
            while True:
                try:
                    piece = response.raw.read(PIECE, decode_content=False)
                except HTTPError as error:
                    raise requests.ConnectionError(str(error)) from error
                if not piece:
                    break
                size += len(piece)
                if size > max_bytes:
                    raise too_large
                stream.write(piece)
                if progress is not None:
                    progress(size, expected)
            if expected and size < expected:
                raise requests.ConnectionError(f"ended after {size:,} of {expected:,} bytes")
            stream.flush()
            os.fsync(stream.fileno())


def failure_reason(error: Exception) -> str:
    """Return a short reason for a failed download."""
    response = getattr(error, "response", None)
    if response is not None:
        return f"the server answered {response.status_code} {printable(response.reason)[:60]}"
    return str(error) if isinstance(error, UnexpectedFile) else f"no connection ({type(error).__name__})"
