"""Tests of the state of runs in the studio: runs that grow, end, are damaged or deleted, and private data that is not
sent."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import soundfile

from audiogan.modalities.sound import write_preview
from audiogan.monitors.finding import Finding, write_findings

if TYPE_CHECKING:
    from starlette.testclient import TestClient

    from audiogan import Generator


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "runs"


@pytest.fixture
def studio(drums: Generator, root: Path) -> TestClient:
    """Return a client of a studio that watches an empty folder."""
    from starlette.testclient import TestClient

    from audiogan.studio import create_app

    app = create_app(drums, runs_dir=root)
    return TestClient(app, base_url="http://127.0.0.1:8642", raise_server_exceptions=False)


@pytest.fixture
def run(root: Path) -> Path:
    """Return the folder of a run that has started but has not logged anything."""
    folder = root / "drums"
    folder.mkdir(parents=True)
    (folder / ".lock").touch()
    (folder / "config.yaml").write_text("name: drums\ntrainer:\n  steps: 1000\n  minutes: null\nlr:\n  steps: 7\n")
    (folder / "run.json").write_text('{"status": "running"}')
    return folder


def log(run: Path, *rows: dict[str, Any] | str) -> None:
    with open(run / "metrics.jsonl", "a", encoding="utf-8") as file:
        file.writelines(row if isinstance(row, str) else json.dumps(row) + "\n" for row in rows)


def row(step: int, loss: float | None = None) -> dict[str, Any]:
    """Return a line of the log, for a run of two steps per second."""
    return {"step": step, "seconds": step / 2, "critic/loss": step / 10 if loss is None else loss}


def listed(studio: TestClient) -> list[dict[str, Any]]:
    studio.app.state.watching._looked = -1e9  # type: ignore[attr-defined]  # not as if half a second had not passed
    answer = studio.get("/api/runs")
    assert answer.status_code == 200, answer.text
    return answer.json()["runs"]


def look(studio: TestClient, **seen: str) -> dict[str, Any]:
    """Return the state of the only run."""
    (one,) = listed(studio)
    answer = studio.get(f"/api/runs/{one['id']}", params=seen)
    assert answer.status_code == 200, answer.text
    return answer.json()


def curve(data: dict[str, Any], title: str = "loss", line: int = 0) -> list[list[float]]:
    """Return the steps and the values of a drawn line."""
    (figure,) = [one for one in data["curves"]["figures"] if one["title"] == title]
    return figure["points"]["series"][line]


def long_ago(run: Path) -> None:
    for path in [run, *run.rglob("*")]:
        os.utime(path, (1e9, 1e9))


def test_without_runs_there_is_an_empty_list(studio: TestClient) -> None:
    assert listed(studio) == []


def test_a_run_that_has_not_begun_to_log_is_shown(studio: TestClient, run: Path) -> None:
    data = look(studio)
    assert (data["name"], data["state"], data["step"], data["steps"]) == ("drums", "preparing", 0, 1000)
    assert data["curves"]["figures"] == data["findings"]["all"] == data["previews"]["all"] == []


def test_what_is_new_comes_and_only_that(studio: TestClient, run: Path) -> None:
    log(run, row(10), row(20))
    first = look(studio)
    assert curve(first) == [[10, 20], [1, 2]]
    seen = {part: first[part]["version"] for part in ("curves", "findings", "previews")}
    assert not {"curves", "findings", "previews"} & look(studio, **seen).keys()

    log(run, row(30), '{"step": 40, "crit')  # The last line is incomplete.
    second = look(studio, **seen)
    assert curve(second) == [[10, 20, 30], [1, 2, 3]] and "findings" not in second and second["broken"] == 0
    log(run, 'ic/loss": 4}\n')
    assert curve(look(studio, **seen)) == [[10, 20, 30, 40], [1, 2, 3, 4]]

    write_findings(run / "findings.jsonl", [Finding("explosion", 30, "warning", "it <b>burst</b>", "less", "lr=1")])
    third = look(studio, **seen)
    said = {key: third["findings"]["all"][0][key] for key in ("kind", "step", "severity", "text", "advice", "override")}
    assert list(said.values()) == ["explosion", 30, "warning", "it <b>burst</b>", "less", "lr=1"]
    assert "previews" not in third


def test_the_verdict_stands_before_newer_findings(studio: TestClient, run: Path) -> None:
    found = [Finding("a", 1, "note", ""), Finding("verdict", 2, "failure", ""), Finding("b", 3, "warning", "")]
    write_findings(run / "findings.jsonl", found)
    assert [one["kind"] for one in look(studio)["findings"]["all"]] == ["verdict", "b", "a"]


def test_progress_is_told_from_the_last_lines(studio: TestClient, run: Path) -> None:
    log(run, *[row(step) for step in range(10, 210, 10)])
    data = look(studio)
    assert (data["state"], data["step"], data["share"], data["seconds"]) == ("training", 200, 0.2, 100)
    assert data["rate"] == pytest.approx(120)  # steps per minute
    assert data["left"] == pytest.approx(400)  # seconds for 800 steps
    (run / "config.yaml").write_text("trainer:\n  minutes: 5\n  steps: null\n")
    assert look(studio)["left"] == pytest.approx(200) and look(studio)["share"] == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("status", "state", "why"),
    [
        (
            "running",
            "interrupted",
            "the process or the machine stopped unexpectedly",
        ),  # A killed process cannot store its status.
        ("finished", "finished", ""),
        ("stopped (interrupted)", "interrupted", ""),
        ("stopped (critic/loss is no longer finite at step 9)", "stopped", "critic/loss is no longer finite at step 9"),
        ("", "interrupted", "the process or the machine stopped unexpectedly"),
    ],
)
def test_the_end_of_a_run_is_told(studio: TestClient, run: Path, status: str, state: str, why: str) -> None:
    log(run, row(10), row(20))
    (run / "run.json").write_text(json.dumps({"status": status}))
    long_ago(run)
    data = look(studio)
    assert (data["state"], data["why"], data["left"]) == (state, why, None)


def test_a_run_that_is_silent_for_long_still_trains_while_its_process_lives(studio: TestClient, run: Path) -> None:
    fcntl = pytest.importorskip("fcntl")
    if not Path("/proc/locks").exists():
        pytest.skip("this system does not tell of locks")
    log(run, row(10))
    long_ago(run)
    assert look(studio)["state"] == "interrupted"
    with open(run / ".lock") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert look(studio)["state"] == "training"
    assert look(studio)["state"] == "interrupted"


def test_a_slow_rhythm_is_not_taken_for_death(studio: TestClient, run: Path) -> None:
    log(run, *[{"step": i, "seconds": 1000.0 * i} for i in range(1, 5)])
    for path in run.iterdir():
        os.utime(path, (time.time() - 1500,) * 2)
    assert look(studio)["state"] == "training"


def test_a_run_taken_up_again_loses_the_steps_it_takes_again(studio: TestClient, run: Path) -> None:
    log(run, row(10), row(20), row(30))
    assert curve(look(studio))[0] == [10, 20, 30]
    log(run, row(20, 7.0))  # The resumed run appends step 20 to the same log.
    assert curve(look(studio)) == [[10, 20], [1, 7]]
    (run / "metrics.jsonl").write_text(json.dumps(row(10, 5.0)) + "\n" + json.dumps(row(25, 6.0)) + "\n" + " " * 400)
    assert curve(look(studio)) == [[10, 25], [5, 6]]  # The log was rewritten and is longer than before.
    (run / "metrics.jsonl").write_text(json.dumps(row(11)) + "\n")
    assert curve(look(studio)) == [[11], [1.1]]
    (run / "metrics.jsonl").unlink()
    assert look(studio)["curves"]["figures"] == []


def test_previews_come_with_the_place_of_each_sound(studio: TestClient, run: Path) -> None:
    waves = np.random.default_rng(0).uniform(-0.5, 0.5, (3, 1, 800)).astype(np.float32)
    write_preview(run, 100, waves, 16000, ["kick", "snare", "tom"])
    data = look(studio)
    (one,) = data["previews"]["all"]
    where = data["previews"]["layouts"][one["layout"]]
    assert one["step"] == 100
    assert where == {"titles": ["1 kick", "2 snare", "3 tom"], "seconds": 0.05, "every": 0.3}
    for kind, media in (("wav", "audio/wav"), ("png", "image/png")):
        answer = studio.get(f"/api/runs/{data['id']}/previews/{one[kind]}")
        assert answer.headers["content-type"] == media
        assert answer.content == (run / "previews" / f"step-00000100.{kind}").read_bytes()
    write_preview(run, 200, waves, 16000)
    again = look(studio, previews=data["previews"]["version"])
    assert [one["step"] for one in again["previews"]["all"]] == [100, 200]
    assert again["previews"]["all"][0] == one


@pytest.mark.parametrize(
    "name",
    [
        "../run.json",
        "..%2frun.json",
        "%2e%2e%2frun.json",
        "..%5crun.json",
        "%2fetc%2fpasswd",
        "run.json",
        "step-1.ckpt",
        "step-00000001.wav%00.png",
        "step-00000002.wav",  # a link that leads out of the run
        "step-00000003.wav",  # a named pipe, which would block when opened
        "step-00000004.wav",  # a folder
        "step-00000005.wav",  # a circular link
        "step-" + "9" * 400 + ".wav",
        "step-٣.wav",
        ".step-00000001.wav.0123.tmp",
    ],
)
def test_only_previews_are_served(studio: TestClient, run: Path, tmp_path: Path, name: str) -> None:
    previews = run / "previews"
    (previews / "step-00000004.wav").mkdir(parents=True)
    (tmp_path / "secret.wav").write_text("secret")
    (previews / ".step-00000001.wav.0123.tmp").write_text("secret")
    (previews / "step-00000002.wav").symlink_to(tmp_path / "secret.wav")
    (previews / "step-00000005.wav").symlink_to("step-00000005.wav")
    os.mkfifo(previews / "step-00000003.wav")
    data = look(studio)
    assert data["previews"]["all"] == []
    answer = studio.get(f"/api/runs/{data['id']}/previews/{name}")
    assert answer.status_code == 404 and list(answer.json()) == ["error"]
    assert "secret" not in answer.text and str(tmp_path) not in answer.text


@pytest.mark.parametrize(
    "id", ["drums", "..", "%2e%2e", "../drums", "..%2fdrums", "0" * 12, "", "x" * 9000, "%00", "é"]
)
def test_a_run_is_asked_for_by_its_id_only(studio: TestClient, run: Path, tmp_path: Path, id: str) -> None:
    log(run, row(10))
    for address in (f"/api/runs/{id}", f"/api/runs/{id}/previews/step-00000001.wav"):
        answer = studio.get(address)
        assert answer.status_code in (200, 404)  # The names "" and ".." lead to the list of runs, or to no page.
        assert "curves" not in answer.text and str(tmp_path) not in answer.text


def test_links_out_of_a_run_are_not_read(studio: TestClient, run: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    write_preview(outside, 1, np.zeros((1, 1, 800), np.float32), 16000)
    log(outside, row(10))
    write_findings(outside / "findings.jsonl", [Finding("a", 1, "note", "secret")])
    for name in ("metrics.jsonl", "findings.jsonl", "previews"):
        (run / name).symlink_to(outside / name)
    data = look(studio)
    assert data["curves"]["figures"] == data["findings"]["all"] == data["previews"]["all"] == [] and data["step"] == 0
    assert studio.get(f"/api/runs/{data['id']}/previews/step-00000001.wav").status_code == 404


def test_a_run_that_is_deleted_meanwhile_is_said_to_be_gone_and_may_come_back(studio: TestClient, run: Path) -> None:
    log(run, row(10), row(20))
    data = look(studio)
    shutil.move(run, run.parent.parent / "elsewhere")
    for address in (f"/api/runs/{data['id']}", f"/api/runs/{data['id']}/previews/step-00000001.wav"):
        answer = studio.get(address)
        assert answer.status_code == 404 and "does not exist" in answer.json()["error"]
    assert listed(studio) == []
    run.mkdir()
    log(run, row(5, 9.0))
    assert look(studio)["id"] == data["id"] and curve(look(studio)) == [[5], [9]]


DAMAGED = [
    b"\xff\xfe\x00garbage\n",
    b"[" * 100_000 + b"\n",
    b'{"step": 1e999}\n{"step": -1, "loss": 1}\n{"step": "NaN"}\n{"step": null}\n{"step": true}\n',
    b'{"step": ' + b"9" * 6000 + b"}\n",
    b"null\n[]\n3\n" + b'"text"\n',
]


@pytest.mark.parametrize("damage", DAMAGED)
def test_damaged_lines_are_counted_and_the_rest_is_drawn(studio: TestClient, run: Path, damage: bytes) -> None:
    log(run, row(10))
    with open(run / "metrics.jsonl", "ab") as file:
        file.write(damage)
    log(run, row(20))
    (run / "findings.jsonl").write_bytes(damage + Finding("a", 1, "note", "x").to_json().encode() + b"\n")
    (run / "run.json").write_bytes(damage)
    (run / "config.yaml").write_bytes(damage)
    (run / "evaluation.json").write_bytes(damage)
    data = look(studio)
    assert curve(data) == [[10, 20], [1, 2]] and data["broken"] == damage.count(b"\n")
    assert [one["kind"] for one in data["findings"]["all"]] == ["a"]


def test_odd_values_and_names_do_no_harm(studio: TestClient, root: Path) -> None:
    run = root / "table" / '<img src=x> "\udcff'
    run.mkdir(parents=True)
    log(run, '{"step": 1, "loss": NaN, "kl": -Infinity, "\\ud800": 1, "<script>alert(1)</script>": 1e308}\n')
    log(run, '{"step": 2, "loss": 1e999, "seconds": NaN, "x@64": {"a": 1}, "' + "n" * 5000 + '": 1}\n')
    (run / "findings.jsonl").write_text('{"kind": "\\ud800", "step": 1e999, "severity": "note"}\n')
    data = look(studio)
    assert data["name"] == 'table/<img src=x> "?' and data["broken"] == 0
    drawn = {one["title"]: one["html"] for one in data["curves"]["figures"]}
    assert drawn.keys() == {"loss", "kl", "\ud800", "<script>alert(1)</script>"}
    assert not any("<script" in html for html in drawn.values())


COMMENTS = [
    '{"count": 1000000000, "seconds": 0.01, "every": 0.02}',
    '{"count": 2, "seconds": 1e999, "every": NaN}',
    '{"count": "x"}',
    "{}",
    "[1]",
    "[" * 1500,
]


@pytest.mark.parametrize("comment", COMMENTS)
def test_a_preview_of_someone_else_plays_as_a_whole(studio: TestClient, run: Path, comment: str) -> None:
    (run / "previews").mkdir()
    with soundfile.SoundFile(run / "previews" / "step-00000007.wav", "w", 8000, 1) as file:
        file.comment = comment
        file.write(np.zeros(80))
    (run / "previews" / "step-00000008.wav").write_bytes(b"not a sound")
    seven, eight = look(studio)["previews"]["all"]
    assert (seven["step"], eight["step"], eight["layout"]) == (7, 8, None)
    for where in look(studio)["previews"]["layouts"].values():
        assert len(where["titles"]) <= 256


def test_runs_are_found_in_tables_and_those_that_train_come_first(studio: TestClient, root: Path) -> None:
    for name, status in (("a", "finished"), ("table/lr=1", "running"), ("table/lr=2", "finished"), ("z/1/2/3/4", "")):
        (root / name).mkdir(parents=True)
        (root / name / "run.json").write_text(json.dumps({"status": status}))
        log(root / name, row(10))
    (root / "a" / "copy").mkdir()
    log(root / "a" / "copy", row(10))  # Folders inside a run folder are not listed.
    (root / "notes").mkdir()
    first, *rest = [one["name"] for one in listed(studio)]
    assert first == "table/lr=1" and sorted(rest) == ["a", "table/lr=2"]


def test_a_run_just_deleted_is_not_listed(studio: TestClient, run: Path) -> None:
    assert len(listed(studio)) == 1
    shutil.rmtree(run)
    studio.app.state.watching._looked = time.monotonic()  # type: ignore[attr-defined]  # as if it was looked for just now
    assert studio.get("/api/runs").json()["runs"] == []


def test_the_run_that_is_played_is_listed_wherever_it_lies(tiny_run: Path, root: Path) -> None:
    from starlette.testclient import TestClient

    import audiogan
    from audiogan.studio import create_app

    studio = TestClient(create_app(audiogan.load(tiny_run), runs_dir=root), base_url="http://127.0.0.1:8642")
    (one,) = studio.get("/api/runs").json()["runs"]
    assert (one["name"], one["state"], one["step"], one["played"]) == ("tiny", "finished", 4, True)
    data = studio.get(f"/api/runs/{one['id']}").json()
    assert data["share"] == 1 and data["findings"]["all"][0]["kind"] == "verdict"
    assert curve(data)[0] == [2, 4]  # The log of a real run.
    assert len(data["previews"]["layouts"][data["previews"]["all"][0]["layout"]]["titles"]) == 4
    assert str(tiny_run.parent) not in json.dumps(data)


def test_a_run_without_a_model_is_watched_while_the_shipped_drums_are_played(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import torch
    import uvicorn
    from starlette.testclient import TestClient

    from audiogan import cli
    from audiogan.commands import studio

    served = []
    # The number of threads applies to all tests, so it must not change.
    monkeypatch.setattr(torch, "set_num_threads", lambda threads: None)
    monkeypatch.setattr(studio, "_warm_up", lambda generator: None)
    monkeypatch.setattr(uvicorn.Server, "run", lambda self, sockets: served.append(self.config.app))
    assert cli.main(["studio", str(run), "--port", "0", "--no-browser"]) == 0
    (one,) = TestClient(served[0], base_url="http://127.0.0.1").get("/api/runs").json()["runs"]
    assert (one["name"], one["state"], one["played"]) == ("drums", "preparing", False)
    said = capsys.readouterr().out
    assert "it has no checkpoint yet" in said and f"/run#{one['id']}\n" in said and "drums plays at" in said


def test_other_web_sites_may_not_look(studio: TestClient, run: Path) -> None:
    for headers in ({"Origin": "http://evil.example"}, {"Host": "evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        assert studio.get("/api/runs", headers=headers).status_code == 403
