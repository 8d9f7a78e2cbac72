"""Tests of the blind listening test: fair draws, equal loudness, hidden answers until the end, and statistics."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import soundfile
from scipy.stats import binomtest
from starlette.testclient import TestClient
from test_studio_finding import HOST, add, content, hit

from audiogan.kits.rendering import momentary_loudness, true_peak
from audiogan.studio import create_app, listening
from audiogan.studio.listening import proportion

if TYPE_CHECKING:
    from audiogan import Generator


@pytest.fixture(scope="module")
def client(drums: Generator) -> TestClient:
    """Return a client of a studio with twelve recordings: eight kicks, and four of unknown class."""
    client = TestClient(create_app(drums), base_url=HOST, raise_server_exceptions=False)
    for i in range(12):
        name = f"kick/{i}.wav" if i < 8 else f"{i}.wav"
        level = 10 ** (-i / 10)
        assert add(client, name, content(level * hit(i, hz=50 + 100 * (i > 7) * i))).status_code == 200
    return client


def begun(client: TestClient, **wanted: Any) -> str:
    answer = client.post("/api/listening", json=wanted)
    assert answer.status_code == 200, answer.text
    return answer.json()["id"]


def sound(client: TestClient, id: str, trial: int) -> np.ndarray:
    answer = client.get(f"/api/listening/{id}/{trial}.wav")
    assert answer.status_code == 200, answer.text
    samples, rate = soundfile.read(io.BytesIO(answer.content), always_2d=True)
    assert rate == 16_000 and b"LIST" not in answer.content
    return samples.T


def answered(client: TestClient, id: str, answers: list[str]) -> dict[str, Any]:
    for trial, answer in enumerate(answers):
        body = {"trial": trial, "answer": answer, "plays": 2, "seconds": 1.5}
        assert client.post(f"/api/listening/{id}/answers", json=body).json() == {"answered": trial + 1}
    return client.post(f"/api/listening/{id}/result", json={}).json()


def test_a_test_is_counted_with_its_interval(client: TestClient) -> None:
    id = begun(client, trials=12, seed=7)
    result = answered(client, id, ["real", "generated"] * 6)
    right = [trial["truth"] == trial["answer"] for trial in result["trials"]]
    assert (result["answered"], result["planned"], result["correct"]) == (12, 12, sum(right))
    low, high = binomtest(sum(right), 12).proportion_ci(0.95, method="wilson")
    assert (result["interval"]["low"], result["interval"]["high"]) == (round(low, 4), round(high, 4))
    assert result["interval"]["method"] == "Wilson" and result["model"] == "drums" and result["seed"] == 7
    mistakes = result["recordings_taken_for_generated"], result["generated_taken_for_recordings"]
    assert sum(one["count"] for one in mistakes) == 12 - sum(right) and sum(one["of"] for one in mistakes) == 12
    assert sum(one["answered"] for one in result["by_class"].values()) == 12
    names = [trial["recording"] for trial in result["trials"] if trial["truth"] == "real"]
    assert len(set(names)) == len(names) > 0
    assert {trial["recipe"]["model"] for trial in result["trials"] if trial["truth"] == "generated"} == {"drums"}
    assert all(trial["plays"] == 2 and trial["seconds"] == 1.5 and trial["class"] for trial in result["trials"])
    again = answered(client, begun(client, trials=12, seed=7), ["real", "generated"] * 6)
    assert again["trials"] == result["trials"]


def test_all_sounds_are_equally_loud_and_begin_at_once(client: TestClient) -> None:
    id = begun(client, trials=12, seed=1)
    waves = [sound(client, id, trial) for trial in range(12)]
    assert np.ptp([momentary_loudness(wave, 16_000) for wave in waves]) < 0.01
    assert max(true_peak(wave, 16_000) for wave in waves) <= -0.99
    assert all(np.abs(wave[:, :320]).max() > 0.02 * np.abs(wave).max() for wave in waves)
    assert all(np.abs(wave[:, -1]).max() < 1e-3 for wave in waves)  # There is no click at the end.


def test_the_truth_is_the_toss_of_a_coin(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    truths = []
    tests = client.app.state.listening  # type: ignore[attr-defined]
    monkeypatch.setattr(listening, "match_loudness", lambda waves, rate: 0.0)
    monkeypatch.setattr(tests, "_prepare", lambda recipe: np.zeros((1, 400), np.float32))
    for seed in range(40):
        truths += [trial.truth == "real" for trial in tests.get(tests.create(12, None, seed)).trials]
    assert binomtest(sum(truths), len(truths)).pvalue > 0.001
    pairs = np.array(truths).reshape(-1, 2)
    assert 0.4 < (pairs[:, 0] == pairs[:, 1]).mean() < 0.6  # Consecutive trials are independent.


def test_nothing_tells_the_truth_before_the_end(client: TestClient) -> None:
    id = begun(client, trials=4, seed=2)
    body = {"trial": 0, "answer": "real"}
    assert client.post(f"/api/listening/{id}/answers", json=body).text == '{"answered":1}'
    # A trial cannot be answered twice.
    assert client.post(f"/api/listening/{id}/answers", json=body).status_code == 422
    # Trials cannot be skipped.
    assert client.post(f"/api/listening/{id}/answers", json={**body, "trial": 3}).status_code == 422
    result = client.post(f"/api/listening/{id}/result", json={}).json()
    assert (result["answered"], result["planned"]) == (1, 4)
    late = client.post(f"/api/listening/{id}/answers", json={**body, "trial": 1})
    assert late.status_code == 422 and "ended" in late.json()["error"]


def test_wrong_requests_get_one_line(client: TestClient) -> None:
    for wanted, said in (
        ({"trials": 20}, "20 sounds need 20 recordings, and there are 12"),
        ({"trials": 12, "label": "kick"}, "of the class kick"),
        ({"trials": 4, "label": "piano"}, "not a class"),
        ({"trials": 3}, "trials"),
        ({"trials": 61}, "trials"),
        ({"trials": 4, "truth": 1}, "truth"),
    ):
        answer = client.post("/api/listening", json=wanted)
        assert answer.status_code == 422 and said in answer.json()["error"], answer.text
    id = begun(client, trials=4, label="kick")
    assert client.get("/api/listening/feed/0.wav").status_code == 404
    assert client.get(f"/api/listening/{id}/4.wav").status_code == 404
    assert client.get(f"/api/listening/{id}/-1.wav").status_code == 404
    assert client.post(f"/api/listening/{id}/result", json={}).status_code == 422
    for wrong in ({"trial": 0, "answer": "maybe"}, {"trial": 0}, {"trial": 0, "answer": "real", "seconds": -1}):
        assert client.post(f"/api/listening/{id}/answers", json=wrong).status_code == 422
    for _ in range(listening.MAX_TESTS):
        begun(client, trials=4, label="kick")
    assert "start a new one" in client.get(f"/api/listening/{id}/0.wav").json()["error"]


def test_intervals() -> None:
    assert proportion(0, 0) == {"count": 0, "of": 0, "share": None, "interval": None}
    some = proportion(16, 20, chance=0.5)
    assert some["correct"] == 16 and some["p_value"] == pytest.approx(0.01182, abs=1e-5)
    assert (some["interval"]["low"], some["interval"]["high"]) == (0.584, 0.9193)
    assert json.loads(json.dumps(some)) == some
