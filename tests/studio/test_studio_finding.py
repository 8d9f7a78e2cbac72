"""Tests of the API that finds sounds: recordings of the user, the map, similar sounds and directions."""

from __future__ import annotations

import io
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import soundfile
from starlette.testclient import TestClient

from audiogan.cli import main
from audiogan.kits.rendering import momentary_loudness
from audiogan.latents import neighbours
from audiogan.model.recipe import Recipe
from audiogan.studio import create_app, recordings

if TYPE_CHECKING:
    from audiogan import Generator

HOST = "http://127.0.0.1:8642"


def hit(seed: int = 0, rate: int = 44_100, seconds: float = 0.3, hz: float = 200) -> np.ndarray:
    t = np.arange(round(rate * seconds)) / rate
    noise = np.random.default_rng(seed).normal(size=len(t))
    return 0.4 * np.exp(-12 * t) * (np.sin(2 * np.pi * hz * t) + 0.2 * noise)


def content(samples: np.ndarray, rate: int = 44_100, **how: str) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate, **{"format": "WAV", **how})
    return file.getvalue()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for i, name in enumerate(("kick/a.wav", "Snares/b.flac", "HH_open 03.wav", "loose/thing.wav")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        soundfile.write(tmp_path / name, hit(i), 44_100)
    (tmp_path / "broken.wav").write_bytes(b"RIFF of nothing")
    (tmp_path / "notes.txt").write_text("no sound")
    return tmp_path


def studio(drums: Generator, folder: Path | None = None) -> TestClient:
    return TestClient(create_app(drums, recordings_dir=folder), base_url=HOST, raise_server_exceptions=False)


def listed(client: TestClient) -> dict[str, Any]:
    for _ in range(600):
        state = client.get("/api/recordings").json()
        if not state["reading"]:
            return state
        time.sleep(0.05)
    raise AssertionError("the folder is still being read")


def add(client: TestClient, name: str, body: bytes) -> Any:
    return client.post("/api/recordings", params={"name": name}, content=body)


def test_a_folder_is_read_and_its_classes_are_found(drums: Generator, folder: Path) -> None:
    client = studio(drums, folder)
    state = listed(client)
    labels = {one["name"]: one["label"] for one in state["recordings"]}
    assert labels == {
        "kick/a.wav": "kick",
        "Snares/b.flac": "snare",
        "HH_open 03.wav": "hat_open",
        "loose/thing.wav": "",
    }
    assert state["folder"] == folder.name and state["read"] == state["total"] == 5
    assert len(state["skipped"]) == 1 and state["skipped"][0].startswith("broken.wav: ")
    assert str(folder.parent) not in json.dumps(state)
    one = state["recordings"][0]
    wave, rate = soundfile.read(io.BytesIO(client.get(f"/api/recordings/{one['id']}.wav").content))
    assert rate == 16_000 and 0.2 < len(wave) / rate < 0.35
    pad = {"recipe": json.loads(drums.recipes(1, seed=1, label="kick")[0].to_json())}
    other, _ = soundfile.read(io.BytesIO(client.post("/api/pad.wav", json=pad).content))
    assert momentary_loudness(wave[None], 16_000) == pytest.approx(momentary_loudness(other[None], 16_000), abs=0.3)
    assert client.get("/api/recordings/0000.wav").status_code == 404
    assert client.get("/api/recordings/..%2f..%2fetc%2fpasswd.wav").status_code == 404


def test_uploads_are_kept_once_and_removed(drums: Generator) -> None:
    client = studio(drums)
    first = add(client, "My Kit/Kick 1.wav", content(hit())).json()
    assert first["label"] == "kick" and first["name"] == "My Kit/Kick 1.wav"
    assert add(client, "again.wav", content(hit())).json()["id"] == first["id"]
    assert len(listed(client)["recordings"]) == 1
    assert client.delete("/api/recordings").json()["recordings"] == []
    assert client.get(f"/api/recordings/{first['id']}.wav").status_code == 404


@pytest.mark.parametrize(
    ("name", "body", "said"),
    [
        ("x.wav", b"", "not a sound file"),
        ("x.wav", b"<script>alert(1)</script>" * 100, "not a sound file"),
        ("../../etc/passwd", content(np.zeros(8000)), "silent"),
        ("x\r\nSet-Cookie: a=b\x1b[31m", b"RIFF\xff\xff\xff\xffWAVEfmt ", "Set-Cookie: a=b"),
        ("x.wav", content(np.full(4000, np.nan), subtype="FLOAT"), "NaN"),
        ("\u202egpj.wav" + "x" * 5000, content(hit()), "name"),
    ],
)
def test_hostile_uploads_get_one_line(drums: Generator, name: str, body: bytes, said: str) -> None:
    client = studio(drums)
    answer = add(client, name, body)
    line = answer.json()["error"]
    assert answer.status_code == 422 and said in line and len(line) <= 300
    assert not any(ord(letter) < 32 or 0x200B <= ord(letter) <= 0x202E for letter in line)
    assert listed(client)["recordings"] == []


def test_memory_for_recordings_is_limited(drums: Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    client = studio(drums)
    monkeypatch.setattr(recordings, "MAX_RECORDINGS", 2)
    for seed in range(2):
        assert add(client, f"{seed}.wav", content(hit(seed))).status_code == 200
    assert add(client, "0.wav", content(hit(0))).status_code == 200  # The recording is stored already.
    full = add(client, "2.wav", content(hit(2)))
    assert full.status_code == 413 and "no room" in full.json()["error"]
    monkeypatch.setattr(recordings, "MAX_RECORDINGS", 1000)
    monkeypatch.setattr(recordings, "MAX_BYTES", 30_000)
    assert add(client, "3.wav", content(hit(3))).status_code == 413
    assert add(client, "big.wav", bytes(16 * 2**20 + 1)).status_code == 413


def test_a_large_folder_is_thinned(drums: Generator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for i in range(9):
        soundfile.write(tmp_path / f"{i}.wav", hit(i, seconds=0.05), 44_100)
    monkeypatch.setattr(recordings, "MAX_RECORDINGS", 3)
    state = listed(studio(drums, tmp_path))
    assert [one["name"] for one in state["recordings"]] == ["0.wav", "3.wav", "6.wav"]
    assert state["skipped"] == ["only 3 of 9 sound files are read, evenly spaced"]


@pytest.mark.parametrize("kind", ["missing", "empty", "file"])
def test_a_bad_folder_is_named_before_the_model_is_loaded(
    tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / kind
    if kind == "empty":
        place.mkdir()
    elif kind == "file":
        place.write_bytes(b"")
    assert main(["studio", "drums", "--no-browser", "--port", "0", "--recordings", str(place)]) == 2
    said = capsys.readouterr().err
    assert kind in said and said.count("\n") == 1
    assert ("no such folder" if kind != "empty" else "no sound file") in said


def test_the_map_holds_generated_sounds_and_recordings(drums: Generator, folder: Path) -> None:
    client = studio(drums, folder)
    listed(client)
    answer = client.post("/api/map", json={"n": 24})
    points = answer.json()["points"]
    assert len(points) == 28 and all(0 <= point[axis] <= 1 for point in points for axis in "xy")
    assert [Recipe.from_json(json.dumps(point["recipe"])) for point in points[:24]] == drums.recipes(24, seed=0)
    assert [point["recording"]["name"] for point in points[24:]] == [
        *("HH_open 03.wav", "Snares/b.flac", "kick/a.wav", "loose/thing.wav")
    ]
    assert client.post("/api/map", json={"n": 24}).content == answer.content
    assert studio(drums).post("/api/map", json={"n": 24}).json()["points"] != points[:24]

    kicks = client.post("/api/map", json={"n": 5, "label": "kick", "seed": 3}).json()["points"]
    assert [point["recording"]["name"] for point in kicks[5:]] == ["kick/a.wav", "loose/thing.wav"]
    assert all(point["recipe"]["classes"] == {"kick": 1} for point in kicks[:5])
    for wrong in ({"n": 0}, {"n": 301}, {"n": 5, "label": "piano"}, {"n": 5, "x": 1}, {"n": 5, "seed": -1}):
        refused = client.post("/api/map", json=wrong)
        assert refused.status_code == 422 and "\n" not in refused.json()["error"]


def test_similar_sounds_are_those_of_the_python_api(drums: Generator, client: TestClient) -> None:
    recipe = drums.recipes(1, seed=5, label="snare")[0]
    wire = json.loads(recipe.to_json())
    found = client.post("/api/neighbours", json={"recipe": wire, "n": 3}).json()
    same = neighbours(drums, recipe, 3)
    assert [Recipe.from_json(json.dumps(one)) for one in found["recipes"]] == [one.recipe for one in same]
    assert found["distances"] == [round(one.distance, 4) for one in same] == sorted(found["distances"])
    assert client.post("/api/neighbours", json={"recipe": wire, "seed": 1}).json() != found
    for wrong in ({"n": 0}, {"n": 65}, {"recipe": {**wire, "model": "other"}}, {"recipe": {**wire, "latent": "AAAA"}}):
        assert client.post("/api/neighbours", json={"recipe": wire, **wrong}).status_code == 422


def test_moves_along_directions_come_in_pairs(drums: Generator, client: TestClient) -> None:
    wire = json.loads(drums.recipes(1, seed=5, label="kick")[0].to_json())
    moves = client.post("/api/directions", json={"recipe": wire, "n": 2, "amount": 2}).json()["moves"]
    assert [move["amount"] for move in moves] == [2, -2, 2, -2]
    assert len({json.dumps(move["recipe"]) for move in moves}) == 4
    assert all(move["recipe"]["classes"] == {"kick": 1} and move["name"] for move in moves)
    near = client.post("/api/directions", json={"recipe": wire, "n": 2, "amount": 0.001}).json()["moves"]
    assert [move["name"] for move in near] == [move["name"] for move in moves]
    there, back = (Recipe.from_json(json.dumps(move["recipe"])).latent for move in near[:2])
    assert np.allclose(there, back, atol=0.01)
    for wrong in ({"amount": 0}, {"amount": 21}, {"n": 9}, {"amount": "far"}):
        assert client.post("/api/directions", json={"recipe": wire, **wrong}).status_code == 422
