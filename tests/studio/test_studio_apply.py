"""Tests of the API of the page Apply: models, uploads, translation, forms, and limits."""

from __future__ import annotations

import io
import json
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import soundfile
import torch
from starlette.testclient import TestClient
from test_studio_finding import HOST

import audiogan
from audiogan.inputs import Classes, Input, Knobs, Latent, MelSignal, Scale, Signal, Text
from audiogan.modalities import Sound
from audiogan.model.translation.files import apply_files
from audiogan.studio import applying, create_app
from audiogan.studio.applied_models import ModelFile, describe_model

if TYPE_CHECKING:
    from audiogan import Generator

RATE = 44_100


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def client(drums: Generator, root: Path) -> TestClient:
    return TestClient(create_app(drums, runs_dir=root), base_url=HOST, raise_server_exceptions=False)


def content(samples: Any, rate: int = RATE, subtype: str = "FLOAT", format: str = "WAV") -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate, subtype, format=format)
    return file.getvalue()


def voice(seconds: float = 1.0, rate: int = RATE) -> np.ndarray:
    """Return a harmonic sound ``[T]`` with a moving pitch and some noise."""
    t = np.arange(round(seconds * rate)) / rate
    phase = 2 * np.pi * np.cumsum(140 + 30 * np.sin(9 * t)) / rate
    x = sum(np.sin(k * phase) / k for k in range(1, 20)) * np.sin(np.pi * t * 3) ** 2
    return 0.15 * x + 0.02 * np.random.default_rng(0).standard_normal(len(t))


def uploaded(client: TestClient, body: bytes, name: str = "a.wav") -> dict[str, Any]:
    answer = client.post("/api/apply/sounds", params={"name": name}, content=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def applied(client: TestClient, **wanted: Any) -> dict[str, Any]:
    answer = client.post("/api/apply", json=wanted)
    assert answer.status_code == 200, answer.text
    return json.loads(answer.text.splitlines()[-1])


def sound(client: TestClient, id: str) -> tuple[np.ndarray, int]:
    answer = client.get(f"/api/apply/sounds/{id}.wav")
    assert answer.status_code == 200, answer.text
    samples, rate = soundfile.read(io.BytesIO(answer.content), always_2d=True, dtype="float32")
    return samples.T, rate


def test_models_that_need_a_sound_are_listed(client: TestClient, root: Path) -> None:
    listed = client.get("/api/apply").json()
    names = {one["name"] for one in listed["models"] if one["kind"] == "shipped"}
    assert {"enhance", "vocoder"} <= names and not {"drums", "digits"} & names
    assert listed["first"] is None and listed["limits"] == {"upload_bytes": 16 << 20, "seconds": 60}
    described = client.get("/api/apply/models/enhance").json()
    assert (described["source"], described["sample_rate"], described["fields"]) == ("source", 16_000, [])
    assert described["about"].startswith("Removes noise from speech")
    assert client.get("/api/apply/models/drums").status_code == 404


def test_a_damaged_run_gives_one_line_without_its_path(client: TestClient, root: Path) -> None:
    run = root / "denoiser"
    (run / "checkpoints").mkdir(parents=True)
    (run / "checkpoints" / "step-00000004.ckpt").write_bytes(b"damaged")
    modality = "modality: {_target_: audiogan.modalities.Sound}"
    facts = f"facts: {{{modality}, inputs: {{source: {{{modality}}}}}}}"
    (run / "config.yaml").write_text(f"{facts}\ninputs: {{source: {{_target_: audiogan.inputs.Signal}}}}\n")
    client.app.state.watching._looked = -np.inf  # type: ignore[attr-defined]
    (one,) = (one for one in client.get("/api/apply").json()["models"] if one["kind"] == "run")
    answer = client.get(f"/api/apply/models/{one['id']}")
    assert one["name"] == "denoiser" and answer.status_code == 422
    said = answer.json()["error"]
    assert said.startswith("denoiser") and str(root) not in said and "\n" not in said


def test_a_result_is_that_of_the_command(client: TestClient, tmp_path: Path) -> None:
    """A stereo recording keeps its sample rate, channels and length. The samples equal those of ``audiogan apply``."""
    x = np.stack([voice(), voice()[::-1]], 1)
    given = uploaded(client, content(x, subtype="PCM_16"), "two voices.wav")
    assert (given["name"], given["sample_rate"], given["channels"]) == ("two voices.wav", RATE, 2)
    assert (given["frames"], given["note"]) == (RATE, "")
    result = applied(client, model="enhance", sound=given["id"])
    made, rate = sound(client, result["sound"]["id"])
    assert made.shape == (2, RATE) and rate == RATE and result["seconds"] > 0
    (tmp_path / "in.wav").write_bytes(content(sound(client, given["id"])[0].T))
    apply_files(audiogan.load("enhance"), tmp_path / "in.wav", tmp_path / "out.wav", echo=lambda line: None)
    assert (made == soundfile.read(tmp_path / "out.wav", dtype="float32")[0].T).all()


@pytest.mark.parametrize("model", ["enhance", "vocoder"])
def test_a_noisy_recording_stays_aligned(client: TestClient, shared_data: Path, model: str) -> None:
    file = next((shared_data / "speech" / "emodb").glob("*.flac"))
    clean, rate = soundfile.read(file, frames=16_000 if model == "vocoder" else 32_000)
    noisy = clean + 0.1 * clean.std() * np.random.default_rng(1).standard_normal(len(clean))
    given = uploaded(client, content(noisy, rate))
    made, _ = sound(client, applied(client, model=model, sound=given["id"])["sound"]["id"])
    assert made.shape[1] == len(noisy)
    # The vocoder makes new phases, so its envelopes are compared.
    before, after = (x if model == "enhance" else np.convolve(np.abs(x), np.ones(64)) for x in (noisy, made[0]))
    size = 2 * len(before)
    shifts = np.fft.irfft(np.fft.rfft(after - after.mean(), size).conj() * np.fft.rfft(before - before.mean(), size))
    lag = int(np.argmax(shifts))
    assert min(lag, size - lag) <= (0 if model == "enhance" else rate // 200)


LOUD = np.sin(np.arange(4000) / 9)


@pytest.mark.parametrize(
    "body, said",
    [
        (b"", "not a sound file"),
        (b"RIFF....WAVE", "not a sound file"),
        (content(np.zeros((0, 1))), "too short"),
        (content([0.5]), "too short"),
        (content(np.zeros(RATE)), "silent"),
        (content(np.full(RATE, 0.5)), "silent"),
        (content(np.append(LOUD, np.nan)), "NaN"),
        (content(np.append(LOUD, np.inf)), "NaN or infinite"),
        (content(np.tile(LOUD[:, None], 9)), "9 channels"),
    ],
    ids=["empty", "no WAV", "no samples", "one sample", "silence", "constant", "NaN", "infinite", "channels"],
)
def test_uploads_that_cannot_be_used_get_one_line(client: TestClient, body: bytes, said: str) -> None:
    answer = client.post("/api/apply/sounds", content=body)
    assert answer.status_code == 422 and said in answer.json()["error"] and "\n" not in answer.json()["error"]


def test_long_and_wide_recordings_are_cut(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client.app.state.applied_sounds, "seconds", 2.0)  # type: ignore[attr-defined]
    given = uploaded(client, content(voice(3.0, 8000), 8000))
    assert given["frames"] == 16_000 and given["note"] == "only its first 2 seconds are used"
    monkeypatch.setattr(applying, "MAX_SAMPLES", 8 * 19_200)
    given = uploaded(client, content(np.tile(voice(0.2, 192_000)[:, None], 8), 192_000))
    assert (given["frames"], given["channels"]) == (19_200, 8) and given["note"].startswith("only its first 0.1 s")
    clipped = uploaded(client, content(np.clip(20 * voice(0.3), -1, 1)))
    assert "error" not in applied(client, model="enhance", sound=clipped["id"])
    big = client.post("/api/apply/sounds", content=b"x", headers={"Content-Length": str(1 << 30)})
    assert big.status_code == 413


def test_old_sounds_leave_memory(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(applying, "MAX_BYTES", 40_000)
    first, second = (uploaded(client, content(LOUD))["id"] for _ in range(2))
    uploaded(client, content(LOUD))
    gone = client.get(f"/api/apply/sounds/{first}.wav")
    assert gone.status_code == 404 and "choose the recording again" in gone.json()["error"]
    assert client.get(f"/api/apply/sounds/{second}.wav").status_code == 200


def test_wrong_requests_get_one_line(client: TestClient) -> None:
    id = uploaded(client, content(LOUD))["id"]
    for wanted, status, said in (
        ({"model": "no such", "sound": id}, 404, "no such model"),
        ({"model": "enhance"}, 422, "choose or record a sound"),
        ({"model": "enhance", "sound": "../x"}, 404, "removed from memory"),
        ({"model": "enhance", "sound": id, "path": "/etc/passwd"}, 422, "path"),
        ({"model": "enhance", "sound": id, "seed": -1}, 422, "seed"),
        ({"model": "enhance", "sound": id, "inputs": {"text": "x" * 10_001}}, 422, "text"),
    ):
        answer = client.post("/api/apply", json=wanted)
        assert answer.status_code == status and said in answer.json()["error"], answer.text
    assert "text" in applied(client, model="enhance", sound=id, inputs={"text": "hello"})["error"]
    assert "source" in applied(client, model="enhance", sound=id, inputs={"source": id})["error"]


class Speed(Input):
    low, high, default = 0.5, 2.0, 1.0

    def describe(self) -> str:
        return "factor of the speed"


class Speaker:
    """A model that makes a sound from a text, a class and the recording of a voice."""

    def __init__(self, tmp_path: Path) -> None:
        signal = {"shape": (1, None), "modality": Sound(8000)}
        self.inputs = {
            "text": Text(alphabet="abc ", length=12),
            "classes": Classes(labels=["anna", "ben"]),
            "speed": Speed("speed", (1,)),
            "latent": Latent("latent", (4,)),
            "knobs": Knobs(scale=Scale(["pitch"], np.linspace(0, 1, 65)[None])),
        }
        self.voice = Signal("voice", **signal)
        self.modality, self.sample_rate, self.step, self.card, self.labels = Sound(8000), 8000, 10, "", ["anna", "ben"]
        self.routes, self.name, self.checkpoint = SimpleNamespace(descriptions={}), str(tmp_path / "x"), tmp_path / "x"
        self.routes = type("Routes", (dict,), {"descriptions": {}})({"generator": None})
        self.asked: dict[str, Any] = {}

    def sample(self, n: int, **wanted: Any) -> np.ndarray:
        self.asked = wanted
        if wanted["inputs"]["text"] == "d":
            raise audiogan.UserError(f"{self.name}: text: unknown characters 'd'")
        return 0.1 * np.ones((n, 1, 800), np.float32)


def test_a_text_becomes_a_sound(client: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    models, speaker = client.app.state.applied_models, Speaker(tmp_path)  # type: ignore[attr-defined]
    monkeypatch.setattr(models, "get", lambda id: ModelFile("speak", "speak", "run", tmp_path))
    monkeypatch.setattr(models, "load", lambda model: speaker)
    described = client.get("/api/apply/models/speak").json()
    fields = {field["name"]: field for field in described["fields"]}
    assert described["source"] is None and list(fields) == ["text", "classes", "speed", "pitch", "seed"]
    assert (fields["text"]["kind"], fields["text"]["longest"], fields["text"]["required"]) == ("text", 12, True)
    assert [choice["value"] for choice in fields["classes"]["choices"]] == ["anna", "ben"]
    assert (fields["speed"]["kind"], fields["speed"]["max"], fields["speed"]["value"]) == ("number", 2, 1)
    assert (fields["pitch"]["input"], fields["pitch"]["max"]) == ("knobs", 1)
    inputs = {"text": "a cab", "classes": "ben", "knobs": {"pitch": 0.5}, "speed": 1.5}
    made, rate = sound(client, applied(client, model="speak", inputs=inputs, seed=3)["sound"]["id"])
    assert made.shape == (1, 800) and rate == 8000
    wanted = {
        "seed": 3,
        "label": "ben",
        "knobs": {"pitch": 0.5},
        "inputs": {"text": "a cab", "speed": 1.5},
        "generator": None,
    }
    assert speaker.asked == wanted
    said = applied(client, model="speak", inputs={"text": "d"})["error"]
    assert said == "speak: text: unknown characters 'd'"


def test_the_form_of_a_voice_conversion(tmp_path: Path) -> None:
    """The source is the recording of the page. The voice of the target is another file."""
    generator: Any = Speaker(tmp_path)
    mel = MelSignal("mel", shape=(1, 8192), modality=Sound(8000))
    generator.inputs = {"mel": mel, "classes": generator.inputs["classes"], "voice": generator.voice}
    described = describe_model(generator, ModelFile("convert", "convert", "run", tmp_path))
    assert described["source"] == "mel"
    assert [(field["name"], field["kind"], field["required"]) for field in described["fields"]] == [
        ("classes", "choice", False),
        ("voice", "sound", True),
    ]


def test_the_recording_of_a_voice_is_passed_as_a_file(tmp_path: Path) -> None:
    generator: Any = Speaker(tmp_path)
    read: list[int] = []

    def sample(n: int, **wanted: Any) -> np.ndarray:
        read.append(len(soundfile.read(wanted["inputs"]["voice"])[0]))
        raise audiogan.UserError(f"voice ({wanted['inputs']['voice']}): too quiet")

    generator.sample = sample
    given = applying.AppliedSound("1", "me.wav", content(LOUD))
    with pytest.raises(audiogan.UserError, match=r"^voice \(me\.wav\): too quiet$"):
        applying.make_sound(generator, None, {"voice": given, "text": "a"})
    assert read == [4000]


def test_a_model_that_cannot_be_played_opens_the_page(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import uvicorn

    from audiogan import cli
    from audiogan.commands import studio

    served = []
    monkeypatch.setattr(
        torch, "set_num_threads", lambda threads: None
    )  # The number of threads applies to all tests, so it must not change.
    monkeypatch.setattr(studio, "_warm_up", lambda generator: None)
    monkeypatch.setattr(uvicorn.Server, "run", lambda self, sockets: served.append(self.config.app))
    assert cli.main(["studio", "enhance", "--port", "0", "--no-browser"]) == 0
    said = capsys.readouterr().out
    assert "drums plays at" in said and "enhance is on the page Apply at" in said and "/apply\n" in said
    assert TestClient(served[0], base_url=HOST).get("/api/apply").json()["first"] == "enhance"
