"""Tests of the studio's API, used by a program."""

from __future__ import annotations

import asyncio
import io
import json
import re
import shutil
import threading
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import numpy as np
import pytest
import soundfile

from audiogan.model.recipe import Recipe
from audiogan.model.sampling import read_recipe

if TYPE_CHECKING:
    from starlette.testclient import TestClient

    from audiogan import Generator


def made(client: TestClient, **wanted: Any) -> list[dict[str, Any]]:
    answer = client.post("/api/sounds", json=wanted)
    assert answer.status_code == 200, answer.text
    return answer.json()["recipes"]


def sound(client: TestClient, recipe: dict[str, Any]) -> np.ndarray:
    answer = client.post("/api/render", json={"recipe": recipe})
    assert answer.status_code == 200, answer.text
    samples, rate = soundfile.read(io.BytesIO(answer.content), dtype="float32", always_2d=True)
    assert rate == 16000
    return samples.T


def test_the_page_learns_what_it_plays(client: TestClient, drums: Generator) -> None:
    about = client.get("/api/model").json()
    assert about["name"] == "drums" and about["labels"] == drums.labels and about["knobs"] == list(drums.knobs)
    assert (about["sample_rate"], about["channels"], about["samples"]) == (16000, 1, 16384)
    assert {one["name"] for one in about["formats"]} == {"sfz", "hydrogen", "decent", "wav"}


def test_sounds_are_those_of_the_python_api(client: TestClient, drums: Generator) -> None:
    recipes = made(client, n=3, label={"kick": 0.7, "tom": 0.3}, knobs={"brightness": 0.9}, seed=5, truncation=0.8)
    same = drums.recipes(3, seed=5, label={"kick": 0.7, "tom": 0.3}, knobs={"brightness": 0.9}, truncation=0.8)
    assert [Recipe.from_json(json.dumps(recipe)) for recipe in recipes] == same
    for recipe, wave in zip(recipes, drums.render(same), strict=True):
        assert np.array_equal(sound(client, recipe), wave)


def test_a_rendered_file_holds_its_recipe_and_is_always_the_same(client: TestClient, tmp_path: Path) -> None:
    (recipe,) = made(client, label="snare", seed=1)
    first, second = (client.post("/api/render", json={"recipe": recipe}).content for _ in range(2))
    assert first == second
    (tmp_path / "snare.wav").write_bytes(first)
    assert json.loads(read_recipe(tmp_path / "snare.wav").to_json()) == recipe


def test_variations_and_morphs(client: TestClient, drums: Generator) -> None:
    (kick,), (tom,) = made(client, label="kick", seed=1), made(client, label="tom", seed=2)
    path = client.post("/api/morph", json={"a": kick, "b": tom, "steps": 5}).json()["recipes"]
    assert len(path) == 5 and path[0] == kick and path[-1] == tom
    assert path[2]["classes"] == {"kick": 0.5, "tom": 0.5}
    near = client.post("/api/vary", json={"recipe": kick, "amount": 0.1, "n": 2, "seed": 3}).json()["recipes"]
    again = drums.vary(Recipe.from_json(json.dumps(kick)), 0.1, 2, seed=3)
    assert [Recipe.from_json(json.dumps(recipe)) for recipe in near] == again
    same = client.post("/api/vary", json={"recipe": kick, "amount": 0.0}).json()["recipes"]
    assert same == [kick]


def test_locked_pads_survive_a_new_kit(client: TestClient) -> None:
    first = client.post("/api/kit", json={"seed": 1}).json()["pads"]
    assert len(first) == 16 and len({pad["note"] for pad in first}) == 16
    assert client.post("/api/kit", json={"seed": 1}).json()["pads"] == first
    locked = [pad if i in (0, 5, 15) else None for i, pad in enumerate(first)]
    second = client.post("/api/kit", json={"seed": 2, "locked": locked}).json()["pads"]
    assert [i for i in range(16) if second[i]["recipe"] == first[i]["recipe"]] == [0, 5, 15]
    assert [pad["name"] for pad in second] == [pad["name"] for pad in first]


@pytest.mark.parametrize("kind", ["sfz", "hydrogen", "decent", "wav"])
def test_a_kit_downloads_in_every_format(client: TestClient, kind: str) -> None:
    pads = client.post("/api/kit", json={"seed": 1}).json()["pads"][:2]
    wanted = {"pads": pads, "format": kind, "name": "../../my kit", "sample_rate": 48000, "bits": 16}
    answer = client.post("/api/kit.zip", json=wanted)
    assert answer.status_code == 200, answer.text
    assert re.fullmatch(
        rf'attachment; filename="my-kit-[0-9a-f]{{6}}-{kind}\.zip"', answer.headers["content-disposition"]
    )
    archive = zipfile.ZipFile(io.BytesIO(answer.content))
    assert archive.testzip() is None
    names = archive.namelist()
    assert all(".." not in name and not name.startswith("/") for name in names)
    if kind == "hydrogen":
        assert any(name.endswith(".h2drumkit") for name in names)
        return
    sounds = [name for name in names if name.endswith(".wav")]
    assert len(sounds) == 2
    with soundfile.SoundFile(io.BytesIO(archive.read(sounds[0]))) as file:
        assert (file.samplerate, file.subtype) == (48000, "PCM_16")
        assert json.loads(file.comment)["model"] == "drums"


@pytest.mark.parametrize(
    ("name", "plain", "whole"),
    [
        ("my kit", "my-kit-wav.zip", None),
        ("Größe", "Groe-[0-9a-f]{6}-wav.zip", "Größe-wav.zip"),
        ("太鼓", "kit-[0-9a-f]{6}-wav.zip", "太鼓-wav.zip"),
        ('a"\r\nX: y', "a-X- y-[0-9a-f]{6}-wav.zip".replace(" ", "-"), None),
        ("", "kit-wav.zip", None),
    ],
)
def test_an_archive_is_called_as_the_kit_is(client: TestClient, name: str, plain: str, whole: str | None) -> None:
    pads = client.post("/api/kit", json={"seed": 1}).json()["pads"][:1]
    answer = client.post("/api/kit.zip", json={"pads": pads, "format": "wav", "name": name})
    shown = answer.headers["content-disposition"]
    extended = "" if whole is None else re.escape(f"; filename*=UTF-8''{quote(whole)}")
    assert re.fullmatch(f'attachment; filename="{plain}"{extended}', shown), shown
    kit = json.loads(zipfile.ZipFile(io.BytesIO(answer.content)).read("kit.json"))
    assert set(kit) == {"kit", "model", "pads"}  # The path of the model is not stored.


def test_class_names_may_be_typed_freely(client: TestClient) -> None:
    assert made(client, seed=1, label="Closed Hat") == made(client, seed=1, label="hat_closed")
    assert made(client, seed=1, label={"KICK": 1, "snare": 3}) == made(client, seed=1, label={"kick": 1, "snare": 3})
    kits = [client.post("/api/kit", json={"seed": 1, "labels": [name]}).json() for name in ("Kick", "kick")]
    assert kits[0] == kits[1] and kits[0]["pads"]
    file = io.BytesIO()
    soundfile.write(file, np.sin(np.arange(4000)), 16000, format="WAV")
    imitated = client.post("/api/imitate?seconds=0.1&label=snaer", content=file.getvalue())
    for answer in (imitated, client.post("/api/sounds", json={"label": "snaer"})):
        assert answer.status_code == 422 and "did you mean 'snare'" in answer.text


def test_an_imitation_reports_on_its_way_and_comes_near(client: TestClient, drums: Generator) -> None:
    wave = drums.sample(1, seed=11, label="snare")[0]
    file = io.BytesIO()
    soundfile.write(file, np.concatenate([np.zeros(4000, np.float32), 0.5 * wave[0]]), 16000, format="FLAC")
    answer = client.post("/api/imitate?seconds=0.3", content=file.getvalue())
    assert answer.status_code == 200, answer.text
    *progress, last = [json.loads(line) for line in answer.text.splitlines()]
    shares = [line["progress"] for line in progress]
    assert shares and shares == sorted(shares) and shares[0] >= 0 and shares[-1] < 1
    assert 0 <= last["distance"] <= last["start"]
    assert sound(client, last["recipe"]).shape == (1, 16384)


def test_who_hangs_up_ends_the_imitation(client: TestClient, drums: Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    import audiogan.latents

    ended = threading.Event()

    def search(*args: Any, progress: Callable[[float], object], **kwargs: Any) -> None:
        try:
            for _ in range(600):
                time.sleep(0.05)
                progress(0.5)
        except InterruptedError:
            ended.set()
            raise

    monkeypatch.setattr(audiogan.latents, "encode", search)
    file = io.BytesIO()
    soundfile.write(file, drums.sample(1, seed=11)[0, 0], 16000, format="WAV")
    asyncio.run(hung_up(client.app, "/api/imitate?seconds=1", file.getvalue()))
    assert ended.wait(5)
    answer = asyncio.run(hung_up(client.app, "/api/imitate?seconds=1", file.getvalue()))
    assert answer == 200  # The waiting request was processed.


async def hung_up(app: Any, path: str, content: bytes) -> int:
    """Return the status of a request whose client disconnects when the response begins."""
    begun, asked, status = asyncio.Event(), [False], [0]

    async def receive() -> dict[str, Any]:
        if not asked[0]:
            asked[0] = True
            return {"type": "http.request", "body": content}
        await begun.wait()
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        status[0] = message.get("status", status[0])
        if message["type"] == "http.response.body":
            begun.set()

    name, _, query = path.partition("?")
    scope: dict[str, Any] = {"type": "http", "method": "POST", "path": name}
    scope |= {"raw_path": name.encode(), "query_string": query.encode()}
    scope |= {"headers": [(b"host", b"localhost")], "asgi": {"version": "3.0"}, "http_version": "1.1", "scheme": "http"}
    await app({**scope, "root_path": "", "server": ("localhost", 80), "client": ("127.0.0.1", 1)}, receive, send)
    return status[0]


def test_a_run_is_called_by_its_name_not_its_place(tiny_run: Path) -> None:
    from starlette.testclient import TestClient

    import audiogan
    from audiogan.studio import create_app

    g = audiogan.load(tiny_run)
    client = TestClient(create_app(g), base_url="http://localhost")
    assert client.get("/api/model").json()["name"] == "tiny"
    (recipe,) = made(client, seed=1)
    assert recipe["model"] == "tiny"
    samples, _ = soundfile.read(
        io.BytesIO(client.post("/api/render", json={"recipe": recipe}).content), dtype="float32", always_2d=True
    )
    assert np.array_equal(samples.T, g.sample(1, seed=1)[0])
    for wanted in ({"truncation": 100.0, "n": 64}, {"label": "none"}, {"knobs": {"none": 0.5}}):
        assert str(tiny_run.parent) not in client.post("/api/sounds", json=wanted).text


def test_a_model_of_a_file_plays_its_recipes_by_either_name(tmp_path: Path, drums: Generator) -> None:
    """Recipes from Python contain the path of the file. The page must not receive this path."""
    from starlette.testclient import TestClient

    import audiogan
    from audiogan.studio import create_app

    copy = Path(shutil.copy(drums.checkpoint, tmp_path / "mine.audiogan"))
    generator = audiogan.load(copy)
    client = TestClient(create_app(generator), base_url="http://127.0.0.1:8642")
    recipe = json.loads(generator.recipes(1, seed=3)[0].to_json())
    assert str(tmp_path) in recipe["model"]
    for name in (recipe["model"], "mine"):
        answer = client.post("/api/render", json={"recipe": {**recipe, "model": name}})
        assert answer.status_code == 200 and str(tmp_path).encode() not in answer.content
    assert client.post("/api/render", json={"recipe": {**recipe, "model": "yours"}}).status_code == 422
