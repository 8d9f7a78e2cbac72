"""Tests of the engine: precision, gradient accumulation, several processes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from audiogan.core import Engine, load_state

sys.path.insert(0, str(Path(__file__).parent))
from toys import line_trainer

CHILD = """
import sys
sys.path.insert(0, {tests!r})
from toys import line_trainer
from audiogan.core import Engine, save_state
trainer = line_trainer(steps=5, batch_size=8, repeats=2, engine=Engine("cpu"))
trainer.run()
if trainer.engine.is_main_process:
    save_state({out!r}, trainer.state_dict())
trainer.engine.close()
"""


def weights(state: dict[str, torch.Tensor]) -> torch.Tensor:
    return torch.cat([w.flatten() for w in state.values()])


def test_two_processes_of_8_move_like_one_of_16(tmp_path: Path) -> None:
    out = tmp_path / "two.ckpt"
    script = tmp_path / "child.py"
    script.write_text(CHILD.format(tests=str(Path(__file__).parent), out=str(out)))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", str(script)]
    ended = subprocess.run(command, timeout=120, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    one = line_trainer(steps=5, batch_size=16, repeats=2)
    before = weights(one.game.state_dict())
    one.run()
    two = load_state(out)
    assert two["step"] == 5 and two["examples"] == one.examples
    moved = (weights(one.game.state_dict()) - before).abs().max()
    difference = (weights(one.game.state_dict()) - weights(two["game"])).abs().max()
    assert moved > 0.01 and difference < 1e-4 * moved


def test_auto_takes_an_apple_gpu_in_a_single_process(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="no Apple GPU"):
        Engine("mps")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert Engine("auto").device.type == Engine("mps").device.type == "mps"
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ValueError, match="one process"):
        Engine("mps")


def test_accumulated_parts_move_like_one_batch() -> None:
    one = line_trainer(steps=5, batch_size=16)
    parts = line_trainer(steps=5, batch_size=4, engine=Engine("cpu", accumulate=4))
    one.run()
    parts.run()
    torch.testing.assert_close(weights(one.game.state_dict()), weights(parts.game.state_dict()), rtol=1e-4, atol=1e-5)


def test_bf16_trains_in_float32_weights() -> None:
    trainer = line_trainer(steps=150, batch_size=64, engine=Engine("cpu", precision="bf16"))
    trainer.run()
    assert all(w.dtype == torch.float32 for w in trainer.game.parameters())
    assert abs(float(trainer.game.sample(2000, rng=torch.Generator().manual_seed(0)).mean()) - 3.0) < 0.5


def test_fp16_has_a_scaler_for_each_player_and_keeps_it() -> None:
    trainer = line_trainer(steps=3, engine=Engine("cpu", precision="fp16"))
    trainer.run()
    state = trainer.state_dict()
    assert set(state["engine"]["scalers"]) == {"judge", "maker"}
    state["engine"]["scalers"]["maker"]["scale"] = 128.0
    other = line_trainer(steps=3, engine=Engine("cpu", precision="fp16"))
    other.load_state_dict(state)
    assert other.engine.state_dict()["scalers"]["maker"]["scale"] == 128.0


def test_clipping_bounds_the_step() -> None:
    trainer = line_trainer(steps=1)
    params = list(trainer.game.nets["maker"].parameters())
    for p in params:
        p.grad = torch.full_like(p, 100.0)
    norm = trainer.engine.average_and_clip_gradients("maker", torch.optim.SGD(params, lr=1e-3), params, clip=1.0)
    assert float(norm) > 100
    assert float(torch.cat([p.grad.flatten() for p in params if p.grad is not None]).norm()) == pytest.approx(
        1.0, rel=1e-4
    )


@pytest.mark.parametrize("options", [{"precision": "fp8"}, {"accumulate": 0}])
def test_wrong_options_are_named(options: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        Engine("cpu", **options)  # type: ignore[arg-type]
