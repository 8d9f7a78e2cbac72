"""The folder of a run: its lock, its status, and what must not be in it."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from audiogan.errors import UserError
from audiogan.files import NO_LINK, atomic_write, is_regular_file
from audiogan.run.optional import notify
from audiogan.utils.text import parse_json_object

FOLDERS = ("checkpoints", "previews", "tensorboard")
FILES = (
    *("config.yaml", "run.json", "scan.csv", "scan.txt", "metrics.jsonl", "findings.jsonl", "report.html"),
    *("evaluation.json", ".lock"),
)
MAX_STATUS_BYTES = 1 << 20  # bytes of run.json
OBSERVERS = ("callbacks.log", "callbacks.monitors", "callbacks.previews", "callbacks.progress")
"""Callbacks that only observe training."""
UNNAMED = ("trainer.steps", "trainer.minutes", "run_dir", "name", "engine.", "checkpoints.", *OBSERVERS, "hydra")
"""Overrides that change the length or the place of a run, not its result; the name of its folder leaves them out."""


def run_folder_name(name: str, overrides: Sequence[str]) -> str:
    """Return the name of the run folder. The same command always gives the same name."""
    telling = [o.lstrip("+") for o in overrides if not o.lstrip("+~").startswith(UNNAMED)]
    telling.sort(key=lambda o: (not o.startswith(("network=", "loss=", "seed=")), o))
    if not telling:
        return name
    text = ",".join(telling)
    short = ",".join(re.sub(r"=.*[/\\](?=[^/\\]+)", "=", o).rstrip("/\\") for o in telling)
    slug = re.sub(r"[^A-Za-z0-9=_.,-]+", "-", short).strip("-.")
    if slug != text or len(slug) > 80:
        slug = f"{slug[:60].rstrip('-.,')}-{hashlib.sha256(text.encode()).hexdigest()[:6]}"
    return f"{name},{slug}"


def check_run_folder(run_dir: Path) -> None:
    """Refuse a folder that holds anything but a run, so that a training never replaces other files.

    Raises:
        UserError: ``run_dir`` is a file, or a folder that is neither empty nor a run of audiogan.
    """
    try:
        names = {entry.name for entry in os.scandir(run_dir)}
    except FileNotFoundError:
        return
    except OSError as error:
        raise UserError(f"run_dir={run_dir}: cannot be used ({error.strerror})") from error
    # A run that was killed early has left a lock and a few files, but no run.json yet.
    begun = ".lock" in names and all(name in (*FOLDERS, *FILES) or name.endswith(".tmp") for name in names)
    if names and not begun and "run.json" not in names and not any(run_dir.glob("checkpoints/step-*.ckpt")):
        raise UserError(
            f"run_dir={run_dir}: this folder is neither empty nor a run of audiogan; choose another, such as "
            f"run_dir={run_dir / 'run'}"
        )


def check_links(run_dir: Path) -> None:
    """Refuse a run folder from which a link leads elsewhere.

    Raises:
        UserError: a file or folder that a training writes is a symbolic link to a place outside of `run_dir`.
    """
    inside = os.path.realpath(run_dir)
    for name in (*FOLDERS, *FILES):
        path = run_dir / name
        if path.is_symlink() and os.path.commonpath([inside, os.path.realpath(path)]) != inside:
            raise UserError(
                f"{path}: a link to {os.path.realpath(path)}; a training writes only in its own run folder: "
                "remove the link or choose another run_dir"
            )


@contextlib.contextmanager
def lock_run_folder(run_dir: Path) -> Iterator[None]:
    """Hold the lock of a run folder, so that only one training writes there. The lock ends with its process.

    Raises:
        UserError: another training holds it, or ``.lock`` is no file that can be opened.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    path = run_dir / ".lock"
    try:
        file = os.open(path, os.O_RDWR | os.O_CREAT | NO_LINK, 0o666)
    except OSError as error:
        reason = "it is a symbolic link" if error.errno == errno.ELOOP else error.strerror
        raise UserError(f"{path}: cannot be opened ({reason}); remove it or choose another run_dir") from error
    try:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise UserError(f"{path}: not a regular file; remove it or choose another run_dir")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UserError(f"{run_dir}: another training is writing there; choose another run_dir") from error
        except OSError as error:
            raise UserError(f"{path}: cannot be locked ({error.strerror}); choose another run_dir") from error
        yield
    finally:
        os.close(file)


@contextlib.contextmanager
def create_run_folder(run_dir: Path) -> Iterator[None]:
    """Create a run folder, and remove it again if a training fails before it has written anything there.

    Raises:
        UserError: the folder cannot be created.
    """
    made = [folder for folder in (run_dir, *run_dir.parents) if not folder.exists()]
    try:
        run_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"run_dir={run_dir}: cannot be created ({error.strerror})") from error
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError):
            if made and set(os.listdir(run_dir)) <= {".lock"}:
                (run_dir / ".lock").unlink(missing_ok=True)
            for folder in made:  # `rmdir` refuses one that holds anything
                folder.rmdir()
        raise


def remove_temporary_files(run_dir: Path) -> None:
    """Remove what a killed run was writing."""
    names = (*FILES, "previews/step-*", "previews/animation.gif")
    for name in names:
        folder, _, file = name.rpartition("/")
        for left in (run_dir / folder).glob(f".{file}.*.tmp"):
            with contextlib.suppress(OSError):
                left.unlink()


def read_status(run_dir: Path) -> str:
    """Return the status in ``run.json``; "" if there is none that can be read."""
    path = run_dir / "run.json"
    try:
        if not is_regular_file(path) or path.stat().st_size > MAX_STATUS_BYTES:
            return ""
        return str((parse_json_object(path.read_bytes()) or {}).get("status", ""))
    except OSError:
        return ""


def write_status(run_dir: Path, **facts: str) -> None:
    """Write ``run.json``, from which reports and the studio learn the status of a run. Errors are only reported."""
    path = run_dir / "run.json"
    content = json.dumps(facts).encode()
    try:
        with atomic_write(path) as temporary:
            temporary.write_bytes(content)
    except OSError as error:
        try:
            _overwrite(path, content)  # a full disk has room for as much as was there before
        except OSError:
            notify(f"{error.filename or path}: cannot be written ({error.strerror or error})")


def _overwrite(path: Path, content: bytes) -> None:
    file = os.open(path, os.O_WRONLY | NO_LINK)
    try:
        status = os.fstat(file)
        if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
            raise OSError(errno.EINVAL, "not a file of its own")
        # Spaces up to the old length: JSON allows them, and whoever reads meanwhile sees one of the two.
        os.write(file, content.ljust(status.st_size))
    finally:
        os.close(file)
