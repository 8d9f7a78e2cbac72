"""Tests of kits in real players, if they are installed: Hydrogen (`h2cli`) and sfizz (`pip install pysfizz`)."""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
import time
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import soundfile

from audiogan import Generator
from audiogan.kits import Kit, Pad, save_kit
from audiogan.kits.rendering import Hit

H2 = "{http://www.hydrogen-music.org/drumkit}"
RATE = 48000


@pytest.fixture(scope="module")
def small(kit: Kit) -> Kit:
    """Return a kit of a kick, a closed hat and an open hat."""
    by_note = {pad.note: pad for pad in kit.pads}
    return Kit(tuple(by_note[note] for note in (36, 42, 46)), kit.model)


@pytest.fixture(scope="module")
def strokes(kit: Kit, hits: list[list[Hit]]) -> dict[int, list[Hit]]:
    return {pad.note: its for pad, its in zip(kit.pads, hits, strict=True)}


def _h2cli(home: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "HOME": str(home), "QT_QPA_PLATFORM": "offscreen"}
    command = ["h2cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)


def _song(drumkit: str, notes: list[tuple[int, float, int]]) -> str:
    """Return a song of Hydrogen 1.2: one bar at 50 beats per minute. A note is (time in 48ths of a beat, velocity,
    number of the instrument)."""
    kit = ET.fromstring(drumkit)
    name = kit.findtext(f"{H2}name", "")
    song = ET.Element("song")

    def fill(parent: ET.Element, **values: object) -> ET.Element:
        for tag, text in values.items():
            ET.SubElement(parent, tag).text = str(text)
        return parent

    fill(song, version="1.2.0", bpm=50, volume=1, metronomeVolume=0, name="t", loopEnabled="false", mode="song")
    fill(song, humanize_time=0, humanize_velocity=0, swing_factor=0)
    for part in (kit.find(f"{H2}componentList"), kit.find(f"{H2}instrumentList")):
        assert part is not None
        for element in part.iter():
            element.tag = element.tag.removeprefix(H2)
        song.append(part)
    for instrument in song.findall("instrumentList/instrument"):
        fill(instrument, drumkit=name, drumkitLookup=1)
    pattern = ET.SubElement(ET.SubElement(song, "patternList"), "pattern")
    listed = ET.SubElement(fill(pattern, name="p", size=192, denominator=4), "noteList")
    for position, velocity, instrument in notes:
        one = fill(ET.SubElement(listed, "note"), position=position, leadlag=0, velocity=velocity, pan=0, pitch=0)
        fill(one, probability=1, key="C0", length=-1, instrument=instrument, note_off="false")
    ET.SubElement(song, "virtualPatternList")
    fill(ET.SubElement(ET.SubElement(song, "patternSequence"), "group"), patternID="p")
    return ET.tostring(song, encoding="unicode")


@pytest.mark.skipif(shutil.which("h2cli") is None, reason="Hydrogen (h2cli) is not installed")
def test_hydrogen_validates_and_plays_a_kit(
    drums: Generator, small: Kit, strokes: dict[int, list[Hit]], tmp_path: Path
) -> None:
    files = save_kit(drums, small, tmp_path / "k", "hydrogen", sample_rate=RATE, name="My kit")
    assert _h2cli(tmp_path, "-c", files[-1]).returncode == 0
    with tarfile.open(files[-1]) as archive:  # Install it in the user's folder of drum kits, as `h2cli -i` does.
        archive.extractall(tmp_path / ".hydrogen/data/drumkits")
    xml = (tmp_path / ".hydrogen/data/drumkits/My kit/drumkit.xml").read_text()

    # A beat has 48 ticks and 57,600 samples, so it is longer than any sound. Two kicks, then an open hat and a closed
    # hat.
    (tmp_path / "s.h2song").write_text(
        _song(xml, [(0, 1.0, 0), (48, 0.6, 0), (96, 0.3, 0), (144, 1.0, 2), (156, 1.0, 1)])
    )
    _h2cli(tmp_path, "-s", tmp_path / "s.h2song", "-o", tmp_path / "s.wav", "-r", RATE, "-b", 24)
    out = soundfile.read(tmp_path / "s.wav", always_2d=True)[0][:, 0]
    for start, velocity, layer in ((0, 1.0, 2), (57600, 0.6, 1), (115200, 0.3, 0)):
        wave = strokes[36][layer].wave[0][:20000]
        level = velocity * 127 / [42, 84, 127][layer]
        # Hydrogen rounds the times of ticks by a few samples.
        apart = [np.abs(out[start + at : start + at + len(wave)] - level * wave).max() for at in range(8)]
        assert min(apart) < 1e-4, (velocity, apart)
    closed, opened = strokes[42][2].wave[0], strokes[46][2].wave[0]
    after = out[187200 : 187200 + 4800]  # The closed hat begins 14,400 samples after the open hat.
    left = [np.abs(after[2400 + i : 4800] - closed[2400 : 4800 - i]).max() for i in range(8)]
    assert min(left) < 0.01 * np.abs(opened[16800:19200]).max()  # 50 ms later, the open hat is silent.


def test_sfizz_plays_a_kit(drums: Generator, small: Kit, strokes: dict[int, list[Hit]], tmp_path: Path) -> None:
    pysfizz = pytest.importorskip("pysfizz", reason="sfizz is not installed (pip install pysfizz)")
    files = save_kit(drums, small, tmp_path, "sfz", sample_rate=RATE)
    synth = pysfizz.Synth(RATE, 256)
    synth._synth.enable_freewheeling()  # The synthesizer then waits for samples that are not loaded yet.
    assert synth.load_sfz_file(files[-1]) and synth.playable_keys == [36, 42, 46]

    def play(*notes: tuple[int, int, int]) -> np.ndarray:
        """Return the left channel of half a second of sound. It is rendered until two results are equal, because
        samples are loaded in the background."""
        last = once(*notes)
        for _ in range(50):
            before, last = last, once(*notes)
            if last.any() and np.abs(last - before).max() < 1e-6:
                break
            time.sleep(0.02)
        return last

    def once(*notes: tuple[int, int, int]) -> np.ndarray:
        """Render notes ``(sample, note, velocity)`` once."""
        out = []
        for start in range(0, 24064, 256):
            for at, note, velocity in notes:
                if start <= at < start + 256:
                    synth._synth.note_on(at - start, note, velocity)
            out.append(synth._synth.render_block()[0])
        synth._synth.all_sound_off()
        synth._synth.render_block()
        return np.concatenate(out)

    full = float(np.abs(play((0, 36, 127))).max())
    peaks = [float(np.abs(hit.wave).max()) for hit in strokes[36]]
    for velocity, layer, top in ((20, 0, 42), (42, 0, 42), (43, 1, 84), (84, 1, 84), (85, 2, 127), (100, 2, 127)):
        heard = float(np.abs(play((0, 36, velocity))).max()) / full
        assert heard == pytest.approx(velocity / top * peaks[layer] / peaks[2], rel=0.03), velocity
    alone, choked = play((0, 46, 127)), play((0, 46, 127), (9600, 42, 127)) - play((9600, 42, 127))
    assert np.abs(choked[12000:20000]).max() < 1e-3 * np.abs(alone[12000:20000]).max()
    both = play((0, 36, 127), (9600, 42, 127)) - play((9600, 42, 127))
    assert np.abs(both - play((0, 36, 127))).max() < 1e-3 * full  # A hat silences only other hats.


def test_pads_of_one_layer_follow_velocity_too(drums: Generator, small: Kit, tmp_path: Path) -> None:
    pysfizz = pytest.importorskip("pysfizz", reason="sfizz is not installed (pip install pysfizz)")
    one = Kit(tuple(Pad(pad.name, pad.note, pad.layers[-1:]) for pad in small.pads), small.model)
    files = save_kit(drums, one, tmp_path, "sfz", sample_rate=RATE)
    peaks = []
    for velocity in (127, 32):
        # There is one synthesizer per stroke, because the first stroke would still sound during the second.
        synth = pysfizz.Synth(RATE, 256)
        synth._synth.enable_freewheeling()
        assert synth.load_sfz_file(files[-1])
        peaks.append(float(np.abs(synth.render_note(36, velocity, 0.1, 0.4)).max()))
    loud, soft = peaks
    assert soft / loud == pytest.approx(32 / 127, rel=0.03)
