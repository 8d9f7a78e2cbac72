"""Tests that commands check their input and output paths first, with errors in one line."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import pytest

import audiogan.data.downloads.download
import audiogan.model.loading
from audiogan.cli import main
from audiogan.errors import UserError
from audiogan.files import check_writable_file, check_writable_folder
from audiogan.model.generator import Generator

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("x")
    Path("folder").mkdir()
    Path("dangling").symlink_to("nowhere")
    Path("loop").symlink_to("loop")
    Path("linked").symlink_to("folder")
    return tmp_path


def test_folders_that_can_be_written(places: Path) -> None:
    before = sorted(places.rglob("*"))
    for path in (".", "folder", "folder/", "linked", "linked/new", "new/deep/er", "Ünï cöde", str(places / "new")):
        check_writable_folder(path)
        check_writable_file(Path(path) / "x.onnx")
    check_writable_file("file")
    assert sorted(places.rglob("*")) == before


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("file", "file is not a folder"),
        ("file/new/deep", "file is not a folder"),
        ("dangling", "dangling is a link to a folder that does not exist"),
        ("dangling/new", "dangling is a link to a folder that does not exist"),
        ("loop", "link"),
        ("loop/new", "symbolic links"),
        ("x" * 300, "too long"),
        ("/proc/new", "No such file"),
    ],
)
def test_folders_that_cannot_be_written_are_one_line(path: str, words: str, places: Path) -> None:
    if path.startswith("/proc") and not Path("/proc/self").exists():
        pytest.skip("there is no such file system")
    with pytest.raises(UserError, match=words) as caught:
        check_writable_folder(path)
    assert "\n" not in str(caught.value) and ".tmp" not in str(caught.value)
    with pytest.raises(UserError, match=words):
        check_writable_file(Path(path) / "model.onnx")


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_a_write_protected_folder_is_one_line(places: Path) -> None:
    Path("folder").chmod(0o500)
    with pytest.raises(UserError, match="Permission denied"):
        check_writable_folder("folder/new")


@pytest.mark.parametrize(
    "name", ["file/model.onnx", "dangling/model.pt2", "folder.pt2", "x" * 250 + ".onnx", "file/model.audiogan"]
)
def test_export_is_refused_before_the_work(
    name: str, places: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    Path("folder.pt2").mkdir()

    def never(*args: object) -> None:
        raise AssertionError("the model was loaded")

    monkeypatch.setattr(audiogan.model.loading, "load", never)
    before = sorted(places.rglob("*"))
    assert main(["export", "drums", name]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert name in line and ".tmp" not in line and sorted(places.rglob("*")) == before


@pytest.mark.parametrize("name", ["my model.audiogan", "it's; ls $(x) & y.audiogan", "Ünï.AUDIOGAN"])
def test_the_printed_command_can_be_pasted(name: str, places: Path, capsys: Captured) -> None:
    assert main(["export", "drums", name]) == 0
    command = capsys.readouterr().out.strip().partition("try: ")[2]
    assert shlex.split(command) == ["audiogan", "sample", "--run", name, "out/"]


def test_a_download_prints_a_command_that_can_be_pasted(
    places: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.setattr(audiogan.data.downloads.download, "download", lambda data, out, base_url: out)
    assert main(["data", "get", "drums", "my drums (1)"]) == 0
    command = capsys.readouterr().out.strip().partition("with: ")[2]
    assert shlex.split(command) == ["audiogan", "train", "drums", "data.root=my drums (1)"]


@pytest.mark.parametrize(
    "command",
    [
        ["morph", "--run", "drums", "--to", "3", "out", "--from", "PATH.wav"],
        ["morph", "--run", "drums", "--to", "3", "out", "--from", "PATH.PNG"],
        ["kit", "out", "--from", "PATH.json"],
        ["play", "PATH.mid", "out.wav", "--run", "drums"],
        ["encode", "PATH.wav", "out", "--run", "drums"],
        ["walk", "out.wav", "--run", "PATH.audiogan"],
        ["export", "drums", "out.audiogan", "--card", "PATH.md"],
        ["sample", "out", "--run", "PATH.audiogan"],
        ["sample", "out", "--run", "PATH.ckpt"],
    ],
)
@pytest.mark.parametrize("kind", ["nowhere", "folder", "empty", "dangling"])
def test_files_that_cannot_be_read_are_one_line(command: list[str], kind: str, places: Path, capsys: Captured) -> None:
    command = [part.replace("PATH", kind) for part in command]
    path = next(Path(part) for part in command if part.startswith(kind))
    if kind == "folder":
        path.mkdir()
    elif kind == "empty":
        path.touch()
    elif kind == "dangling":
        path.symlink_to("gone")
    before = sorted(places.iterdir())
    assert main(command) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert str(path) in line and "System error" not in line and "Errno" not in line
    assert sorted(places.iterdir()) == before


@pytest.mark.parametrize("command", [["sample"], ["morph", "--from", "1", "--to", "2"]])
@pytest.mark.parametrize("out", ["file", "file/deep", "dangling", "loop"])
def test_a_folder_in_the_way_is_named_before_the_work(
    command: list[str], out: str, places: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.setattr(Generator, "render", None)
    before = sorted(places.iterdir())
    assert main([*command, "--run", "drums", out]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith(f"audiogan: {out}: cannot be written to (") and sorted(places.iterdir()) == before
