"""Create, check, lock and clean up run folders, and store the status of a run."""

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
from typing import Any

from audiogan.errors import UserError
from audiogan.files import NO_LINK, atomic_write, is_regular_file
from audiogan.run.optional import notify
from audiogan.utils.text import parse_json_object

RUN_FOLDERS = ("checkpoints", "previews", "tensorboard")
"""Sub-folders of a run folder."""
RUN_FILES = (
    *("config.yaml", "run.json", "scan.csv", "scan.txt", "metrics.jsonl", "findings.jsonl", "report.html"),
    *("evaluation.json", ".lock"),
)
"""Files in a run folder."""
MAX_STATUS_BYTES = 1 << 20
"""Largest size of ``run.json``, in bytes."""
OBSERVERS = ("callbacks.log", "callbacks.monitors", "callbacks.previews", "callbacks.progress")
"""Keys of callbacks that do not influence training."""
OMITTED_OVERRIDES = (
    "trainer.steps",
    "trainer.minutes",
    "run_dir",
    "name",
    "engine.",
    "checkpoints.",
    *OBSERVERS,
    "hydra",
)
"""Prefixes of overrides that the name of a run folder omits, because they do not change the model."""


def run_folder_name(name: str, overrides: Sequence[str]) -> str:
    """Return the name of a run folder, such as ``drums,network=wavegan``. Equal settings give equal names.

    Args:
        name: name of the configuration.
        overrides: overrides as typed on the command line.
    """
    settings = [o.lstrip("+") for o in overrides if not o.lstrip("+~").startswith(OMITTED_OVERRIDES)]
    settings.sort(key=lambda o: (not o.startswith(("network=", "loss=", "seed=")), o))
    if not settings:
        return name
    text = ",".join(settings)
    short = ",".join(re.sub(r"=.*[/\\](?=[^/\\]+)", "=", o).rstrip("/\\") for o in settings)
    slug = re.sub(r"[^A-Za-z0-9=_.,-]+", "-", short).strip("-.")
    if slug != text or len(slug) > 80:
        slug = f"{slug[:60].rstrip('-.,')}-{hashlib.sha256(text.encode()).hexdigest()[:6]}"
    return f"{name},{slug}"


def check_run_folder(run_dir: Path) -> None:
    """Raise `UserError` unless ``run_dir`` is missing, empty or a run folder, so that training cannot replace files
    that belong to no run.

    Args:
        run_dir: path of the run folder.
    """
    try:
        names = {entry.name for entry in os.scandir(run_dir)}
    except FileNotFoundError:
        return
    except OSError as error:
        raise UserError(f"run_dir={run_dir}: cannot be used ({error.strerror})") from error
    # A run that is killed early leaves a lock and a few files, but no run.json. Its folder may be used again.
    begun = ".lock" in names and all(name in (*RUN_FOLDERS, *RUN_FILES) or name.endswith(".tmp") for name in names)
    if names and not begun and "run.json" not in names and not any(run_dir.glob("checkpoints/step-*.ckpt")):
        raise UserError(
            f"run_dir={run_dir}: this folder is neither empty nor a run of audiogan; choose another, such as "
            f"run_dir={run_dir / 'run'}"
        )


def check_symbolic_links(run_dir: Path) -> None:
    """Raise `UserError` if a file or folder of the run is a symbolic link to a path outside ``run_dir``.

    Args:
        run_dir: path of the run folder.
    """
    inside = os.path.realpath(run_dir)
    for name in (*RUN_FOLDERS, *RUN_FILES):
        path = run_dir / name
        if path.is_symlink() and os.path.commonpath([inside, os.path.realpath(path)]) != inside:
            raise UserError(
                f"{path}: a link to {os.path.realpath(path)}; training writes only inside its run folder; "
                "remove the link or choose another run_dir"
            )


@contextlib.contextmanager
def lock_run_folder(run_dir: Path) -> Iterator[None]:
    """Lock a run folder within a ``with`` block, so that only one process trains in it.

    The operating system releases the lock if the process is killed.

    Raises:
        UserError: another process holds the lock, or the file ``.lock`` cannot be opened.
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
            raise UserError(f"{run_dir}: another training run uses this folder; choose another run_dir") from error
        except OSError as error:
            raise UserError(f"{path}: cannot be locked ({error.strerror}); choose another run_dir") from error
        yield
    finally:
        os.close(file)


@contextlib.contextmanager
def create_run_folder(run_dir: Path) -> Iterator[None]:
    """Create a run folder. If the ``with`` block raises before it writes any file, remove the folder.

    Raises:
        UserError: the folder cannot be created.
    """
    new = [folder for folder in (run_dir, *run_dir.parents) if not folder.exists()]
    try:
        run_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"run_dir={run_dir}: cannot be created ({error.strerror})") from error
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError):
            if new and set(os.listdir(run_dir)) <= {".lock"}:
                (run_dir / ".lock").unlink(missing_ok=True)
            for folder in new:  # `rmdir` does not remove a folder that contains files.
                folder.rmdir()
        raise


def remove_temporary_files(run_dir: Path) -> None:
    """Remove the temporary files of a run that was killed."""
    names = (*RUN_FILES, "previews/step-*", "previews/animation.gif")
    for name in names:
        folder, _, file = name.rpartition("/")
        for left in (run_dir / folder).glob(f".{file}.*.tmp"):
            with contextlib.suppress(OSError):
                left.unlink()


def read_status(run_dir: Path) -> str:
    """Return the status in ``run.json``, such as ``running`` or ``finished``. Empty if the file cannot be read."""
    path = run_dir / "run.json"
    try:
        if not is_regular_file(path) or path.stat().st_size > MAX_STATUS_BYTES:
            return ""
        return str((parse_json_object(path.read_bytes()) or {}).get("status", ""))
    except OSError:
        return ""


def write_status(run_dir: Path, **status_fields: str) -> None:
    """Write ``run.json``, which the report and the studio read. If it cannot be written, print a warning.

    Args:
        run_dir: run folder.
        status_fields: content of the file, such as ``status`` and ``source``.
    """
    path = run_dir / "run.json"
    content = json.dumps(status_fields).encode()
    try:
        with atomic_write(path) as temporary:
            temporary.write_bytes(content)
    except OSError as error:
        try:
            _overwrite(path, content)  # Overwriting works on a full disk, because the file does not grow.
        except OSError:
            notify(f"{error.filename or path}: cannot be written ({error.strerror or error})")


def write_scan(run_dir: Path, data: Any) -> None:
    """Write ``scan.txt``, a summary of the training data. For data from files, also write ``scan.csv``, one row per
    file."""
    scan = getattr(data, "scan", None)
    if scan is not None:
        scan.write_csv(run_dir / "scan.csv")
    with atomic_write(run_dir / "scan.txt") as temporary:
        text = f"{data.source}\n{scan.summary() if scan is not None else ''}\n"
        temporary.write_text(text, encoding="utf-8", errors="replace")


def _overwrite(path: Path, content: bytes) -> None:
    file = os.open(path, os.O_WRONLY | NO_LINK)
    try:
        status = os.fstat(file)
        if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
            raise OSError(errno.EINVAL, "not a file of its own")
        # The content is padded with spaces, which JSON allows, so that a concurrent reader gets valid JSON.
        os.write(file, content.ljust(status.st_size))
    finally:
        os.close(file)
