"""Tests of output streams: closed pipes do not stop commands, and control sequences are escaped."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import pytest

from audiogan.cli import describe_error
from audiogan.errors import UserError
from audiogan.utils.terminal import Output

POINTS = ["train", "points", "trainer.steps=3", "data.count=200", "widths=[4,4]", "callbacks.monitors=null"]
POINTS += ["callbacks.previews=null"]


def audiogan(arguments: list[str], script: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a shell script in which ``$AUDIOGAN`` is the command with these arguments."""
    import os

    command = " ".join(f"'{part}'" for part in [sys.executable, "-m", "audiogan", *arguments])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), **environment}
    return subprocess.run(
        ["bash", "-c", script.replace("$AUDIOGAN", command)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
    )


def test_a_letter_that_the_encoding_lacks_is_written_as_an_escape() -> None:
    for encoding in ("ascii", "cp1252", "utf-8"):
        raw = io.BytesIO()
        out = Output(io.TextIOWrapper(raw, encoding))
        print("Trömmel \u592a\u9f13 \udcff", file=out, flush=True)
        assert raw.getvalue().decode(encoding, "surrogateescape").startswith("Tr")


def test_control_sequences_are_written_as_escapes() -> None:
    stream = io.StringIO()
    print("\rbar \x1b]0;owned\a\ttab \u202egpj \x9b2J", file=Output(stream))
    assert stream.getvalue() == "\rbar \\x1b]0;owned\\x07\ttab \\u202egpj \\x9b2J\n"


class Full(io.StringIO):
    def write(self, text: str) -> int:
        raise OSError(28, "No space left on device")


def test_a_stream_that_fails_is_given_up() -> None:
    out = Output(Full())
    print("one", file=out)
    print("two", file=out, flush=True)
    assert isinstance(out.error, OSError)
    for gone in (Output(None), Output(io.StringIO())):
        gone.stream and gone.stream.close()
        print("one", file=gone, flush=True)
        assert gone.error is None and not gone.isatty()


@pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX shell")
def test_a_training_goes_on_when_its_reader_leaves(tmp_path: Path) -> None:
    done = audiogan([*POINTS, "run_dir=run"], "($AUDIOGAN; echo $? > code) | head -n 0", tmp_path)
    assert (tmp_path / "code").read_text() == "0\n" and done.stderr.count("Traceback") == 0
    assert (tmp_path / "run" / "checkpoints" / "step-00000003.ckpt").is_file()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_output_that_is_the_result_and_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    done = audiogan(["list"], "$AUDIOGAN > /dev/full; echo $?", tmp_path)
    assert done.stdout == "2\n" and done.stderr.count("\n") == 1 and "No space left" in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX shell")
def test_a_closed_output_stops_nothing(tmp_path: Path) -> None:
    assert audiogan(["list"], "$AUDIOGAN >&- 2>&-; echo $? > code", tmp_path).stderr == ""
    assert (tmp_path / "code").read_text() == "0\n"


def test_a_name_that_the_terminal_cannot_show_stops_no_scan(tmp_path: Path) -> None:
    folder = tmp_path / "Trömmel"
    folder.mkdir()
    (folder / "x.txt").write_text("x")
    done = audiogan(["data", "scan", "Trömmel"], "$AUDIOGAN", tmp_path, PYTHONIOENCODING="ascii")
    assert "Traceback" not in done.stderr and "Tr\\xf6mmel" in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("error", "line", "code"),
    [
        (UserError("x=1\nis wrong"), "x=1 is wrong", 2),
        (OSError(28, "No space left on device", "a\x1b.wav"), "a\\x1b.wav: No space left on device", 2),
        (FileNotFoundError(2, "No such file or directory"), "No such file or directory", 2),
        (MemoryError(), "not enough memory", 2),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), "not enough memory", 2),
        (TypeError("unexpected"), "TypeError: unexpected (a bug in audiogan", 1),
    ],
)
def test_every_error_is_one_line(error: Exception, line: str, code: int) -> None:
    shown, given = describe_error(error)
    assert shown.startswith(line) and given == code and "\n" not in shown
