"""Tests of training runs that are killed, interrupted, resumed or refused."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf
from states import assert_same, final
from tiny import TINY

from audiogan.cli import main
from audiogan.core import load_state
from audiogan.core.checkpoint import list_checkpoints
from audiogan.errors import UserError
from audiogan.run.config import compose
from audiogan.run.folder import lock_run_folder
from audiogan.run.training import build_game, build_representation, train

# Run `python -m audiogan ARGUMENTS` for each line of input. Slow modules are imported once, before the fork.
SERVER = """
import json, os, runpy, sys
import audiogan.run.callbacks, audiogan.run.training, audiogan.run.report
import audiogan.modalities.drawing.spectrograms, audiogan.data.sounds.folder
import hydra, matplotlib.figure, torch._dynamo, torch.utils.tensorboard
for line in sys.stdin:
    job = json.loads(line)
    pid = os.fork()
    if pid == 0:
        out = os.open(job["out"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(out, 1), os.dup2(out, 2)
        sys.argv = ["audiogan", *job["arguments"]]
        runpy.run_module("audiogan", run_name="__main__")
        sys.exit()
    print(pid, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""


class Command:
    """A running `audiogan` command in its own process."""

    def __init__(self, server: subprocess.Popen[str], out: Path, arguments: list[str]) -> None:
        self._server, self._out = server, out
        assert server.stdin is not None
        print(json.dumps({"out": str(out), "arguments": arguments}), file=server.stdin, flush=True)
        self.pid = int(self._line())

    def _line(self) -> str:
        assert self._server.stdout is not None
        return self._server.stdout.readline()

    def send(self, number: int) -> None:
        os.kill(self.pid, number)

    def wait(self) -> tuple[int, str]:
        """Return the exit code (negative if a signal ended the process) and the output."""
        return int(self._line()), self._out.read_text()


Spawn = Callable[..., Command]


@pytest.fixture(scope="module")
def server() -> Iterator[subprocess.Popen[str]]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", SERVER], stdin=pipe, stdout=pipe, text=True, env=environment) as child:
        yield child
        assert child.stdin is not None
        child.stdin.close()


@pytest.fixture
def spawn(server: subprocess.Popen[str], tmp_path: Path) -> Spawn:
    return lambda *arguments: Command(server, tmp_path / "printed.txt", [*map(str, arguments)])


@pytest.fixture
def tiny(tiny_sounds: Path, tmp_path: Path) -> list[str]:
    return [*TINY, f"data.root={tiny_sounds}", f"run_dir={tmp_path / 'run'}", "callbacks.log.every=1"]


@pytest.fixture
def copied(tiny_run: Path, tmp_path: Path) -> Path:
    """Return a copy of a run of four steps, at the path where `tiny` expects it."""
    return Path(shutil.copytree(tiny_run, tmp_path / "run"))


def quietly(overrides: list[str]) -> tuple[Any, str]:
    said: list[str] = []
    trainer = train(
        compose("drums", overrides), progress=False, echo=said.append, resume_command="audiogan train drums"
    )
    return trainer, "\n".join(said)


def lines(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def rows(run: Path) -> list[dict[str, Any]]:
    """Return the lines of the metrics log, without the values of the monitors."""
    return [row for row in lines(run) if "seconds" in row]


def figures(run: Path) -> list[dict[str, Any]]:
    timed = ("seconds", "examples_per_second")
    return [{key: value for key, value in row.items() if key not in timed} for row in lines(run)]


def until(condition: Callable[[], bool], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it takes too long"
        time.sleep(0.005)


def newest_step(run: Path) -> int:
    return max((int(path.stem.removeprefix("step-")) for path in list_checkpoints(run / "checkpoints")), default=0)


STEPS = 24
OFTEN = ["checkpoints.every_steps=1", "callbacks.previews.every=6", f"trainer.steps={STEPS}"]


@pytest.fixture(scope="module")
def unstopped(server: subprocess.Popen[str], tiny_sounds: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unstopped")
    arguments = [*TINY, f"data.root={tiny_sounds}", f"run_dir={folder / 'run'}", "callbacks.log.every=1", *OFTEN]
    code, out = Command(server, folder / "printed.txt", ["train", "drums", *arguments]).wait()
    assert code == 0, out
    return folder / "run"


def test_killed_at_random_moments_it_ends_bit_identical(
    spawn: Spawn, tiny: list[str], unstopped: Path, tmp_path: Path
) -> None:
    run, rng = tmp_path / "run", random.Random(1)
    command = ["train", "drums", *tiny, *OFTEN]
    moments = [(0, rng.uniform(0, 1)), *((step, rng.uniform(0, 0.15)) for step in sorted(rng.sample(range(1, 21), 6)))]
    for step, later in moments:
        child = spawn(*command)
        until(lambda step=step: newest_step(run) >= step)
        time.sleep(later)
        child.send(signal.SIGKILL)
        code, out = child.wait()
        assert code == -signal.SIGKILL, out
    code, out = spawn(*command).wait()
    assert code == 0 and "resuming from" in out and "damaged" not in out, out
    assert_same(final(run), final(unstopped))
    assert figures(run) == figures(unstopped)
    assert [row["step"] for row in rows(run)] == list(range(1, STEPS + 1))
    assert [p for p in run.rglob("*") if p.name.endswith(".tmp")] == []
    sheets = {path.name for path in (run / "previews").iterdir()}
    assert sheets == {f"step-{step:08d}.{kind}" for step in (6, 12, 18, 24) for kind in ("wav", "png")}
    for step in (6, 24):
        name = f"previews/step-{step:08d}.wav"
        assert (run / name).read_bytes() == (unstopped / name).read_bytes()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_interrupted_it_saves_this_very_step_and_goes_on(
    number: signal.Signals, spawn: Spawn, tiny: list[str], unstopped: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    command = ["train", "drums", *tiny, *OFTEN]
    child = spawn(*command)
    until(lambda: newest_step(run) >= 3)
    child.send(number)
    code, out = child.wait()
    stopped = newest_step(run)
    assert code == 130 and 3 <= stopped < STEPS, out
    assert rows(run)[-1]["step"] == stopped == load_state(list_checkpoints(run / "checkpoints")[0])["trainer"]["step"]
    assert (run / f"previews/step-{stopped:08d}.wav").is_file() and "Traceback" not in out
    again = out[out.index("resume:") :].splitlines()[0]
    assert "audiogan train drums" in again and f"run_dir={run}" in again
    code, out = spawn(*command).wait()
    assert code == 0 and f"at step {stopped:,}" in out, out
    assert_same(final(run), final(unstopped))
    assert figures(run) == figures(unstopped)


def test_what_a_killed_run_was_writing_is_removed(copied: Path, tiny: list[str]) -> None:
    names = ("config.yaml", "metrics.jsonl", "report.html", "run.json", "scan.csv", "previews/step-00000004.wav")
    for name in names:
        path = copied / name
        path.with_name(f".{path.name}.0123abcd.tmp").write_text("half")
    mine = copied / ".notes.tmp"
    mine.write_text("someone else's")
    (copied / "checkpoints/.step-00000005.ckpt.77.tmp").write_text("half")
    quietly([*tiny, "trainer.steps=5"])
    assert [p.name for p in copied.rglob("*.tmp")] == [mine.name]


def test_the_log_goes_on_where_the_checkpoint_was(copied: Path, tiny: list[str]) -> None:
    log = copied / "metrics.jsonl"
    before = log.read_text()
    with open(log, "a") as file:  # Two lines after the checkpoint, the second truncated.
        file.write(json.dumps({"step": 5, "critic/loss": 9.0}) + "\n" + '{"step": 6, "crit')
    quietly([*tiny, "trainer.steps=6", "callbacks.log.every=2"])
    assert log.read_text().startswith(before) and [row["step"] for row in rows(copied)] == [2, 4, 6]


def test_a_mean_reaches_over_a_stop(tiny: list[str], tmp_path: Path) -> None:
    several = ["callbacks.log.every=4", "checkpoints.every_steps=3", "callbacks.previews=null"]
    quietly([*tiny, *several, "trainer.steps=4"])
    whole = figures(tmp_path / "run")
    checkpoint = tmp_path / "run/checkpoints/step-00000004.ckpt"
    checkpoint.unlink()  # The state of a run that was killed in step 4.
    quietly([*tiny, *several, "trainer.steps=4"])
    assert figures(tmp_path / "run") == whole


@pytest.mark.parametrize("damage", ["cut", "bit"])
def test_a_damaged_checkpoint_is_skipped(damage: str, copied: Path, tiny: list[str]) -> None:
    quietly([*tiny, "trainer.steps=6", "checkpoints.every_steps=1"])
    good = final(copied)
    newest = copied / "checkpoints/step-00000006.ckpt"
    data = bytearray(newest.read_bytes())
    if damage == "bit":
        data[len(data) // 2] ^= 4
    newest.unlink()
    newest.write_bytes(data if damage == "bit" else data[: len(data) // 2])
    _, said = quietly([*tiny, "trainer.steps=6"])
    assert "skipped a damaged checkpoint" in said and newest.name in said
    assert "resuming from" in said and "step-00000005.ckpt at step 5" in said
    assert_same(final(copied)["game"], good["game"])


def contents(run: Path) -> dict[str, bytes]:
    return {str(p.relative_to(run)): p.read_bytes() for p in run.rglob("*") if p.is_file() and p.name != ".lock"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("game.generator.widths=[24,8]", ["nets.generator", "game.generator.widths: [16, 8] -> [24, 8]"]),
        ("data.labels=none", ["inputs.classes.counts", "data.labels"]),
        ("optimizer=rmsprop", ["optimizer", "torch.optim.Adam -> torch.optim.RMSprop"]),
        ("callbacks.ema.nets=[generator,critic]", ["critic"]),
    ],
)
def test_what_cannot_be_resumed_is_named_and_left_as_it_is(
    change: str, words: list[str], copied: Path, tiny: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(copied)
    assert main(["train", "drums", *tiny, "trainer.steps=6", change]) == 2
    error = capsys.readouterr().err.strip().splitlines()
    assert len(error) == 1 and "run_dir" in error[0] and all(word in error[0] for word in words)
    assert contents(copied) == before


def test_a_finished_run_has_nothing_to_do_until_it_may_go_on(copied: Path, tiny: list[str]) -> None:
    trainer, said = quietly([*tiny, "trainer.steps=4"])
    assert trainer.step == 4 and "nothing to do: the run is at step 4" in said
    trainer, said = quietly([*tiny, "trainer.steps=5", "lr.critic=0.25"])
    assert trainer.step == 5 and "finished at step 5" in said and "resume:" not in said
    assert re.search(r"changed since that checkpoint: lr\.critic: \S+ -> 0.25;", said)
    assert trainer.optimizers["critic"].param_groups[0]["lr"] == 0.25
    assert final(copied)["optimizers"]["critic"]["param_groups"][0]["lr"] == 0.25


def test_two_trainings_do_not_share_a_run_folder(
    copied: Path, tiny: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(copied)
    with lock_run_folder(copied):
        assert main(["train", "drums", *tiny, "trainer.steps=6"]) == 2
    error = capsys.readouterr().err.strip()
    assert "another training" in error and str(copied) in error and "\n" not in error
    assert contents(copied) == before


def test_minutes_or_steps_end_a_run_whichever_is_spent_first(tiny: list[str], tmp_path: Path) -> None:
    trainer, _ = quietly([*tiny, "trainer.steps=100000", "trainer.minutes=0.005", "trainer.clock=cpu"])
    first = trainer.step
    assert 1 <= first < 500 and trainer.seconds >= 0.3 and trainer.stop_reason is None
    assert "nothing to do" in quietly([*tiny, "trainer.steps=100000", "trainer.minutes=0.005"])[1]
    trainer, _ = quietly([*tiny, f"trainer.steps={first + 2}", "trainer.minutes=60"])
    assert trainer.step == first + 2 and newest_step(tmp_path / "run") == first + 2


def test_no_steps_save_the_untrained_networks(tiny: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    for words in ("finished at step 0", "nothing to do: the run is at step 0"):
        assert main(["train", "drums", *tiny, "trainer.steps=0"]) == 0
        assert words in capsys.readouterr().out


def test_numbers_that_explode_stop_the_run_and_spare_the_checkpoint(
    copied: Path, tiny: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    good = final(copied)
    often = ["checkpoints.every_steps=1", "trainer.steps=40"]
    assert main(["train", "drums", *tiny, *often, "lr.critic=1e30"]) == 2
    printed = capsys.readouterr()
    errors = [line for line in printed.err.splitlines() if line.startswith("audiogan:")]
    assert len(errors) == 1 and "explosion" in errors[0] and str(copied) in errors[0]
    assert "Traceback" not in printed.err and "resume:" not in printed.out
    for path in list_checkpoints(copied / "checkpoints"):
        weights = load_state(path)["trainer"]["game"].values()
        assert all(bool(torch.isfinite(w).all()) for w in weights if w.is_floating_point())
    assert newest_step(copied) < 40
    assert "explosion" in json.loads((copied / "run.json").read_text())["status"]
    assert_same(load_state(copied / "checkpoints/step-00000004.ckpt")["trainer"]["game"], good["game"])


def test_a_loss_that_is_no_number_stops_the_run(tiny: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from audiogan.losses import NonSaturating

    monkeypatch.setattr(NonSaturating, "generator", lambda self, logits: logits.mean() * float("nan"))
    trainer, said = quietly([*tiny, "trainer.steps=20"])
    assert trainer.step == 1 and "is nan" in trainer.stop_reason and "stopped" in said


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("checkpoints.keep=0", "keep=0"),
        ("callbacks.log.every=0", "callbacks.log: every=0"),
        ("callbacks.previews.every=0", "callbacks.previews: every=0"),
        ("callbacks.previews.count=0", "count=0"),
    ],
)
def test_settings_out_of_range_are_one_line(change: str, words: str, tiny: list[str]) -> None:
    with pytest.raises(UserError, match=words) as caught:
        quietly([*tiny, "trainer.steps=1", change])
    assert "\n" not in str(caught.value)


def test_previews_need_no_log(tiny: list[str], tmp_path: Path) -> None:
    quietly([*tiny[:-1], "callbacks.log=null", "trainer.steps=1"])
    assert (tmp_path / "run/previews/step-00000001.wav").is_file()


def test_the_run_folder_has_all_one_wants_to_see(tiny_run: Path) -> None:
    names = {str(path.relative_to(tiny_run)) for path in tiny_run.rglob("*") if path.is_file()}
    wanted = {"config.yaml", "metrics.jsonl", "report.html", "run.json", "scan.csv", "scan.txt"}
    wanted |= {"checkpoints/step-00000004.ckpt", "previews/step-00000004.wav", "previews/step-00000004.png"}
    assert wanted <= names and any(name.startswith("tensorboard/events.out.tfevents") for name in names)
    assert [row["step"] for row in rows(tiny_run)] == [2, 4]
    assert {"seconds", "examples_per_second", "critic/loss", "generator/loss", "critic/r1"} <= rows(tiny_run)[0].keys()
    assert "30 of 40 clips" in (tiny_run / "scan.txt").read_text()
    assert "step-00000004" in (tiny_run / "report.html").read_text()


def test_tensorboard_has_curves_sounds_and_pictures(tiny_run: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(tiny_run / "tensorboard"))
    events.Reload()
    tags = events.Tags()
    assert "critic/loss" in tags["scalars"] and tags["audio"] == ["previews"] and tags["images"] == ["previews"]
    assert [event.step for event in events.Scalars("generator/loss")] == [2, 4]


def test_the_saved_configuration_rebuilds_the_same_networks(tiny_run: Path) -> None:
    cfg: Any = OmegaConf.load(tiny_run / "config.yaml")
    game = build_game(cfg, build_representation(cfg))
    saved = final(tiny_run)["game"]
    assert {name: w.shape for name, w in game.state_dict().items()} == {name: w.shape for name, w in saved.items()}
    assert cfg.facts.labels == ["kick", "snare"] and cfg.facts.inputs.classes.counts == [15, 15]


@pytest.mark.slow
def test_two_processes_train_one_run(tiny: list[str], tmp_path: Path) -> None:
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "audiogan"]
    command = [*launch, "train", "drums", *tiny]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    for steps in (3, 5):  # The second run resumes the first.
        ended = subprocess.run(
            [*command, f"trainer.steps={steps}"], env=environment, capture_output=True, text=True, timeout=300
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr
        assert ended.stdout.count(f"finished at step {steps}") == 1 and "2 processes" in ended.stdout
    run = tmp_path / "run"
    assert [row["step"] for row in rows(run)] == [1, 2, 3, 4, 5]
    assert final(run)["examples"] == 5 * 2 * 2 * 4  # Steps, players, processes, batch size.
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
