"""Tests of recordings to imitate: a faulty recording gives an error in one line."""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
import pytest
import soundfile
from fastapi.testclient import TestClient


def recording(samples: Any, rate: int = 16_000, **how: str) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, np.asarray(samples, np.float32), rate, **{"format": "WAV", "subtype": "FLOAT", **how})
    return file.getvalue()


NOISE = np.random.default_rng(0).uniform(-0.5, 0.5, 16_000)


@pytest.mark.parametrize(
    ("samples", "said"),
    [
        (np.full(1000, np.nan), "NaN"),
        (np.r_[NOISE, np.nan], "NaN"),
        (np.r_[NOISE, np.inf], "infinite"),
        ([], "too short"),
        ([0.5], "too short"),
        (np.zeros(8000), "silent"),
        (np.full(8000, 0.5), "silent"),
        (np.full((8000, 2), [0.5, -0.5]), "silent"),
        (1e12 * NOISE, "scale"),
        (np.r_[np.zeros(11 * 16_000), NOISE], "silent in its first 10 seconds"),
    ],
)
def test_why_a_recording_cannot_be_imitated(client: TestClient, samples: Any, said: str) -> None:
    answer = client.post("/api/imitate?seconds=0.1", content=recording(samples))
    assert answer.status_code == 422
    assert said in answer.json()["error"] and "\n" not in answer.json()["error"]


def test_rates_and_damage_are_named(client: TestClient) -> None:
    flac = recording(NOISE, format="FLAC", subtype="PCM_16")
    for content, said in (
        (recording(NOISE, 768_000), "768,000 Hz"),
        (flac[:1000], "cut off"),
        (b"text", "not a sound file"),
    ):
        answer = client.post("/api/imitate?seconds=0.1", content=content)
        assert answer.status_code == 422 and said in answer.json()["error"]


@pytest.mark.parametrize(
    ("content", "note"),
    [
        (recording(np.stack([NOISE, -NOISE], axis=1)), ""),
        (recording(32767 * NOISE), ""),
        (recording(np.r_[NOISE, np.zeros(12 * 16_000)]), "only its first 10 seconds were used"),
    ],
)
def test_a_sound_that_is_there_is_imitated(client: TestClient, content: bytes, note: str) -> None:
    answer = client.post("/api/imitate?seconds=0.1", content=content)
    last = json.loads(answer.text.splitlines()[-1])
    assert "recipe" in last and last.get("note", "") == note
