"""Tests of faulty checkpoints: damaged files, full disks, invalid values, and callbacks that return to earlier
steps."""

from __future__ import annotations

import copy
import errno
import math
import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from audiogan.core import EMA, Callback, CheckpointError, Checkpoints, load_newest_checkpoint, load_state, save_state
from audiogan.core import checkpoint as module
from audiogan.core.checkpoint import list_checkpoints

sys.path.insert(0, str(Path(__file__).parent))
from toys import line_trainer

posix = pytest.mark.skipif(os.name != "posix", reason="needs POSIX")


def steps(folder: Path) -> list[int]:
    return [int(path.stem.removeprefix("step-")) for path in list_checkpoints(folder)]


def saving(folder: Path, **options: Any) -> Checkpoints:
    return Checkpoints(folder, every_minutes=None, **{"every_steps": 5, **options})


@pytest.mark.parametrize("keep", [1, 2, 3])
def test_a_save_never_deletes_what_it_wrote(keep: int, tmp_path: Path) -> None:
    for number in (99999990, 99999991, 99999992):
        (tmp_path / f"step-{number}.ckpt").write_text("junk")
    line_trainer(steps=20, callbacks={"save": saving(tmp_path, keep=keep)}).run()
    own = [20, 15, 10, 5][:keep]
    assert steps(tmp_path)[3:] == own
    assert load_newest_checkpoint(tmp_path)[0] == tmp_path / "step-00000020.ckpt"


def test_what_a_killed_run_was_writing_is_removed(tmp_path: Path) -> None:
    for name in (".step-00000007.ckpt.0a1b2c3d.tmp", ".tmpCzpNQT", ".tmp-notes", "mine.tmp"):
        (tmp_path / name).write_text("half")
    line_trainer(steps=5, callbacks={"save": saving(tmp_path)}).run()
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == [".tmp-notes", "mine.tmp", "step-00000005.ckpt"]


@posix
def test_what_cannot_be_read_is_moved_aside_and_never_opened(tmp_path: Path) -> None:
    save_state(tmp_path / "step-00000001.ckpt", {"step": 1})
    (tmp_path / "step-00000002.ckpt").write_text("junk")
    (tmp_path / "step-00000002.ckpt.damaged").write_text("earlier junk")
    os.mkfifo(tmp_path / "step-00000003.ckpt")
    (tmp_path / "step-00000004.ckpt").mkdir()
    (tmp_path / "step-00000005.ckpt").symlink_to("nowhere")
    (tmp_path / "step-00000006.ckpt").symlink_to("/dev/zero")
    path, state, complaints = load_newest_checkpoint(tmp_path)
    assert path == tmp_path / "step-00000001.ckpt" and state == {"step": 1} and len(complaints) == 5
    assert not any(name.endswith("-2") for name in os.listdir(tmp_path))
    _, _, complaints = load_newest_checkpoint(tmp_path, rename_damaged=True)
    assert all("renamed to" in complaint for complaint in complaints)
    assert (tmp_path / "step-00000002.ckpt.damaged").read_text() == "earlier junk"
    assert (tmp_path / "step-00000002.ckpt.damaged-2").read_text() == "junk"
    assert load_newest_checkpoint(tmp_path)[2] == [] and steps(tmp_path) == [1]


def test_a_copy_with_a_larger_number_does_not_hide_newer_states(tmp_path: Path) -> None:
    for step in (10, 30):
        save_state(tmp_path / f"step-{step:08d}.ckpt", {"trainer": {"step": step}})
    (tmp_path / "step-00000099.ckpt").write_bytes((tmp_path / "step-00000010.ckpt").read_bytes())
    assert load_newest_checkpoint(tmp_path)[0] == tmp_path / "step-00000030.ckpt"


class Full:
    """A `save_state` that simulates a disk with room for a limited number of checkpoints."""

    def __init__(self, folder: Path, room: int) -> None:
        self.folder, self.room, self.save = folder, room, module.save_state

    def __call__(self, path: Path, state: Any) -> None:
        if len(list_checkpoints(self.folder)) >= self.room:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        self.save(path, state)


@pytest.mark.parametrize("room", [2, 3])
def test_on_a_full_disk_the_oldest_makes_room(room: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "save_state", Full(tmp_path, room))
    said: list[str] = []
    trainer = line_trainer(steps=18, callbacks={"save": saving(tmp_path, echo=said.append)})
    trainer.run()
    assert steps(tmp_path) == [18, 15] and trainer.stop_reason is None and said == []


@pytest.mark.parametrize("keep", [1, 2])
def test_on_a_full_disk_the_only_checkpoint_stays_and_the_run_continues(
    keep: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = Full(tmp_path, 1)
    monkeypatch.setattr(module, "save_state", full)
    said: list[str] = []
    trainer = line_trainer(steps=23, callbacks={"save": saving(tmp_path, keep=keep, echo=said.append)})
    trainer.run()
    assert trainer.step == 23 and steps(tmp_path) == [5]
    assert len(said) == 1 and "step-00000010.ckpt" in said[0] and "No space left" in said[0] and "00000005" in said[0]
    assert "step-00000023.ckpt" in (trainer.stop_reason or "") and "No space left" in (trainer.stop_reason or "")
    full.room, trainer.steps, trainer.stop_reason = 9, 30, None  # The disk has room again.
    trainer.run()
    assert trainer.stop_reason is None and steps(tmp_path)[0] == 30


@posix
def test_a_file_that_cannot_be_written_is_an_os_error_that_names_it(tmp_path: Path) -> None:
    import resource

    path, before = tmp_path / "step-00000001.ckpt", resource.getrlimit(resource.RLIMIT_FSIZE)
    save_state(path, {"small": 1})
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, before[1]))
    try:
        with pytest.raises(OSError) as caught:
            save_state(path, {"x": torch.zeros(100_000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert caught.value.errno == errno.EFBIG and str(path) in str(caught.value)
    assert load_state(path) == {"small": 1} and os.listdir(tmp_path) == [path.name]


@posix
@pytest.mark.parametrize("umask", [0o022, 0o007, 0o077])
def test_checkpoints_have_the_permissions_of_other_files(umask: int, tmp_path: Path) -> None:
    before = os.umask(umask)
    try:
        save_state(tmp_path / "a", {"x": torch.zeros(2)})
        save_state(tmp_path / "a", {"x": torch.zeros(2)})
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o666 & ~umask


class GoBack(Callback):
    """Callback that returns to an earlier state once, like `Guard`."""

    def __init__(self, keep: int, at: int) -> None:
        self.keep, self.at, self.state = keep, at, None

    def on_step(self, trainer: Any) -> None:
        if trainer.step == self.keep and self.state is None:
            self.state = copy.deepcopy(trainer.state_dict())
        if trainer.step == self.at and self.state is not None:
            self.at = -1
            trainer.load_state_dict(self.state)


@pytest.mark.parametrize("stop", [0, 1, 6])
def test_after_a_return_to_an_earlier_step_a_resumed_run_continues_there(stop: int, tmp_path: Path) -> None:
    class Stop(Callback):
        """Callback that ends the process some steps after the return, by an exception."""

        left = stop

        def on_step(self, trainer: Any) -> None:
            if back.at == -1:
                self.left -= 1
                if self.left < 0:
                    raise KeyboardInterrupt

    back = GoBack(7, 28)
    trainer = line_trainer(steps=99, callbacks={"back": back, "save": saving(tmp_path), "stop": Stop()})
    with pytest.raises(KeyboardInterrupt):
        trainer.run()
    path, state, _ = load_newest_checkpoint(tmp_path)
    assert path is not None and state["trainer"]["step"] == {0: 7, 1: 7, 6: 10}[stop]
    assert max(steps(tmp_path)) <= 10


@pytest.fixture(scope="module")
def saved() -> dict[str, Any]:
    trainer = line_trainer(steps=3, callbacks={"ema": EMA(["maker"])})
    trainer.run()
    return trainer.state_dict()


def resumed(saved: dict[str, Any], change: Callable[[dict[str, Any]], Any]) -> list[str]:
    state = copy.deepcopy(saved)
    change(state)
    return line_trainer(steps=3, callbacks={"ema": EMA(["maker"])}).load_state_dict(state)


NONSENSE = {
    "step": ["x", None, 1.5, math.nan, math.inf, -1, True, 10**30, [1]],
    "examples": ["x", -1],
    "seconds": ["x", None, math.nan, math.inf, -1.0],
}


@pytest.mark.parametrize(("key", "value"), [(key, value) for key, values in NONSENSE.items() for value in values])
def test_numbers_that_make_no_sense_are_refused(saved: dict[str, Any], key: str, value: Any) -> None:
    with pytest.raises(CheckpointError, match=f"trainer.{key}"):
        resumed(saved, lambda state: state.update({key: value}))


@pytest.mark.parametrize("value", ["x", None, -1, 1.5, 10**20])
def test_positions_and_moves_that_make_no_sense_are_refused(saved: dict[str, Any], value: Any) -> None:
    with pytest.raises(CheckpointError, match="position"):
        resumed(saved, lambda state: state["streams"]["train"].update(position=value))
    with pytest.raises(CheckpointError, match="moves"):
        resumed(saved, lambda state: state["callbacks"]["ema"].update(moves=value))


def test_weights_that_are_not_finite_are_refused(saved: dict[str, Any]) -> None:
    name = next(iter(saved["game"]))
    with pytest.raises(CheckpointError, match=f"{name} are not finite"):
        resumed(saved, lambda state: state["game"][name].fill_(math.nan))


@pytest.mark.parametrize(
    "change",
    [
        {"exp_avg": None},
        {"exp_avg": torch.zeros(3)},
        {"exp_avg_sq": "x"},
        {"step": torch.tensor(math.nan)},
        {"step": torch.tensor(-1.0)},
    ],
)
def test_optimizer_states_that_cannot_be_stepped_are_refused(saved: dict[str, Any], change: Any) -> None:
    with pytest.raises((CheckpointError, ValueError), match=r"judge|convert"):
        resumed(saved, lambda state: state["optimizers"]["judge"]["state"][0].update(change))


def test_what_a_checkpoint_lacks_is_said(saved: dict[str, Any]) -> None:
    assert resumed(saved, lambda state: None) == []
    (line,) = resumed(saved, lambda state: state["optimizers"]["judge"].update(state={}))
    assert "'judge'" in line and "empty" in line
    (line,) = resumed(saved, lambda state: state["optimizers"]["maker"]["state"].pop(0))
    assert "'maker'" in line and "1 of 4 parameters" in line
    (line,) = resumed(saved, lambda state: state["streams"].clear())
    assert "'train'" in line
    (line,) = resumed(saved, lambda state: state["callbacks"].clear())
    assert "'ema'" in line


def test_a_run_that_never_moved_has_no_optimizer_state_to_miss() -> None:
    trainer = line_trainer(steps=3)
    assert line_trainer(steps=3).load_state_dict(trainer.state_dict()) == []


def test_the_last_checkpoint_is_saved_though_another_callback_fails(tmp_path: Path) -> None:
    class Fails(Callback):
        def on_end(self, trainer: Any) -> None:
            raise RuntimeError("on_end of another callback")

    trainer = line_trainer(steps=3, callbacks={"fails": Fails(), "save": saving(tmp_path)})
    with pytest.raises(RuntimeError, match="another callback"):
        trainer.run()
    assert steps(tmp_path) == [3]


@pytest.mark.parametrize(("repeats", "each"), [(1, 16), (5, 80)])
def test_real_examples_are_those_of_the_player_that_draws_the_most(repeats: int, each: int) -> None:
    trainer = line_trainer(steps=4, repeats=repeats)
    trainer.run()
    assert trainer.real_examples == 4 * each and trainer.examples == 4 * 16 * (repeats + 1)


def test_a_player_that_no_longer_moves_stays_in_the_checkpoints_of_a_resumed_run(saved: dict[str, Any]) -> None:
    state = copy.deepcopy(saved)
    state["engine"]["scalers"]["early"] = {}
    trainer = line_trainer(steps=3, callbacks={"ema": EMA(["maker"])})
    trainer.load_state_dict(state)
    assert trainer.state_dict()["engine"]["scalers"].keys() == state["engine"]["scalers"].keys()
