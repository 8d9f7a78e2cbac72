"""Tests of run folders: locks, links that lead out of the folder, status."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest

from audiogan.errors import UserError
from audiogan.run import folder as run_folder
from audiogan.run.folder import (
    RUN_FILES,
    RUN_FOLDERS,
    check_symbolic_links,
    lock_run_folder,
    read_status,
    remove_temporary_files,
    write_status,
)

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs POSIX")


def test_the_lock_is_never_opened_through_a_link_nor_truncated(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("precious")
    (tmp_path / ".lock").symlink_to("mine")
    with (
        pytest.raises(UserError, match=r"\.lock: cannot be opened \(it is a symbolic link\)"),
        lock_run_folder(tmp_path),
    ):
        pass
    assert (tmp_path / "mine").read_text() == "precious"
    (tmp_path / ".lock").unlink()
    os.link(tmp_path / "mine", tmp_path / ".lock")
    with lock_run_folder(tmp_path), pytest.raises(UserError, match="another training"), lock_run_folder(tmp_path):
        pass
    with lock_run_folder(tmp_path):
        pass
    assert (tmp_path / "mine").read_text() == "precious"


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_a_lock_that_is_no_file_is_one_line(make: Any, tmp_path: Path) -> None:
    make(tmp_path / ".lock")
    with pytest.raises(UserError, match=r"\.lock: "), lock_run_folder(tmp_path):
        pass


@pytest.mark.parametrize("name", [*RUN_FILES, *RUN_FOLDERS])
def test_links_out_of_the_run_folder_are_refused(name: str, tmp_path: Path) -> None:
    outside, run = tmp_path / "outside", tmp_path / "run"
    run.mkdir()
    (run / name).symlink_to(outside)  # The target of the link need not exist.
    with pytest.raises(UserError, match="outside") as caught:
        check_symbolic_links(run)
    assert str(run / name) in str(caught.value) and not outside.exists()


def test_links_to_and_within_a_run_folder_are_fine(tmp_path: Path) -> None:
    (tmp_path / "disk" / "kept").mkdir(parents=True)
    (tmp_path / "disk" / "checkpoints").symlink_to("kept")
    (tmp_path / "run").symlink_to("disk")
    check_symbolic_links(tmp_path / "run")


def test_leftovers_of_a_killed_run_are_removed_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "previews").mkdir()
    left = [".run.json.0a1b.tmp", "previews/.step-00000001.png.0a1b.tmp", "previews/.animation.gif.0a1b.tmp"]
    mine = [".notes.tmp", "run.json.tmp", "previews/step-00000001.png"]
    for name in (*left, *mine):
        (tmp_path / name).write_text("")
    (tmp_path / ".scan.txt.0a1b.tmp").mkdir()
    remove_temporary_files(tmp_path)
    assert [name for name in left if (tmp_path / name).exists()] == []
    assert all((tmp_path / name).exists() for name in mine)


def test_the_status_is_written_although_the_disk_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_status(tmp_path, status="running", source="a rather long description of the data")

    def full(path: Path) -> Any:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(run_folder, "atomic_write", full)
    write_status(tmp_path, status="stopped (why)", source="data")
    assert read_status(tmp_path) == "stopped (why)" and capsys.readouterr().err == ""
    assert json.loads((tmp_path / "run.json").read_text())["source"] == "data"
    (tmp_path / "run.json").unlink()
    write_status(tmp_path, status="finished")
    (line,) = capsys.readouterr().err.splitlines()
    assert "run.json" in line and "No space left" in line


@pytest.mark.parametrize("content", [b"", b"[1]", b"\xff", b"[" * 100_000, b'{"status": 3}', b"{}"])
def test_a_damaged_status_is_no_error(content: bytes, tmp_path: Path) -> None:
    assert read_status(tmp_path) == ""
    (tmp_path / "run.json").write_bytes(content)
    assert read_status(tmp_path) in ("", "3")
    (tmp_path / "run.json").unlink()
    os.mkfifo(tmp_path / "run.json")
    assert read_status(tmp_path) == ""
