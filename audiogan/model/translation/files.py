"""The ``audiogan apply`` command: translate a file, a folder of files, or standard input."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from audiogan.errors import UserError
from audiogan.files import (
    atomic_write,
    check_readable_file,
    check_writable_folder,
    create_folder,
    is_regular_file,
    unwritable_reason,
)
from audiogan.modalities.reading.reader import Unreadable
from audiogan.model.translation import formats
from audiogan.model.translation.folders import list_signals
from audiogan.model.translation.pipes import PipeFormat, read_wav_header, translate_pipe
from audiogan.model.translation.signals import Translation
from audiogan.utils.progress import ItemProgress, interruptible
from audiogan.utils.text import join_names, printable

PIPE = "-"
"""Command-line argument that selects standard input or standard output."""
MAX_LISTED_NAMES = 5
"""Maximum number of file names in a message."""


@dataclass
class ApplyResult:
    """Result of `apply_files`.

    Attributes:
        files: files that were written.
        failed: one line of text for each file that was not translated.
    """

    files: list[Path] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


def apply_files(
    generator: Any,
    source: Path,
    out: Path,
    *,
    mask: Path | None = None,
    raw: PipeFormat | None = None,
    overwrite: bool = False,
    echo: Callable[[str], None] = print,
    **options: Any,
) -> ApplyResult:
    """Translate files of any size, see `apply_signal`.

    The result of a single file is written to ``out``, or into ``out`` if that is a folder. The results of a folder of
    files are written into the folder ``out`` under the names of the sources. The suffix changes if the format of a
    source cannot be written. ``-`` selects standard input or output. If both are ``-`` and the model can translate
    streams, a WAV file is translated block by block. Each file is written atomically. An unreadable file in a folder is
    skipped.

    Args:
        generator: the model.
        source: file, folder, or ``-``.
        out: file, folder, or ``-``.
        mask: mask for inpainting, see `Translation.with_mask`, or a folder with one mask for each source. A mask has
            the name of its source, and the suffix of the source or ``.png``.
        raw: format of samples without a header in a pipe, see `translate_pipe`. Default: a file with a header.
        overwrite: replace existing files.
        echo: function that prints a line.
        options: ``route``, ``inputs`` and ``seed``, see `Translation`.

    Returns:
        Written files, and descriptions of the files that failed.

    Raises:
        UserError: an argument is invalid, an output file exists already, a single source cannot be read, or an output
            file cannot be written.
    """
    translation = Translation(generator, **options)
    content = b""
    if str(source) == PIPE:
        pipe = _standard_input()
        if str(out) == PIPE and translation.streamed is not None and not sys.stdout.isatty():
            format, content = (raw, b"") if raw is not None else read_wav_header(pipe)
            if format is not None:
                with contextlib.suppress(BrokenPipeError), open(sys.stdout.fileno(), "wb", closefd=False) as result:
                    translate_pipe(translation, pipe, result, format, echo)
                return ApplyResult()
    if raw is not None:
        raise UserError("--raw: it needs - for IN and OUT, and a model that translates sounds in blocks; leave it out")
    noun, many, piped = generator.modality.noun, source.is_dir(), str(out) == PIPE
    known = formats.SOUNDS if translation.sound else formats.PICTURES

    def target(path: Path) -> Path:
        return path if path.suffix.lower() in known else path.with_suffix(generator.modality.suffix)

    done = ApplyResult()
    jobs: list[tuple[Path | bytes, Path | None]]
    if str(source) == PIPE:
        content += pipe.read()
    if piped and (many or sys.stdout.isatty()):
        raise UserError("a folder or a terminal cannot use - for OUT; name an output file or folder")
    if many:
        check_writable_folder(out)
        names, done.failed, others = list_signals(source, translation.sound, out)
        if others:
            listed = printable(join_names(others, MAX_LISTED_NAMES))
            echo(f"skipped, because the suffix is not that of a {noun}: {listed}")
        if not names:
            raise UserError("; ".join([f"{printable(source)}: no {noun}s in it", *done.failed[:MAX_LISTED_NAMES]]))
        jobs = [(source / name, target(out / name)) for name in names]
    elif str(source) == PIPE:
        jobs = [(content, None if piped else out)]
    else:
        check_readable_file(source)
        jobs = [(source, None if piped else target(out / source.name) if out.is_dir() else out)]
    _check_outputs(jobs, known, overwrite)
    progress = ItemProgress(len(jobs) if many else 100, noun if many else "part", echo)
    first = jobs[0][1]
    folder = out if many else None if first is None else first.parent
    try:
        with interruptible(), create_folder(folder or Path()):
            for path, place in jobs:
                share = _no_progress if many else lambda share: progress.step(int(100 * share) - progress.done)
                try:
                    with tempfile.TemporaryFile(dir=folder) as scratch_file:
                        masked = _with_mask(translation, mask, path, source, echo)
                        _translate_file(masked, path, place, scratch_file, share, echo)
                except _Failed as error:
                    if not many:
                        raise UserError(str(error)) from error
                    done.failed.append(str(error))
                else:
                    done.files += [place] if place is not None else []
                if many:
                    progress.step()
    except BaseException:
        if many:
            progress.close()
            echo(f"stopped: {len(done.files):,} of {len(jobs):,} {noun}s are done: {printable(out)}")
        raise
    finally:
        progress.close()
    for line in done.failed:
        echo(f"skipped: {line}")
    if not piped:
        name, count = f"{printable(generator.name)} (step {generator.step:,})", len(done.files)
        echo(f"{count} {noun if count == 1 else f'{noun}s'} translated by {name}: {printable(out)}")
    return done


class _Failed(Exception):
    """Error raised if a source cannot be read or translated."""


def _with_mask(
    translation: Translation, mask: Path | None, path: Path | bytes, source: Path, echo: Callable[[str], None]
) -> Translation:
    """Return the translation with the mask of one file.

    Args:
        translation: the model.
        mask: mask, or folder of masks. None returns ``translation`` unchanged.
        path: the file to translate, or its content.
        source: the argument of the user: file, folder or ``-``.
        echo: function that prints a line.

    Raises:
        _Failed: the mask does not exist or cannot be read.
        UserError: the model has no mask as an input.
    """
    if mask is None:
        return translation
    if mask.is_dir():
        if isinstance(path, bytes):
            raise UserError("--mask: standard input has no name; give a file, not a folder")
        wanted = mask / (path.relative_to(source) if source.is_dir() else path.name)
        mask = wanted if wanted.is_file() else wanted.with_suffix(".png")
        if not mask.is_file():
            raise _Failed(f"{printable(path)}: it has no mask; add {printable(wanted)}")
    try:
        masked = translation.with_mask(mask)
    except UserError as error:
        if translation.mask is None or translation.mask in translation.others:
            raise
        raise _Failed(str(error)) from error
    if not bool(masked.others[str(masked.mask)].any()):
        echo(f"{printable(mask)}: no pixel is missing (white); nothing is filled")
    return masked


def _no_progress(share: float) -> None: ...


def _translate_file(
    translation: Translation,
    source: Path | bytes,
    target: Path | None,
    scratch_file: BinaryIO,
    share: formats.Progress,
    echo: Callable[[str], None],
) -> None:
    """Translate one file and write the result atomically, or to standard output if ``target`` is None.

    Raises:
        _Failed: the source cannot be read or translated.
        UserError: the result cannot be written.
    """
    name = "standard input" if isinstance(source, bytes) else printable(source)
    try:
        work = formats.translate_sound_file if translation.sound else formats.translate_picture_file
        save = work(translation, source, scratch_file, share, lambda line: echo(f"{name}: {line}"))
    except UserError as error:
        raise _Failed(f"{name}: {error}") from error
    except (OSError, Unreadable) as error:
        raise _Failed(f"{name}: cannot be read ({getattr(error, 'strerror', None) or error})") from error
    if target is None:
        with tempfile.TemporaryDirectory() as folder:
            save(Path(folder, "result"), None)
            content = Path(folder, "result").read_bytes()
        with contextlib.suppress(BrokenPipeError), open(sys.stdout.fileno(), "wb", closefd=False) as pipe:
            pipe.write(content)
        return
    try:
        with atomic_write(target) as temporary:
            save(temporary, (formats.SOUNDS | formats.PICTURES)[target.suffix.lower()])
    except (OSError, UserError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{printable(target)}: cannot be written ({reason})") from error


def _check_outputs(jobs: list[tuple[Path | bytes, Path | None]], known: dict[str, str], overwrite: bool) -> None:
    """Raise `UserError` if an output file cannot be written, exists already, or is the output of two sources."""
    taken: dict[Path, str] = {}
    blocked = []
    sources = {_identity(source) for source, _ in jobs if isinstance(source, Path)}
    for source, target in jobs:
        if target is None:
            continue
        name = printable(source) if isinstance(source, Path) else "standard input"
        if target.suffix.lower() not in known:
            raise UserError(f"{printable(target)}: the name of this file must end in one of {', '.join(known)}")
        if target in taken:
            raise UserError(f"{taken[target]} and {name} would both be written to {printable(target)}; rename one")
        taken[target] = name
        if reason := unwritable_reason(target):
            raise UserError(f"{printable(target)}: cannot be written ({reason})")
        if os.path.lexists(target):
            if not is_regular_file(target) or _identity(target) in sources:
                raise UserError(f"{printable(target)}: a source or not a regular file; give another name or folder")
            blocked.append(str(target))
    if blocked and not overwrite:
        raise UserError(
            f"{printable(join_names(blocked, MAX_LISTED_NAMES))}: exists already; use --overwrite to replace files"
        )


def _identity(path: Path) -> tuple[int, int]:
    """Return the device and inode numbers, which are equal for all names of one file."""
    info = os.stat(path)
    return info.st_dev, info.st_ino


def _standard_input() -> BinaryIO:
    if sys.stdin is None or sys.stdin.isatty():
        raise UserError("standard input is a terminal; name a file, or pipe one in")
    return sys.stdin.buffer
