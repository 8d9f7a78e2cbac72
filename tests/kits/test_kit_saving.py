"""Tests of kits as files, read by strict readers of the published formats."""

from __future__ import annotations

import csv
import hashlib
import json
import re
import subprocess
import sys
import tarfile
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import soundfile

import audiogan.kits.saving
from audiogan import Generator, UserError
from audiogan.kits import FORMATS, Kit, Pad, save_kit
from audiogan.kits.rendering import Hit
from audiogan.model.sampling import read_recipe

# The SFZ opcodes that kits use, with their ranges. All belong to version 1 (sfzformat.com, "SFZ v1 opcodes").
OPCODES: dict[str, Any] = {"key": range(128), "lovel": range(1, 128), "hivel": range(128), "sample": str}
OPCODES |= {"group": range(1, 2**32), "off_by": range(1, 2**32), "off_mode": {"fast"}, "loop_mode": {"one_shot"}}


def _sfz(path: Path) -> list[dict[str, Any]]:
    """Return the regions of an SFZ file, each with the opcodes of its group. Fail for opcodes that version 1 does not
    define."""
    regions: list[dict[str, Any]] = []
    group: dict[str, Any] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line or line.startswith("//"):
            continue
        header, *opcodes = line.split(" ")
        found: dict[str, Any] = {}
        for opcode in opcodes:
            name, value = opcode.split("=")
            if curve := re.fullmatch(r"amp_velcurve_([0-9]+)", name):
                assert 0 <= int(curve[1]) <= 127 and 0 <= float(value) <= 1
                found.setdefault("curve", {})[int(curve[1])] = float(value)
                continue
            allowed = OPCODES[name]
            found[name] = int(value) if isinstance(allowed, range) else value
            assert allowed is str or found[name] in allowed, opcode
        if header == "<group>":
            group = found
        else:
            assert header == "<region>"
            regions.append({"lovel": 1, "hivel": 127, **group, **found})
    return regions


def _gain(curve: dict[int, float], velocity: int) -> float:
    """Return the gain of a velocity. SFZ version 1 interpolates linearly between the given points. Without points, it
    uses a square law."""
    assert curve
    points = {0: 0.0, 127: 1.0} | curve
    return float(np.interp(velocity, sorted(points), [points[v] for v in sorted(points)]))


@pytest.fixture(scope="module")
def saved(drums: Generator, kit: Kit, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the kit in all formats."""
    out = tmp_path_factory.mktemp("kits") / "Nice kit"
    for format in FORMATS:
        files = save_kit(drums, kit, out, format, sample_rate=48000)
        assert all(file.is_file() for file in files)
    return out


def test_sfz(saved: Path, kit: Kit, hits: list[list[Hit]]) -> None:
    regions = _sfz(saved / "Nice kit.sfz")
    for pad, strokes in zip(kit.pads, hits, strict=True):
        mine = [region for region in regions if region["key"] == pad.note]
        assert [v for r in mine for v in range(r["lovel"], r["hivel"] + 1)] == list(range(1, 128))
        for region, hit in zip(mine, strokes, strict=True):
            wave, rate = soundfile.read(saved / region["sample"])
            assert rate == 48000 and np.abs(wave - hit.wave[0]).max() < 2**-23
            for velocity in (region["lovel"], region["hivel"]):
                level = hit.loudness + 20 * np.log10(_gain(region.get("curve", {}), velocity))
                assert level == pytest.approx(strokes[-1].loudness + 20 * np.log10(velocity / 127), abs=0.01)
        expected = {"hat_open": (1, 1), "hat_closed": (1, None)}.get(pad.layers[0].label, (None, None))
        assert all((r.get("group"), r.get("off_by")) == expected for r in mine), pad.name
        assert all(r["loop_mode"] == "one_shot" for r in mine)
    assert len(regions) == 48


def test_decent_sampler(saved: Path, kit: Kit) -> None:
    root = ET.parse(saved / "Nice kit.dspreset").getroot()
    assert root.tag == "DecentSampler" and [child.tag for child in root] == ["groups"]
    groups = root.findall("groups/group")
    for pad, group in zip(kit.pads, groups, strict=True):
        hat = {"hat_open": ("hat", "hat"), "hat_closed": ("hat", None)}.get(pad.layers[0].label, (None, None))
        assert (group.get("tags"), group.get("silencedByTags")) == hat
        assert group.get("name") == pad.name and group.get("ampVelTrack") == "1"
        borders: list[Any] = []
        for sample in group:
            one = sample.attrib
            assert one["rootNote"] == one["loNote"] == one["hiNote"] == str(pad.note)
            assert (saved / one["path"]).is_file()
            volume = re.fullmatch(r"(-?[0-9.]+)dB", one["volume"])
            assert volume and float(volume[1]) == pytest.approx(20 * np.log10(127 / int(one["hiVel"])), abs=0.01)
            borders += range(int(one["loVel"]), int(one["hiVel"]) + 1)
        assert borders == list(range(128))


def test_wav_folder(saved: Path, kit: Kit, hits: list[list[Hit]]) -> None:
    with open(saved / "map.csv", newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 48
    for row in rows:
        file = saved / row["file"]
        assert file.is_file() and file.name.startswith(f"{int(row['note']):03d}-")
        assert float(row["seconds"]) == pytest.approx(soundfile.info(file).duration, abs=1e-3)
    assert [int(row["note"]) for row in rows[::3]] == [pad.note for pad in kit.pads]
    assert rows[3]["general_midi"] == "kick"
    for row, hit in zip(rows, [hit for strokes in hits for hit in strokes], strict=True):
        assert float(row["momentary_lufs"]) == pytest.approx(hit.loudness, abs=0.051)
        assert float(row["true_peak_dbtp"]) == pytest.approx(hit.peak, abs=0.051)


@pytest.mark.parametrize(("folder", "bits", "rate"), [("samples", 24, 48000), ("Samples", 24, 48000)])
def test_every_file_holds_its_recipe(saved: Path, kit: Kit, folder: str, bits: int, rate: int) -> None:
    files = sorted((saved / folder).glob("*.wav"))
    recipes = [recipe for pad in kit.pads for recipe in pad.layers]
    assert [read_recipe(file) for file in files] == recipes
    assert {soundfile.info(file).subtype for file in files} == {f"PCM_{bits}"}
    assert Kit.from_json((saved / "kit.json").read_text()) == kit


def test_hydrogen_archive(saved: Path, kit: Kit) -> None:
    with tarfile.open(saved / "Nice kit.h2drumkit", "r:gz") as archive:
        names = archive.getnames()
        assert names[0] == "Nice kit" and all(name.startswith("Nice kit/") for name in names[1:])
        xml = archive.extractfile("Nice kit/drumkit.xml")
        own = archive.extractfile("Nice kit/kit.json")
        assert xml and own and Kit.from_json(own.read()) == kit
        root = ET.fromstring(xml.read())
    space = {"h": "http://www.hydrogen-music.org/drumkit"}
    for pad, one in zip(kit.pads, root.findall("h:instrumentList/h:instrument", space), strict=True):
        assert one.findtext("h:midiOutNote", namespaces=space) == str(pad.note)
        hat = pad.layers[0].label.startswith("hat")
        assert one.findtext("h:muteGroup", namespaces=space) == ("0" if hat else "-1")
        layers = one.findall("h:instrumentComponent/h:layer", space)
        ends = [(float(x.findtext("h:min", "", space)), float(x.findtext("h:max", "", space))) for x in layers]
        assert ends[0][0] == 0 and ends[-1][1] == 1 and all(a[1] == b[0] for a, b in pairwise(ends))
        for velocity in range(1, 128):
            assert sum(low <= velocity / 127 <= high for low, high in ends) == 1
        assert {f"Nice kit/{x.findtext('h:filename', '', space)}" for x in layers} <= set(names)


def test_same_kit_same_bytes_and_another_is_refused(drums: Generator, kit: Kit, saved: Path, tmp_path: Path) -> None:
    small = Kit(kit.pads[:2], kit.model)
    before = {path: path.read_bytes() for path in saved.rglob("*") if path.is_file()}
    save_kit(drums, small, tmp_path, "hydrogen", name="x")
    first = (tmp_path / "x.h2drumkit").read_bytes()
    save_kit(drums, small, tmp_path, "hydrogen", name="x")
    assert (tmp_path / "x.h2drumkit").read_bytes() == first
    for format in FORMATS:
        with pytest.raises(UserError, match="choose another folder"):
            save_kit(drums, small, saved, format)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "map.csv").write_text("mine")
    with pytest.raises(UserError, match=r"map\.csv"):
        save_kit(drums, small, tmp_path / "other", "wav")
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["map.csv"]
    assert {path: path.read_bytes() for path in saved.rglob("*") if path.is_file()} == before


HOSTILE = [
    "../../evil",
    "/etc/passwd",
    "a b=c key=1",
    "<region> sample=x",
    '"&<>]]>',
    "café ☃",
    "..",
    "C:\\x",
    "$x #define",
]


@pytest.mark.parametrize("format", FORMATS)
def test_names_of_strangers_stay_where_they_belong(drums: Generator, kit: Kit, tmp_path: Path, format: str) -> None:
    pads = [Pad(name, pad.note, pad.layers[:1]) for name, pad in zip(HOSTILE, kit.pads, strict=False)]
    bad, out = Kit(tuple(pads), "../../m"), tmp_path / "a" / "out"
    files = save_kit(drums, bad, out, format, name="../../<evil> & co")
    assert all(file.resolve().is_relative_to(out.resolve()) for file in files)
    assert {path for path in tmp_path.rglob("*") if path.is_file()} == set(files)
    assert all(re.fullmatch(r"[A-Za-z0-9_. -]+", file.name) for file in files)
    if format == "sfz":
        regions = _sfz(files[-1])
        assert [r["key"] for r in regions] == [pad.note for pad in pads]
        assert all((out / r["sample"]).is_file() for r in regions)
    if format == "decent":
        assert [group.get("name") for group in ET.parse(files[-1]).getroot().findall("groups/group")] == HOSTILE
    if format == "hydrogen":
        with tarfile.open(files[-1]) as archive:
            assert all(re.fullmatch(r"evil- - co-[0-9a-f]{6}(/[A-Za-z0-9_.-]+)?", name) for name in archive.getnames())
    if format == "wav":
        with open(files[-1], newline="", encoding="utf-8") as stream:
            assert [row["pad"].lstrip("'") for row in csv.DictReader(stream)] == HOSTILE


@pytest.mark.parametrize("format", FORMATS)
def test_nothing_is_left_of_a_kit_that_failed(
    drums: Generator, kit: Kit, tmp_path: Path, format: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = audiogan.kits.saving.save_wav, []

    def failing(*args: Any, **named: Any) -> None:
        calls.append(args)
        if len(calls) == 3:
            raise OSError(28, "No space left on device")
        real(*args, **named)

    monkeypatch.setattr(audiogan.kits.saving, "save_wav", failing)
    with pytest.raises(UserError, match="No space left"):
        save_kit(drums, Kit(kit.pads[:4], kit.model), tmp_path / "out", format)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.parametrize(("given", "says"), [({"format": "mp3"}, "mp3"), ({"bits": 8}, "bits=8")])
def test_bad_settings_of_files(drums: Generator, kit: Kit, tmp_path: Path, given: dict[str, Any], says: str) -> None:
    with pytest.raises(UserError, match=says):
        save_kit(drums, kit, tmp_path / "out", **given)
    assert not (tmp_path / "out").exists()


MAKE = """
import hashlib, sys
import audiogan
from audiogan.kits import Kit, make_kit, render_pads, save_kit
g = audiogan.load("drums")
kit = make_kit(g, 3, seed=5, layers=2)
save_kit(g, kit, sys.argv[1], bits=16)
print(hashlib.sha256(b"".join(w.tobytes() for pad in render_pads(g, kit) for w in pad)).hexdigest())
"""


def test_a_saved_kit_sounds_the_same_in_another_process(drums: Generator, tmp_path: Path) -> None:
    from audiogan.kits import render_pads

    run = subprocess.run([sys.executable, "-c", MAKE, tmp_path / "k"], capture_output=True, text=True, check=True)
    kit = Kit.from_json((tmp_path / "k" / "kit.json").read_text())
    waves = [wave for pad in render_pads(drums, kit) for wave in pad]
    assert hashlib.sha256(b"".join(wave.tobytes() for wave in waves)).hexdigest() == run.stdout.strip()
    files = sorted((tmp_path / "k" / "samples").glob("*.wav"))
    for file, wave in zip(files, waves, strict=True):
        assert np.abs(soundfile.read(file)[0] - wave[0]).max() <= 2**-15
        again = drums.render(read_recipe(file))
        assert json.loads(read_recipe(file).to_json())["model"] == "drums" and again.shape == (1, 1, 16384)
