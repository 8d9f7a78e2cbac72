"""Tests of kits and sounds that are opened in the studio: unchanged samples, and limits for untrusted files."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from audiogan.kits import Kit, make_kit
from audiogan.modalities.wav import encode_wav

if TYPE_CHECKING:
    from starlette.testclient import TestClient

    from audiogan import Generator


def opened(client: TestClient, content: bytes | str) -> dict[str, Any]:
    answer = client.post("/api/open", content=content)
    assert answer.status_code == 200, answer.text
    return answer.json()


def refused(client: TestClient, content: bytes | str, status: int = 422) -> str:
    answer = client.post("/api/open", content=content)
    assert answer.status_code == status, answer.text
    line = answer.json()["error"]
    assert "\n" not in line and len(line) < 320
    return line


def zipped(**files: str | bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return packed.getvalue()


@pytest.fixture(scope="module")
def kit(drums: Generator) -> Kit:
    return make_kit(drums, 16, seed=3)


def test_a_kit_saved_and_opened_again_has_the_same_samples(client: TestClient, drums: Generator) -> None:
    kit = make_kit(drums, 16, seed=7, layers=2)
    first = opened(client, kit.to_json())
    assert first["layers"] == 2 and first["note"] == "" and first["session"] is None
    first["pads"][3] |= {"level": 4.5, "pan": 0.3, "tune": -2}
    session = {"tempo": 97, "swing": 50, "patterns": [], "switches": []}
    wanted = {"pads": first["pads"], "layers": 2, "format": "wav", "session": session}
    content = client.post("/api/kit.zip", json=wanted).content
    second = opened(client, content)
    assert second["session"] == session and second["pads"] == first["pads"]
    again = client.post("/api/kit.zip", json={**wanted, "pads": second["pads"]}).content
    assert again == content and len(zipfile.ZipFile(io.BytesIO(content)).namelist()) == 34
    text = client.post("/api/kit.json", json={key: wanted[key] for key in ("pads", "layers", "session")}).content
    assert opened(client, text) == second
    assert zipfile.ZipFile(io.BytesIO(content)).read("kit.json") == text


def test_layers_of_a_changed_sound_are_made_anew(client: TestClient, drums: Generator) -> None:
    pads = opened(client, make_kit(drums, 16, seed=7, layers=2).to_json())["pads"][:2]
    pads[0]["recipe"] = client.post("/api/vary", json={"recipe": pads[0]["recipe"], "amount": 0.5}).json()["recipes"][0]
    kit = Kit.from_json(client.post("/api/kit.json", json={"pads": pads, "layers": 2}).content)
    assert kit.pads[0].layers[-1].latent != make_kit(drums, 16, seed=7).pads[0].layers[0].latent
    old = [json.loads(recipe.to_json())["latent"] for pad in kit.pads for recipe in pad.layers]
    assert old[2:] == [layer["latent"] for layer in pads[1]["layers"]]
    assert not set(old[:2]) & {layer["latent"] for layer in pads[0]["layers"]}


def test_kits_of_other_sizes(client: TestClient, drums: Generator) -> None:
    few, many = make_kit(drums, 3, seed=1), make_kit(drums, 20, seed=1)
    answer = opened(client, few.to_json())
    assert answer["note"] == "the kit has 3 pads; the others are new sounds"
    assert len({pad["note"] for pad in answer["pads"]}) == 16
    assert [pad["name"] for pad in answer["pads"][:3]] == [pad.name for pad in few.pads]
    answer = opened(client, many.to_json())
    assert answer["note"] == "the kit has 20 pads; the page shows 16 of them" and len(answer["pads"]) == 16


def test_a_sound_with_its_recipe(client: TestClient, drums: Generator) -> None:
    (recipe,) = drums.recipes(1, seed=5)
    wave = drums.render(recipe)[0]
    found = opened(client, encode_wav(wave, 16000, "PCM_16", recipe.to_json()))
    assert found == {"recipe": json.loads(recipe.to_json()), "note": ""}
    other = json.dumps({**json.loads(recipe.to_json()), "model": "theirs"})
    assert "of the model 'theirs'" in opened(client, encode_wav(wave, 16000, "PCM_16", other))["note"]
    short = json.dumps({**json.loads(recipe.to_json()), "latent": ""})
    for comment in (None, "{}", "[" * 500, short):
        found = opened(client, encode_wav(wave, 16000, "PCM_16", comment))
        assert found["recipe"] is None and found["note"]
    assert opened(client, b"RIFF" + bytes(range(256)))["recipe"] is None


def test_files_of_strangers_are_refused_in_a_line(client: TestClient, kit: Kit, tmp_path: Path) -> None:
    text = kit.to_json()
    assert "not a kit" in refused(client, "{}")
    assert "not a kit" in refused(client, "[" * 100_000)
    assert "an empty file" in refused(client, b"")
    assert "theirs" in refused(client, text.replace('"drums"', '"theirs"'))
    assert "larger than 4 MB" in refused(client, b" " * ((4 << 20) + 1))
    bomb = zipped(**{"kit.json": b" " * (64 << 20)})
    assert len(bomb) < 100_000 and "larger than 4 MB" in refused(client, bomb)
    assert "no kit.json" in refused(client, zipped(**{"my-kit.json": text}))
    assert "damaged ZIP" in refused(client, zipped(**{"kit.json": text})[:-1000])
    rng = np.random.default_rng(0)
    whole = zipped(**{"kit.json": text})
    for _ in range(50):
        spoilt = bytearray(whole)
        for at in rng.integers(0, len(whole), 20):
            spoilt[at] = rng.integers(256)
        assert client.post("/api/open", content=bytes(spoilt)).status_code in (200, 422)
    content = json.loads(text)
    content["pads"][0]["layers"][0]["knobs"] = {"none": 0.5}
    refused(client, json.dumps(content))
    content = json.loads(text)
    content["pads"][0]["layers"][0]["latent"] = ""
    refused(client, json.dumps(content))
    content = {**json.loads(text), "studio": ["x"] * 10}
    assert opened(client, json.dumps(content))["session"] is None
    content["studio"] = {"x": "y" * (1 << 19)}
    assert opened(client, json.dumps(content))["session"] is None
    answer = client.post("/api/open", content=b"x", headers={"Content-Length": str(1 << 30)})
    assert answer.status_code == 413


def test_paths_in_an_archive_lead_nowhere(client: TestClient, kit: Kit, tmp_path: Path) -> None:
    before = sorted(tmp_path.parent.iterdir())
    evil = zipped(**{"../../kit.json": kit.to_json(), "/etc/evil": "x", "a/b/kit.json": "{}"})
    assert "not a kit" in refused(client, zipped(**{"../kit.json": "{}"}))
    assert client.post("/api/open", content=evil).status_code in (200, 422)
    assert sorted(tmp_path.parent.iterdir()) == before


def test_many_files_in_an_archive_are_refused_quickly(client: TestClient) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for i in range(3000):
            archive.writestr(f"{'x' * 2000}{i}", "")
    assert "too many files" in refused(client, packed.getvalue())


def test_the_studio_starts_with_a_kit(drums: Generator, kit: Kit, client: TestClient) -> None:
    from starlette.testclient import TestClient

    from audiogan.studio import create_app

    assert client.get("/api/opened").json() is None
    app = create_app(drums, kit=kit, session={"tempo": 90})
    found = TestClient(app, base_url="http://127.0.0.1:8642").get("/api/opened").json()
    assert found["session"] == {"tempo": 90} and len(found["pads"]) == 16
    assert {pad["note"]: pad["recipe"]["latent"] for pad in found["pads"]} == {
        pad.note: json.loads(pad.layers[0].to_json())["latent"] for pad in kit.pads
    }
