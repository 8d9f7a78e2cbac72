"""``audiogan apply``: translate a file, a folder of files, or standard input."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from audiogan.applying.folders import entries
from audiogan.applying.pictures import translate_picture
from audiogan.applying.signals import Translation
from audiogan.applying.sounds import SUFFIXES as SOUNDS
from audiogan.applying.sounds import CannotWrite, read_sound_note, translate_sound
from audiogan.errors import UserError
from audiogan.files import check_file, is_plain, replacing
from audiogan.long_work import ItemProgress, interruptible
from audiogan.outputs import unwritable
from audiogan.picture_files import SUFFIXES as PICTURES
from audiogan.picture_files import encode_picture, read_note
from audiogan.reading.reader import Unreadable
from audiogan.sampling import working_folder
from audiogan.text import printable
from audiogan.writing import check_folder, write_file

PIPE = "-"
"""The name of standard input and standard output."""
NAMED = 5
"""Names in a message, at most."""
LONGEST_VALUE, LONGEST_NOTE = 100, 1500
"""Characters of an input's value and of the whole note in a file. Some formats of sounds keep 2,000 bytes."""


@dataclass
class Done:
    """What `apply_files` did.

    Attributes:
        files: files that were written.
        failed: lines about files that were not translated.
    """

    files: list[Path] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


def apply_files(
    generator: Any,
    source: Path,
    out: Path,
    *,
    route: str | None = None,
    inputs: Mapping[str, Any] | None = None,
    seed: int = 0,
    overwrite: bool = False,
    say: Callable[[str], None] = print,
) -> Done:
    """Translate files of any size; see `apply_signal`.

    A file becomes a file, or a file of the same name in the folder ``out``. A folder becomes a folder with the same
    names; suffixes change if files of that kind are not written. ``-`` stands for standard input or output. Each file
    appears when it is complete. Files that cannot be read are fatal alone, and skipped in a folder.

    Args:
        generator: the model.
        source: a file or a folder.
        out: a file or a folder.
        route, inputs, seed: see `apply_signal`.
        overwrite: replace files that an earlier translation did not write.
        say: prints a line.

    Raises:
        UserError: bad arguments, files in the way, a source that cannot be read, or a target that cannot be written.
    """
    translation = Translation(generator, route=route, inputs=inputs, seed=seed)
    job = _Job(translation, _note(translation, inputs or {}, seed), overwrite, say)
    if PIPE in (str(source), str(out)):
        job.pipe(source, out)
        return job.done
    if source.is_dir():
        job.folder(source, out)
    else:
        check_file(source)
        job.file(source, out / source.name if out.is_dir() else out, out.is_dir())
    name = f"{printable(generator.name)} (step {generator.step:,})"
    count = len(job.done.files)
    for line in job.done.failed:
        say(f"skipped: {line}")
    say(f"{count} {_plural(job.noun, count)} translated by {name}: {printable(out)}")
    return job.done


class _Job:
    def __init__(self, translation: Translation, note: str, overwrite: bool, say: Callable[[str], None]) -> None:
        self.translation, self.note, self.overwrite, self.say = translation, note, overwrite, say
        self.sound, self.noun = translation.kind == "sound", translation.generator.modality.noun
        self.suffixes = SOUNDS if self.sound else PICTURES
        self.done = Done()

    def file(self, source: Path, target: Path, renamed: bool) -> None:
        """Translate one file; ``renamed``: the suffix may change."""
        if renamed:
            target = self.named(target)
        elif target.suffix.lower() not in self.suffixes:
            raise UserError(f"{target}: the name of this file must end in one of {', '.join(self.suffixes)}")
        self.check([(source, target)])
        progress = _Progress("sample" if self.sound else "row", self.say)
        try:
            with interruptible(), working_folder(target.parent):
                self.translate(source, target, progress)
        except CannotWrite:
            raise
        except (OSError, Unreadable, UserError) as error:
            raise UserError(f"{printable(source)}: {self.reason(error, source)}") from error
        finally:
            progress.close()
        self.done.files.append(target)

    def folder(self, source: Path, out: Path) -> None:
        """Translate all files below a folder."""
        if out.exists() and not out.is_dir():
            raise UserError(f"{printable(out)}: a file; give a folder for the translations of a folder")
        if out.resolve() == source.resolve():
            raise UserError(f"{printable(source)}: the same folder as that for the translations; give another one")
        check_folder(out)
        pairs, others = [], []
        for path, rel, reason in entries(source, self.sound, out):
            if reason is None:
                pairs.append((path, self.named(out / rel)))
            elif reason:
                self.done.failed.append(f"{printable(path)}: {printable(reason)}")
            else:
                others.append(printable(rel))
        if others:
            more = f" and {len(others) - NAMED} more" if len(others) > NAMED else ""
            self.say(f"no {self.noun}s by their names, left out: {', '.join(others[:NAMED])}{more}")
        if not pairs:
            reasons = f": {'; '.join(self.done.failed[:NAMED])}" if self.done.failed else ""
            raise UserError(f"{printable(source)}: no {self.noun}s in it{reasons}")
        self.check(pairs)
        progress = ItemProgress(len(pairs), self.noun, self.say)
        try:
            with interruptible(), working_folder(out):
                for path, target in pairs:
                    self.one_of_many(path, target)
                    progress.step()
        except BaseException:
            progress.close()
            count = len(self.done.files)
            self.say(f"stopped: {count:,} of {len(pairs):,} {self.noun}s are done: {printable(out)}")
            raise
        finally:
            progress.close()

    def one_of_many(self, path: Path, target: Path) -> None:
        try:
            self.translate(path, target, lambda done, total: None)
        except CannotWrite:
            raise
        except (OSError, Unreadable, UserError) as error:
            self.done.failed.append(f"{printable(path)}: {self.reason(error, path)}")
        else:
            self.done.files.append(target)

    def pipe(self, source: Path, out: Path) -> None:
        """Translate standard input, or write to standard output."""
        to_pipe = str(out) == PIPE
        content = _standard_input() if str(source) == PIPE else None
        if content is None:
            check_file(source)
        if to_pipe and sys.stdout is not None and sys.stdout.isatty():
            raise UserError("standard output is a terminal; redirect it, or name a file")
        if not to_pipe:
            if out.is_dir():
                raise UserError(f"{printable(out)}: a folder; name a file for standard input")
            if out.suffix.lower() not in self.suffixes:
                raise UserError(f"{out}: the name of this file must end in one of {', '.join(self.suffixes)}")
            self.check([(source, out)])
        try:
            with interruptible():
                if not to_pipe:
                    self.translate(source if content is None else content, out, lambda done, total: None)
                    self.done.files.append(out)
                    return
                result = self.content(source if content is None else content)
        except (OSError, Unreadable) as error:
            name = "standard input" if content is not None else printable(source)
            raise UserError(f"{name}: {self.reason(error, source)}") from error
        _standard_output(result)

    def translate(self, source: Path | bytes, target: Path, progress: Callable[[int, int], object]) -> None:
        """Translate one file and write the result, whole or not at all.

        Raises:
            CannotWrite: the target cannot be written.
            OSError, Unreadable, UserError: the source cannot be read or translated.
        """
        format = self.suffixes[target.suffix.lower()]
        if not self.sound:
            picture = translate_picture(self.translation, source, progress)
            content = encode_picture(picture, format, self.note)
            if picture.animated:
                self.say(f"{_shown(source)}: animated; only its first picture was translated")
            try:
                write_file(target, content)
            except UserError as error:
                raise CannotWrite(str(error)) from error
            return
        try:
            with replacing(target) as temporary:
                translate_sound(
                    *(self.translation, source, temporary, format, self.note, progress),
                    say=lambda line: self.say(f"{_shown(source)}: {line}"),
                )
        except CannotWrite as error:
            raise CannotWrite(f"{printable(target)}: {error}") from error
        except OSError as error:
            if str(error.filename) == str(target):
                raise CannotWrite(f"{printable(target)}: cannot be written ({error.strerror or error})") from error
            raise

    def content(self, source: Path | bytes) -> bytes:
        """Return the content of the translation of a file, in the source's format where that can be written."""
        if self.sound:
            file = io.BytesIO()
            translate_sound(self.translation, source, file, None, self.note)
            return file.getvalue()
        picture = translate_picture(self.translation, source)
        return encode_picture(picture, picture.format if picture.format in PICTURES.values() else "PNG", self.note)

    def named(self, target: Path) -> Path:
        """Return a target with a suffix that can be written."""
        if target.suffix.lower() in self.suffixes:
            return target
        return target.with_suffix(self.translation.generator.modality.suffix)

    def check(self, pairs: list[tuple[Path, Path]]) -> None:
        """Raise UserError if two files would have one target, or if files are in the way."""
        taken: dict[Path, Path] = {}
        for source, target in pairs:
            if target in taken:
                both = f"{printable(taken[target])} and {printable(source)}"
                raise UserError(f"{both} would both be written to {printable(target)}; rename one of them")
            taken[target] = source
        sources = {_identity(source) for source, _ in pairs} - {None}
        blocked = []
        for source, target in pairs:
            if reason := unwritable(target):
                raise UserError(f"{printable(target)}: cannot be written ({reason})")
            if not os.path.lexists(target):
                continue
            if _identity(target) in sources:
                what = "the source itself" if _identity(target) == _identity(source) else "also a source"
                raise UserError(f"{printable(target)}: {what}; give another name or folder")
            if os.path.exists(target) and not is_plain(target):
                raise UserError(f"{printable(target)}: in the way, and not a regular file")
            if not self.overwrite and not self.ours(target):
                blocked.append(printable(target))
        if blocked:
            more = f" and {len(blocked) - NAMED} more" if len(blocked) > NAMED else ""
            names = ", ".join(blocked[:NAMED])
            raise UserError(f"{names}{more}: there already, and not written by apply; --overwrite replaces them")

    def ours(self, target: Path) -> bool:
        note = read_sound_note(target) if self.sound else read_note(target)
        return note.get("audiogan") == "apply"

    def reason(self, error: Exception, path: Path) -> str:
        """Why a file was not translated."""
        if isinstance(error, Unreadable):
            from audiogan.reading.pixels import other_kind

            return f"cannot be read ({(not self.sound and other_kind(str(path))) or error})"
        if isinstance(error, OSError):
            return f"cannot be read ({error.strerror or error})"
        return str(error)


class _Progress:
    """Progress within one file; the size of the work is known when it begins."""

    def __init__(self, noun: str, say: Callable[[str], None]) -> None:
        self.noun, self.say = noun, say
        self.items: ItemProgress | None = None

    def __call__(self, done: int, total: int) -> None:
        if self.items is None:
            self.items = ItemProgress(total, self.noun, self.say)
        self.items.step(done - self.items.done)

    def close(self) -> None:
        if self.items is not None:
            self.items.close()


def _note(translation: Translation, inputs: Mapping[str, Any], seed: int) -> str:
    """Return the note in each result. It marks files that may be replaced by another translation."""
    generator = translation.generator
    note: dict[str, Any] = {"audiogan": "apply", "model": str(generator.name), "step": generator.step, "seed": seed}
    if translation.route:
        note["generator"] = translation.route
    if inputs:
        note["inputs"] = {name: str(value)[:LONGEST_VALUE] for name, value in inputs.items()}
    text = json.dumps(note)
    return text if len(text) <= LONGEST_NOTE else json.dumps({"audiogan": "apply", "seed": seed})


def _identity(path: Path) -> tuple[int, int] | None:
    """What two names of one file have in common."""
    try:
        info = os.stat(path)
    except OSError:
        return None
    return info.st_dev, info.st_ino


def _shown(source: Path | bytes) -> str:
    return "standard input" if isinstance(source, bytes) else printable(source)


def _standard_input() -> bytes:
    if sys.stdin is None or sys.stdin.isatty():
        raise UserError("standard input is a terminal; name a file, or pipe one in")
    return sys.stdin.buffer.read()


def _standard_output(content: bytes) -> None:
    """Write to standard output, without a buffer. A reader that leaves early is no error."""
    sys.stdout.flush()
    left = memoryview(content)
    try:
        while left:
            left = left[os.write(sys.stdout.fileno(), left) :]
    except BrokenPipeError:
        return


def _plural(noun: str, n: int) -> str:
    return noun if n == 1 else f"{noun}s"
