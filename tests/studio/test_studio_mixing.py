"""Tests of levels in the studio: pads, loops and single sounds are equal to those of the kit and of ``audiogan
play``."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import soundfile

from audiogan.kits import Kit, play_pattern
from audiogan.kits.rendering import CEILING_DB, render_hits, true_peak
from audiogan.model.sampling import read_recipe

if TYPE_CHECKING:
    from starlette.testclient import TestClient

    from audiogan import Generator

STEP = 2**-23
"""One step of 24 bits."""
PATTERN: dict[str, Any] = {"tempo": 97, "beats": 4}
PATTERN["notes"] = [(0, 36, 127), (0.27, 42, 79), (1, 38, 100), (2.5, 46, 127), (2.75, 42, 60), (3.77, 49, 127)]


def posted(client: TestClient, path: str, **wanted: Any) -> Any:
    answer = client.post(path, json=wanted)
    assert answer.status_code == 200, answer.text
    return answer


def decoded(content: bytes) -> tuple[np.ndarray, int]:
    samples, rate = soundfile.read(io.BytesIO(content), dtype="float64", always_2d=True)
    return samples.T, rate


@pytest.fixture(scope="module")
def pads(client: TestClient) -> list[dict[str, Any]]:
    """Return a kit in which one pad has a level, one a pan and one a tune other than 0."""
    pads = posted(client, "/api/kit", seed=4).json()["pads"]
    pads[0]["level"], pads[1]["pan"], pads[2]["tune"] = -7.5, -0.6, 5
    return pads


@pytest.fixture(scope="module")
def zipped(client: TestClient, pads: list[dict[str, Any]]) -> zipfile.ZipFile:
    content = posted(client, "/api/kit.zip", pads=pads, format="wav").content
    return zipfile.ZipFile(io.BytesIO(content))


def test_the_highest_peak_of_a_kit_is_at_the_ceiling(zipped: zipfile.ZipFile) -> None:
    waves = [decoded(zipped.read(name)) for name in zipped.namelist() if name.endswith(".wav")]
    assert len(waves) == 16 and {wave.shape[0] for wave, _ in waves} == {2}
    assert max(true_peak(wave, rate) for wave, rate in waves) == pytest.approx(CEILING_DB, abs=0.01)


def test_pads_of_the_page_have_the_levels_of_the_kit(
    client: TestClient, drums: Generator, pads: list[dict[str, Any]], zipped: zipfile.ZipFile
) -> None:
    kit = Kit.from_json(zipped.read("kit.json"))
    sounds = [{key: pad[key] for key in ("recipe", "level", "pan", "tune")} for pad in pads]
    gain = posted(client, "/api/balance", pads=sounds).json()["gain"]
    expected = render_hits(drums, kit, drums.sample_rate)
    for sound, [hit] in zip(sounds, expected, strict=True):
        wave, rate = decoded(posted(client, "/api/pad.wav", **sound).content)
        assert rate == drums.sample_rate and wave.shape[0] == (2 if sound["pan"] else 1)
        assert np.abs(gain * wave - hit.wave).max() < STEP


def test_a_single_sound_is_the_file_of_the_kit(
    client: TestClient, pads: list[dict[str, Any]], zipped: zipfile.ZipFile, tmp_path: Path
) -> None:
    names = [name for name in zipped.namelist() if name.endswith(".wav")]
    content = posted(client, "/api/sound", pads=pads, pad=2).content
    assert content in {zipped.read(name) for name in names if name.startswith(f"{pads[2]['note']:03d}-")}
    assert content[36:40] == b"data" and content.rindex(b"LIST") > len(content) - 1000
    (tmp_path / "pad.wav").write_bytes(content)
    assert json.loads(read_recipe(tmp_path / "pad.wav").to_json()) == pads[2]["recipe"]
    layers = posted(client, "/api/sound", pads=pads[:3], pad=2, layers=3, sample_rate=48000, bits=16).content
    archive = zipfile.ZipFile(io.BytesIO(layers))
    assert archive.namelist() == ["v1.wav", "v2.wav", "v3.wav"]
    for name in archive.namelist():
        info = soundfile.info(io.BytesIO(archive.read(name)))
        assert (info.samplerate, info.subtype) == (48000, "PCM_16")


@pytest.mark.parametrize(("beats", "layers"), [(4, 1), (2.5, 1), (8, 3)])
def test_the_loop_is_what_play_makes_of_kit_and_pattern(
    client: TestClient, drums: Generator, pads: list[dict[str, Any]], tmp_path: Path, beats: float, layers: int
) -> None:
    notes = [note for note in PATTERN["notes"] if note[0] < beats]
    pattern = {**PATTERN, "beats": beats, "notes": notes}
    answer = posted(client, "/api/loop", pads=pads, pattern=pattern, sample_rate=48000, layers=layers)
    loop, rate = decoded(answer.content)
    midi = posted(client, "/api/pattern.mid", **pattern).content
    (tmp_path / "pattern.mid").write_bytes(midi)
    kit = Kit.from_json(posted(client, "/api/kit.json", pads=pads, layers=layers).content)
    played = play_pattern(drums, kit, tmp_path / "pattern.mid", sample_rate=48000, loop=True)
    assert rate == 48000 and loop.shape == played.shape == (2, round(beats * round(60e6 / 97) / 1e6 * 48000))
    assert np.abs(loop - played).max() <= STEP
    assert 0 <= float(answer.headers["x-attenuation"]) < 12


def test_stems_add_up_to_the_loop(client: TestClient, pads: list[dict[str, Any]]) -> None:
    wanted = {"pads": pads, "pattern": PATTERN}
    loop, _ = decoded(posted(client, "/api/loop", **wanted).content)
    archive = zipfile.ZipFile(io.BytesIO(posted(client, "/api/loop", **wanted, stems=True).content))
    assert len(archive.namelist()) == 5  # The pattern has two strokes of the closed hat.
    assert np.abs(sum(decoded(archive.read(name))[0] for name in archive.namelist()) - loop).max() < 8 * STEP
    refused = client.post("/api/loop", json={"pads": pads[:2], "pattern": PATTERN})
    assert refused.status_code == 422 and "no pad for the notes" in refused.json()["error"]
