"""Download one file: at most so many bytes, checked, whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from pooch import file_hash

from audiogan.utils.text import printable

TIMEOUT = 30.0
"""Seconds to wait for a connection, and for each piece of a file."""
PIECE = 1 << 16
Progress = Callable[[int, int], object] | None


class Unfit(ValueError):
    """The server did not send the expected file; the message says why in one line."""


def fetch(
    url: str, path: Path, max_bytes: int, sha256: str | None = None, *, resume: bool = False, progress: Progress = None
) -> None:
    """Download a file of at most ``most`` bytes. It appears under its name when it is whole and checked.

    Nothing is decompressed. The part (``path`` with ``.part``) is removed when the download fails, unless it can be
    resumed.

    Args:
        url: the address; redirects are followed, but not from https to http.
        path: the file to write, in a folder that exists.
        most: upper bound of its size in bytes; the download ends there.
        sha256: expected checksum; without one, the content is not checked.
        resume: keep the part of a download that breaks off, and go on from there. Needs ``sha256``.
        progress: called with the bytes so far and the bytes that the server announced (0 if it did not).

    Raises:
        requests.RequestException: the server cannot be reached, refuses, or breaks off.
        Unfit: larger than ``most``, a wrong checksum, or a redirect to an unencrypted address.
        OSError: the file cannot be written.
    """
    part = path.with_name(path.name + ".part")
    resume = resume and sha256 is not None
    if not resume or (part.exists() and part.stat().st_size > max_bytes):
        part.unlink(missing_ok=True)
    try:
        _receive(url, part, max_bytes, progress)
        if sha256 is not None and file_hash(part) != sha256:
            raise Unfit("what arrived has a wrong SHA-256 and was thrown away")
        os.replace(part, path)
    except BaseException as error:
        if not resume or isinstance(error, Unfit):
            part.unlink(missing_ok=True)
        raise


def _receive(url: str, part: Path, max_bytes: int, progress: Progress) -> None:
    """Append the missing bytes to ``part``."""
    import requests
    from urllib3.exceptions import HTTPError

    start = part.stat().st_size if part.exists() else 0
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
    try:
        answer = requests.get(url, headers=headers, stream=True, timeout=TIMEOUT)
    except requests.RequestException:
        raise
    except (ValueError, HTTPError) as error:  # requests lets some errors of its own libraries through
        raise Unfit("the address, or one that the server redirects to, is not valid") from error
    with answer as response:
        if start and response.status_code == 416:  # nothing is missing; the checksum decides
            return
        if url.startswith("https:") and not response.url.startswith("https:"):
            raise Unfit("the server redirects to an address that is not encrypted")
        response.raise_for_status()
        if not response.headers.get("content-range", "").startswith(f"bytes {start}-"):
            start = 0
        announced = response.headers.get("content-length", "")
        expected = start + int(announced) if announced.isdecimal() and len(announced) < 16 else 0
        too_large = Unfit(f"what the server sends is larger than the {max_bytes:,} bytes expected; it was thrown away")
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
    """Why a download failed, in a few words."""
    response = getattr(error, "response", None)
    if response is not None:
        return f"the server said {response.status_code} {printable(response.reason)[:60]}"
    return str(error) if isinstance(error, Unfit) else f"no connection ({type(error).__name__})"
