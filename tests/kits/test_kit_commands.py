"""Tests of the commands ``audiogan kit`` and ``audiogan play``."""

from __future__ import annotations

import argparse
from pathlib import Path

import mido
import pytest
import soundfile

from audiogan import UserError
from audiogan.commands import kit as kit_command
from audiogan.commands import play as play_command
from audiogan.kits import Kit


def run(*arguments: object) -> int:
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers(dest="command")
    kit_command.add_parser(commands)
    play_command.add_parser(commands)
    words = [str(word) for word in arguments]
    args = parser.parse_args(words)
    return {"kit": kit_command, "play": play_command}[args.command].run(args, words) or 0


@pytest.fixture
def pattern(tmp_path: Path) -> Path:
    track = mido.MidiTrack(
        [mido.Message("note_on", note=n, velocity=100, channel=9, time=240) for n in (36, 42, 38, 56)]
    )
    file = mido.MidiFile()
    file.tracks.append(track)
    file.save(tmp_path / "beat.mid")
    return tmp_path / "beat.mid"


def test_kit_again_in_another_format_and_played(
    tmp_path: Path, pattern: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    assert run("kit", first, "--pads", 5, "--layers", 2, "--seed", 7, "--run", "drums", "--rate", 48000) == 0
    assert {path.name for path in first.iterdir()} == {"first.sfz", "kit.json", "samples", "contact-sheet.png"}
    assert soundfile.info(first / "samples" / "036-kick-v1.wav").samplerate == 48000
    assert "kick, rim" not in (out := capsys.readouterr().out) and "first.sfz: kick, snare, clap, closed hat" in out

    assert run("kit", second, "--from", first / "kit.json", "--format", "wav", "--bits", 16, "--name", "x") == 0
    assert (second / "kit.json").read_text() == (first / "kit.json").read_text()
    assert soundfile.info(second / "036-kick-v2.wav").subtype == "PCM_16"
    capsys.readouterr()

    assert run("play", pattern, tmp_path / "a.wav", "--kit", first / "kit.json", "--tail", 0.25) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("notes missing from the kit: 56 on") and "4 strokes" in said[1] and len(said) == 2
    assert soundfile.info(tmp_path / "a.wav").duration == pytest.approx(1.25)
    run("play", pattern, tmp_path / "b.wav", "--kit", second / "kit.json", "--tail", 0.25)
    assert (tmp_path / "a.wav").read_bytes() == (tmp_path / "b.wav").read_bytes()
    capsys.readouterr()

    (tmp_path / "map.yaml").write_text("56: Closed Hat\n36: none\n")
    run("play", pattern, tmp_path / "c.wav", "--kit", first, "--loop", "--map", tmp_path / "map.yaml", "--rate", 48000)
    assert "loop of 1 bar, 2.000 s" in capsys.readouterr().out
    assert soundfile.info(tmp_path / "c.wav").frames == 96000


def test_new_kits_say_their_seed(tmp_path: Path, pattern: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--run", "drums", "--pads", 2, "--class", "kick, snare", "--knob", "decay=0.3"]
    run("kit", tmp_path / "a", *options)
    seed = capsys.readouterr().out.splitlines()[0].split()[-1]
    run("kit", tmp_path / "b", *options, "--seed", seed)
    kits = [Kit.from_json((tmp_path / name / "kit.json").read_text()) for name in "ab"]
    assert kits[0] == kits[1] and {pad.layers[0].label for pad in kits[0].pads} == {"kick", "snare"}
    assert kits[0].pads[0].layers[0].knobs["decay"] == pytest.approx(0.3)
    with pytest.raises(UserError, match="choose another folder"):
        run("kit", tmp_path / "a", *options, "--seed", int(seed) + 1)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["kit", "out", "--from", "k.json", "--pads", 3], "--pads"),
        (["kit", "out", "--from", "gone.json"], "gone.json"),
        (["kit", "out", "--run", "drums", "--class", "gong"], "gong"),
        (["kit", "out", "--run", "drums", "--pads", 0], "pads=0"),
        (["kit", "out", "--run", "drums", "--layers", 0], "layers=0"),
        (["kit", "out", "--run", "drums", "--rate", 1], "sample_rate=1"),
        (["kit", "beat.mid", "--run", "drums", "--pads", 1], "beat.mid"),
        (["play", "beat.mid", "out.mp3"], "out.mp3"),
        (["play", "beat.mid", "out.wav", "--kit", "k.json", "--seed", 1], "--seed"),
        (["play", "gone.mid", "out.wav"], "gone.mid"),
        (["play", "beat.mid", "out.wav", "--loop", "--tail", 0], "--loop and --tail"),
        (["play", "beat.mid", "out.wav", "--map", "gone.yaml"], "gone.yaml"),
        (["play", "beat.mid", "out.wav", "--map", "beat.mid"], "beat.mid"),
        (["kit", "out", "--run", "drums", "--class", "kik"], "did you mean 'kick'"),
        (["play", "beat.mid", "out.wav", "--run", "drums", "--tail", "nan"], "tail=nan"),
    ],
)
def test_what_cannot_be_done(
    tmp_path: Path, pattern: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[object], says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=says):
        run(*arguments)
    assert [path.name for path in tmp_path.iterdir()] == ["beat.mid"]


@pytest.mark.parametrize("model", ["/dev/zero", "../../secret.txt", "gone.audiogan", ""])
def test_a_strangers_kit_opens_no_other_files(tmp_path: Path, kit: Kit, model: str) -> None:
    (tmp_path / "kit.json").write_text(Kit(kit.pads, model).to_json())
    with pytest.raises(UserError, match="give it with --run"):
        run("kit", tmp_path / "out", "--from", tmp_path / "kit.json")
