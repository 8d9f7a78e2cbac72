"""Tests of atomic writing: complete or unchanged files, no writing through links, names in errors."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch

from audiogan.errors import UserError
from audiogan.files import append_bytes, atomic_write, is_regular_file
from audiogan.modalities.wav import save_wav

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs POSIX")


@contextmanager
def files_up_to(size: int) -> Iterator[None]:
    """Make every write beyond `size` bytes of a file fail, as on a full disk."""
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_a_replaced_file_has_the_permissions_of_a_new_one(umask: int, tmp_path: Path) -> None:
    before = os.umask(umask)
    try:
        with atomic_write(tmp_path / "a") as temporary:
            temporary.unlink()  # Some libraries replace the temporary file.
            temporary.write_text("new")
            temporary.chmod(0o600)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o666 & ~umask and os.listdir(tmp_path) == ["a"]


def test_a_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "theirs").write_text("precious")
    (tmp_path / "a").symlink_to("theirs")
    with atomic_write(tmp_path / "a") as temporary:
        temporary.write_text("new")
    assert (tmp_path / "theirs").read_text() == "precious" and not (tmp_path / "a").is_symlink()
    (tmp_path / "b").symlink_to("theirs")
    with pytest.raises(OSError, match="b"):
        append_bytes(tmp_path / "b", b"more")
    assert (tmp_path / "theirs").read_text() == "precious"


def test_an_error_names_the_file_and_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with files_up_to(1000), pytest.raises(OSError) as caught, atomic_write(path) as temporary:
        temporary.write_text("x" * 5000)
    assert caught.value.errno == errno.EFBIG and caught.value.filename == str(path)
    assert path.read_text() == "old" and os.listdir(tmp_path) == ["a.txt"]


def test_an_error_about_another_file_keeps_its_name(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught, atomic_write(tmp_path / "a"):
        (tmp_path / "missing").read_text()
    assert str(caught.value.filename) == str(tmp_path / "missing")


def test_a_sound_that_does_not_fit_is_an_error_with_its_reason(tmp_path: Path) -> None:
    with files_up_to(1000), pytest.raises(UserError, match=r"a\.wav: cannot be written \(File too large\)"):
        save_wav(tmp_path / "a.wav", np.zeros((1, 5000), np.float32), 16000)
    assert os.listdir(tmp_path) == []


def test_appending_is_all_or_nothing(tmp_path: Path) -> None:
    path = tmp_path / "log"
    append_bytes(path, b"first\n")
    with files_up_to(1000):
        with pytest.raises(OSError, match="log"):
            append_bytes(path, b"x" * 2000)
        append_bytes(path, b"second\n")
    assert path.read_bytes() == b"first\nsecond\n"


def test_a_fifo_or_folder_is_never_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to("fifo")
    (tmp_path / "file").write_text("")
    (tmp_path / "good").symlink_to("file")
    assert [is_regular_file(tmp_path / name) for name in ("fifo", "link", "none", "", "file", "good")] == [
        False
    ] * 4 + [True] * 2
    assert not is_regular_file("a\0b")
    for name in ("fifo", ""):
        with pytest.raises(OSError):
            append_bytes(tmp_path / name, b"x")


def test_tensorboard_files_can_be_read_after_the_disk_was_full(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    from audiogan.run.tensorboard import Board

    board = Board(tmp_path, purge_step=1)
    board.add_scalar("loss", 1.5, 1)
    with files_up_to(500), pytest.raises(OSError, match="tfevents"):
        board.add_image("picture", torch.rand(3, 40, 40), 2)
    board.add_scalar("loss", 2.5, 3)
    board.add_text("finding", "words", 3)
    board.flush()
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    assert [(event.step, event.value) for event in events.Scalars("loss")] == [(1, 1.5), (3, 2.5)]
