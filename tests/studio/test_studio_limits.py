"""Tests of malicious and faulty requests: each gets an error in one line, takes little time, and does not change the
studio."""

from __future__ import annotations

import asyncio
import io
import json
import os
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import soundfile

from audiogan.errors import UserError

if TYPE_CHECKING:
    from starlette.testclient import TestClient

LOCAL = "http://127.0.0.1:8642"


def error(answer: Any, *statuses: int) -> str:
    assert answer.status_code in statuses, (answer.status_code, answer.text[:300])
    content = answer.json()
    assert list(content) == ["error"]
    text = content["error"]
    assert text and "\n" not in text and len(text) <= 400
    for secret in ("Traceback", os.getcwd(), "site-packages", "/audiogan/", "pydantic"):
        assert secret not in text
    return text


@pytest.fixture(scope="module")
def recipe(client: TestClient) -> dict[str, Any]:
    return client.post("/api/sounds", json={"label": "kick", "seed": 3}).json()["recipes"][0]


@pytest.mark.parametrize(
    ("body", "status", "named"),
    [
        ('{"n": 1000000000}', 422, "n:"),
        ('{"n": 0}', 422, "n:"),
        ('{"n": -1}', 422, "n:"),
        ('{"n": "3"}', 422, "n:"),
        ('{"n": true}', 422, "n:"),
        ('{"n": 1' + "0" * 6000 + "}", 400, "JSON"),
        ('{"truncation": NaN}', 422, "truncation"),
        ('{"truncation": 1e999}', 422, "truncation"),
        ('{"truncation": 0}', 422, "truncation"),
        ('{"knobs": {"brightness": Infinity}}', 422, "brightness"),
        ('{"knobs": {"brightness": 1.5}}', 422, "brightness"),
        ('{"knobs": {"../../etc/passwd": 0.5}}', 422, "knob"),
        ('{"label": "../../../etc/passwd"}', 422, "class"),
        ('{"label": {"kick": -1}}', 422, "label"),
        ('{"label": {"kick": 0}}', 422, "weights"),
        ('{"label": "' + "a" * 5000 + '"}', 422, "label"),
        ('{"seed": -1}', 422, "seed"),
        ('{"seed": 100000000000000000000}', 422, "seed"),
        ('{"surprise": 1}', 422, "surprise"),
        ("[" * 200_000, 400, "JSON"),
        ('{"knobs": ' + '{"a":' * 50_000 + "1" + "}" * 50_001, 400, "JSON"),
        ("", 400, "JSON"),
        ("null", 422, ""),
        ("[]", 422, ""),
    ],
)
def test_wrong_values_are_named(client: TestClient, body: str, status: int, named: str) -> None:
    assert named in error(client.post("/api/sounds", content=body), status)


def test_bytes_that_are_no_text(client: TestClient) -> None:
    error(client.post("/api/sounds", content=b'{"label": "\xff\xfe"}'), 400)


@pytest.mark.parametrize(
    "change",
    [
        {"latent": "AAAA"},
        {"latent": "!" * 40},
        {"latent": "A" * 1_000_000},
        {"latent": "f" * 400},
        {"classes": {}},
        {"classes": {"trumpet": 1.0}},
        {"classes": {"kick": 0.0}},
        {"knobs": {}},
        {"knobs": {"brightness": 7.0}},
        {"model": "digits"},
        {"model": "../../../etc/passwd"},
        {"seed": -5},
        {"truncation": 1e300},
    ],
)
def test_recipes_that_are_none(client: TestClient, recipe: dict[str, Any], change: dict[str, Any]) -> None:
    error(client.post("/api/render", json={"recipe": {**recipe, **change}}), 422)


def test_a_latent_that_is_not_finite(client: TestClient, recipe: dict[str, Any]) -> None:
    import base64

    for value in (np.nan, np.inf, 3e38):
        latent = base64.b64encode(np.full(64, value, "<f4").tobytes()).decode()
        answer = client.post("/api/render", json={"recipe": {**recipe, "latent": latent}})
        if value == 3e38 and answer.status_code == 200:  # The value is a finite number, and so are the samples.
            samples, _ = soundfile.read(io.BytesIO(answer.content))
            assert np.isfinite(samples).all()
        else:
            error(answer, 422)


def test_steps_amounts_and_formats_are_bounded(client: TestClient, recipe: dict[str, Any]) -> None:
    for steps in (0, 1, 65, 10**9):
        error(client.post("/api/morph", json={"a": recipe, "b": recipe, "steps": steps}), 422)
    error(client.post("/api/vary", json={"recipe": recipe, "amount": 1.5}), 422)
    error(client.post("/api/vary", json={"recipe": recipe, "n": 10**9}), 422)
    pad = {"name": "kick", "note": 36, "recipe": recipe}
    for wrong in (
        {"format": "../../etc/passwd"},
        {"format": "sfz", "sample_rate": 10**9},
        {"format": "sfz", "bits": 32},
        {"format": "sfz", "pads": [pad] * 17},
        {"format": "sfz", "pads": []},
        {"format": "sfz", "pads": [pad, pad]},  # Two pads have the same note.
        {"format": "sfz", "pads": [{**pad, "note": 200}]},
        {"format": "sfz", "pads": [{**pad, "name": ""}]},
        {"format": "sfz", "pads": [{**pad, "name": "a\nb\0"}]},
        {"format": "sfz", "name": "a" * 1000},
    ):
        error(client.post("/api/kit.zip", json={"pads": [pad], **wrong}), 422)
    error(client.post("/api/kit", json={"locked": [None] * 17}), 422)
    error(client.post("/api/kit", json={"labels": ["../../etc"]}), 422)


def test_names_stay_inside_the_archive(client: TestClient, recipe: dict[str, Any]) -> None:
    pads = [{"name": name, "note": 36 + i, "recipe": recipe} for i, name in enumerate(["../../x", "/etc/y", ".."])]
    for kind in ("sfz", "wav"):
        answer = client.post("/api/kit.zip", json={"pads": pads, "format": kind, "name": "../../../evil"})
        assert answer.status_code == 200, answer.text
        for name in zipfile.ZipFile(io.BytesIO(answer.content)).namelist():
            assert not name.startswith("/") and ".." not in name.split("/") and "\\" not in name and ":" not in name


@pytest.mark.parametrize(
    "path",
    [
        "/static/../app.py",
        "/static/%2e%2e/app.py",
        "/static/..%2f..%2fapp.py",
        "/static/",
        "/static/nothing.js",
        "/../../../../etc/passwd",
        "/static//etc/passwd",
        "/docs",
        "/openapi.json",
        "/api/",
        "/api/kit/../../x",
    ],
)
def test_only_the_files_of_the_page_are_served(client: TestClient, path: str) -> None:
    error(client.get(path), 404)


def test_other_methods(client: TestClient) -> None:
    error(client.get("/api/sounds"), 405)
    error(client.post("/"), 405)


# --- recordings


def test_a_zip_bomb_with_another_name(client: TestClient) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("kick.wav", b"\0" * 50_000_000)
    text = error(client.post("/api/imitate", content=packed.getvalue()), 422)
    assert "not a sound file" in text


def test_of_a_flac_that_unpacks_to_hours_ten_seconds_are_read() -> None:
    from audiogan.studio.imitate import decode_recording

    packed = io.BytesIO()
    with soundfile.SoundFile(packed, "w", 8000, 1, format="FLAC", subtype="PCM_16") as file:
        click = np.zeros(8000 * 600, np.int16)
        click[100] = 20_000
        for _ in range(12):
            file.write(click)
    assert len(packed.getvalue()) < 1 << 20
    wave, rate = decode_recording(packed.getvalue(), 10.0)
    assert (wave.shape, rate) == ((1, 80_000), 8000)


def test_recordings_with_nothing_to_hear(client: TestClient) -> None:
    for samples in (np.zeros(1000), np.full(1000, 0.5), np.full(1000, np.nan), np.zeros(0)):
        file = io.BytesIO()
        soundfile.write(file, samples.astype(np.float32), 16000, format="WAV", subtype="FLOAT")
        assert "the recording:" in error(client.post("/api/imitate", content=file.getvalue()), 422)
    for content in (b"", b"RIFF", b"RIFF\xff\xff\xff\xffWAVEfmt ", os.urandom(1000), b"<html>"):
        error(client.post("/api/imitate", content=content), 422)
    file = io.BytesIO()
    soundfile.write(file, np.random.default_rng(0).uniform(-1, 1, (100, 16)), 16000, format="WAV")
    assert "channels" in error(client.post("/api/imitate", content=file.getvalue()), 422)


def test_how_an_imitation_is_asked_for(client: TestClient) -> None:
    file = io.BytesIO()
    soundfile.write(file, np.random.default_rng(0).uniform(-1, 1, 4000), 16000, format="WAV")
    for query in ("seconds=1000000", "seconds=nan", "seconds=-1", "seconds=x", "label=trumpet", "label=" + "a" * 5000):
        error(client.post(f"/api/imitate?{query}", content=file.getvalue()), 422)


# --- bodies


def ask(app: Any, path: str, headers: dict[str, str], parts: Any) -> tuple[int, dict[str, Any], int]:
    """Send a request with a body in parts to the application, without a server. Return status, content and number of
    parts read."""
    read, sent = 0, []

    async def receive() -> dict[str, Any]:
        nonlocal read
        try:
            part = next(parts)
        except StopIteration:
            return {"type": "http.request", "body": b"", "more_body": False}
        read += 1
        return {"type": "http.request", "body": part, "more_body": True}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start" or message.get("body"):
            sent.append((read, message))

    raw = [(name.lower().encode(), value.encode()) for name, value in {"host": "localhost", **headers}.items()]
    scope = {
        "type": "http",
        "method": "POST",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": raw,
    }
    scope |= {
        "http_version": "1.1",
        "scheme": "http",
        "client": ("127.0.0.1", 1),
        "server": ("localhost", 80),
        "root_path": "",
    }
    asyncio.run(app(scope, receive, send))
    (at, start), (_, body) = sent
    return start["status"], json.loads(body["body"]), at


@pytest.mark.parametrize("announced", [None, "100"])
@pytest.mark.parametrize("path", ["/api/imitate", "/api/sounds"])
def test_a_body_is_cut_off_at_the_limit_whatever_its_header_says(
    client: TestClient, path: str, announced: str | None
) -> None:
    parts = iter([b"x" * 65_536] * 1_000)  # 64 MB
    status, content, read = ask(client.app, path, {"content-length": announced} if announced else {}, parts)
    assert status == 413 and "larger" in content["error"]
    assert read * 65_536 <= (16 << 20) + 65_536


def test_an_announced_gigabyte_is_refused_unread(client: TestClient) -> None:
    for length in (str(2 << 30), "9" * 400):
        status, content, read = ask(client.app, "/api/imitate", {"content-length": length}, iter([b"x"]))
        assert status == 413 and read == 0 and list(content) == ["error"]


def test_a_body_that_does_not_come(drums: Any) -> None:
    from starlette.requests import Request

    from audiogan.studio.limits import Refused, read_body

    async def never() -> dict[str, Any]:
        await asyncio.sleep(60)
        return {}

    with pytest.raises(Refused, match="did not arrive"):
        asyncio.run(read_body(Request({"type": "http", "headers": []}, never), 100, 0.05))


# --- many requests at the same time


def test_slots_run_few_hold_some_and_refuse_the_rest() -> None:
    from audiogan.studio.limits import Refused, Slots

    async def main() -> tuple[int, list[Any]]:
        slots, running, most = Slots(2, 3, 5.0), 0, 0
        gate = asyncio.Event()

        async def one() -> str:
            nonlocal running, most
            await slots.acquire()
            running += 1
            most = max(most, running)
            await gate.wait()
            running -= 1
            slots.release()
            return "done"

        tasks = [asyncio.create_task(one()) for _ in range(10)]
        await asyncio.sleep(0.05)
        gate.set()
        return most, await asyncio.gather(*tasks, return_exceptions=True)

    most, outcomes = asyncio.run(main())
    assert most == 2 and outcomes.count("done") == 5
    refused = [outcome for outcome in outcomes if isinstance(outcome, Refused)]
    assert len(refused) == 5 and all(one.status == 503 and one.headers["Retry-After"] for one in refused)


def test_patience_ends_and_failing_work_gives_its_place_back() -> None:
    from audiogan.studio.limits import Refused, Slots

    def fail() -> None:
        raise UserError("no")

    async def main() -> str:
        slots = Slots(1, 5, 0.05)
        await slots.acquire()
        with pytest.raises(Refused) as caught:
            await slots.run(str, 1)
        assert caught.value.status == 503
        slots.release()
        for _ in range(3):
            with pytest.raises(UserError):
                await slots.run(fail)
        return await slots.run(str, 1)

    assert asyncio.run(main()) == "1"
