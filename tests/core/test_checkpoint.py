"""Tests of checkpoints: atomic writing, verification, exact resumption."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from audiogan.core import (
    EMA,
    Anneal,
    Callback,
    CheckpointError,
    Checkpoints,
    Stream,
    load_newest_checkpoint,
    load_state,
    save_state,
)
from audiogan.core.checking import describe_differences
from audiogan.core.checkpoint import list_checkpoints

sys.path.insert(0, str(Path(__file__).parent))
from toys import Numbers, line_trainer

leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8)
trees = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=5) | st.integers(), inner, max_size=3)
    ),
    max_leaves=12,
)


@settings(max_examples=50, deadline=None)
@given(tree=trees)
def test_any_tree_round_trips(tree: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("tree") / "a.ckpt"
    save_state(path, {"tree": tree})
    assert load_state(path)["tree"] == tree


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.uint8, torch.bool])
def test_tensors_round_trip(dtype: torch.dtype, tmp_path: Path) -> None:
    x = (torch.randn(3, 4) * 3).to(dtype)
    save_state(tmp_path / "a", {"x": x, "view": x.t(), "scalar": x[0, 0], "empty": x[:0], "again": [x, {1: x}]})
    state = load_state(tmp_path / "a")
    assert torch.equal(state["x"], x) and torch.equal(state["view"], x.t()) and torch.equal(state["again"][1][1], x)
    assert state["scalar"].shape == () and state["empty"].shape == (0, 4) and state["x"].dtype == dtype


@settings(max_examples=40, deadline=None)
@given(where=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_single_wrong_bit_is_noticed(where: float, bit: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("bits") / "a.ckpt"
    save_state(path, {"weights": torch.arange(20.0), "step": 3})
    data = bytearray(path.read_bytes())
    data[math.floor(where * len(data))] ^= 1 << bit
    path.write_bytes(data)
    try:  # Padding and key order in the header may change without an effect on the loaded state.
        state = load_state(path)
    except CheckpointError:
        return
    assert torch.equal(state["weights"], torch.arange(20.0)) and state["step"] == 3


@pytest.mark.parametrize("content", [b"", b"junk" * 100, b"\x80\x04cos\nsystem\n(S'true'\ntR.", b"\xff" * 64])
def test_foreign_files_are_one_clear_error(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(CheckpointError, match="a: "):
        load_state(tmp_path / "a")


def test_what_cannot_be_saved_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="object"):
        save_state(tmp_path / "a", {"x": object()})
    assert list(tmp_path.iterdir()) == []


def test_newest_intact_checkpoint_is_used_and_damage_is_said(tmp_path: Path) -> None:
    for step in (1, 2, 3):
        save_state(tmp_path / f"step-{step:08d}.ckpt", {"step": step})
    newest = tmp_path / "step-00000003.ckpt"
    newest.write_bytes(newest.read_bytes()[:-7])
    path, state, damaged = load_newest_checkpoint(tmp_path)
    assert state["step"] == 2 and path is not None and path.name == "step-00000002.ckpt"
    assert len(damaged) == 1 and "step-00000003" in damaged[0]


def test_only_the_newest_are_kept_and_weights_must_be_finite(tmp_path: Path) -> None:
    trainer = line_trainer(
        steps=7, callbacks={"save": Checkpoints(tmp_path, every_steps=2, every_minutes=None, keep=2)}
    )
    trainer.run()
    assert [p.name for p in list_checkpoints(tmp_path)] == ["step-00000007.ckpt", "step-00000006.ckpt"]
    with torch.no_grad():
        next(trainer.game.parameters()).fill_(math.nan)
    trainer.steps = 9
    trainer.run()
    assert list_checkpoints(tmp_path)[0].name == "step-00000007.ckpt"
    assert "finite" in (trainer.stop_reason or "")


def full(folder: Path, steps: int) -> Any:
    callbacks = {"ema": EMA(["maker"]), "save": Checkpoints(folder, every_steps=5, every_minutes=None)}
    return line_trainer(steps=steps, callbacks=callbacks)


def everything(trainer: Any) -> dict[str, Any]:
    state = trainer.state_dict()
    state.pop("seconds")
    return state


def assert_same(a: Any, b: Any) -> None:
    if isinstance(a, torch.Tensor):
        assert torch.equal(a, b)
    elif isinstance(a, dict):
        assert a.keys() == b.keys()
        for key in a:
            assert_same(a[key], b[key])
    elif isinstance(a, list | tuple):
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            assert_same(x, y)
    else:
        assert a == b


@settings(max_examples=8, deadline=None)
@given(stops=st.lists(st.integers(1, 19), max_size=3))
def test_resuming_anywhere_ends_bit_identical(stops: list[int], tmp_path_factory: pytest.TempPathFactory) -> None:
    whole = full(tmp_path_factory.mktemp("whole"), 20)
    whole.run()
    folder = tmp_path_factory.mktemp("parts")
    for stop in [*sorted(stops), 20]:
        part = full(folder, stop)
        _, state, _ = load_newest_checkpoint(folder)
        if state:
            part.load_state_dict(state["trainer"])
        torch.rand(7)  # Random numbers drawn between saving and loading must have no effect.
        part.run()
    assert_same(everything(whole), everything(part))


CHILD = """
import sys
sys.path.insert(0, {tests!r})
from pathlib import Path
from test_checkpoint import full
from audiogan.core import load_newest_checkpoint
folder = Path({folder!r})
trainer = full(folder, 150)
_, state, _ = load_newest_checkpoint(folder)
if state:
    trainer.load_state_dict(state["trainer"])
print("ready", flush=True)
trainer.run()
"""


def test_sigkill_and_resume_ends_bit_identical(tmp_path: Path) -> None:
    folder = tmp_path / "killed"
    code = textwrap.dedent(CHILD).format(tests=str(Path(__file__).parent), folder=str(folder))
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    for wait in (0.3, None):
        child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, env=environment)
        assert child.stdout is not None and child.stdout.readline() == b"ready\n"
        try:
            child.wait(wait)
        except subprocess.TimeoutExpired:
            child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()
    _, state, damaged = load_newest_checkpoint(folder)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    whole = full(tmp_path / "whole", 150)
    whole.run()
    torch.set_num_threads(threads)
    assert damaged == [] and state["trainer"]["step"] == 150
    assert_same(everything(whole)["game"], state["trainer"]["game"])
    assert_same(everything(whole)["optimizers"], state["trainer"]["optimizers"])
    assert not list(folder.glob(".*.tmp"))


def test_a_changed_architecture_is_named() -> None:
    trainer = line_trainer(steps=1)
    state = trainer.state_dict()
    state["game"]["nets.maker.0.weight"] = torch.zeros(16, 5)
    with pytest.raises(CheckpointError, match=r"nets\.maker\.0\.weight is \[16, 4\] now, \[16, 5\] in the checkpoint"):
        trainer.load_state_dict(state)
    assert (
        describe_differences({"a": torch.zeros(1)}, {"b": torch.zeros(2)})
        == "a [1] is not in the checkpoint; b [2] is only in the checkpoint"
    )


def test_an_average_added_on_resume_begins_with_the_trained_weights() -> None:
    trained = line_trainer(steps=5)
    trained.run()
    ema = EMA(["maker"])
    line_trainer(steps=5, callbacks={"ema": ema}).load_state_dict(trained.state_dict())
    assert_same(dict(ema.nets["maker"].state_dict()), dict(trained.game.nets["maker"].state_dict()))


@pytest.mark.parametrize("stop", [3, 12, 19])
def test_a_resumed_run_anneals_as_if_never_stopped(stop: int) -> None:
    class Stop(Callback):
        def on_step(self, trainer: Any) -> None:
            if trainer.step == stop:
                trainer.stop("asked to")

    whole = line_trainer(steps=20, callbacks={"anneal": Anneal(0.25)})
    whole.run()
    first = line_trainer(steps=20, callbacks={"anneal": Anneal(0.25), "stop": Stop()})
    first.run()
    rest = line_trainer(steps=20, callbacks={"anneal": Anneal(0.25)})
    rest.load_state_dict(first.state_dict())
    rest.run()
    assert_same(everything(whole), everything(rest))
    longer = line_trainer(steps=80, callbacks={"anneal": Anneal(0.25)})
    longer.load_state_dict(whole.state_dict())
    # With a larger budget, the learning rate is the full rate again.
    assert longer.optimizers["maker"].param_groups[0]["lr"] == 5e-3


def test_the_configured_learning_rate_wins_on_resume() -> None:
    trainer = line_trainer(steps=2)
    trainer.run()
    state = trainer.state_dict()
    other = line_trainer(steps=2)
    other.optimizers["maker"].param_groups[0]["lr"] = 0.5
    other.load_state_dict(state)
    assert other.optimizers["maker"].param_groups[0]["lr"] == 0.5


@settings(max_examples=30, deadline=None)
@given(n=st.integers(1, 30), size=st.integers(1, 12), parts=st.integers(1, 3), skip=st.integers(0, 9))
def test_streams_cover_every_epoch_and_resume(n: int, size: int, parts: int, skip: int) -> None:
    data = Numbers(torch.arange(float(n))[:, None])

    def read(stream: Stream, batches: int) -> list[float]:
        return [
            v for _ in range(batches) for part in stream.next(range(parts), parts) for v in part["x"][:, 0].tolist()
        ]

    values = read(Stream(data, size, seed=1), 10)
    for epoch in range(len(values) // n):
        assert sorted(values[epoch * n : (epoch + 1) * n]) == list(range(n))
    resumed = Stream(data, size, seed=1)
    resumed.load_state_dict({"position": skip, "length": n})
    assert read(resumed, 10 - skip) == values[skip * size * parts :]
    one = Stream(data, size * parts, seed=1)  # The batch is the same for every division into micro-batches.
    assert [v for _ in range(10) for v in one.next()[0]["x"][:, 0].tolist()] == values
