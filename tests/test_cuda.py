"""Tests of the core on CUDA. They are skipped on machines without CUDA."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from audiogan.core import Checkpoints, Engine, load_newest_checkpoint

sys.path.insert(0, str(Path(__file__).parent / "core"))
from toys import line_trainer

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")


def cuda(**options: Any) -> Engine:
    return Engine("cuda", **options)


def weights(trainer: Any) -> torch.Tensor:
    return torch.cat([w.detach().float().cpu().flatten() for w in trainer.game.parameters()])


def test_a_game_learns_on_cuda_in_every_precision() -> None:
    for precision in ("fp32", "bf16", "fp16"):
        trainer = line_trainer(steps=400, batch_size=64, engine=cuda(precision=precision))
        trainer.run()
        z = torch.randn(2000, 4, device="cuda")
        with torch.no_grad():
            mean = float(trainer.game.nets["maker"](z).mean())
        assert abs(mean - 3.0) < 0.5, precision


def test_resume_is_bit_identical_on_cuda(tmp_path: Path) -> None:
    whole = line_trainer(steps=20, engine=cuda(deterministic=True, tf32=False))
    whole.run()
    for steps in (7, 20):
        part = line_trainer(
            steps=steps,
            engine=cuda(deterministic=True, tf32=False),
            callbacks={"save": Checkpoints(tmp_path, every_steps=5, every_minutes=None)},
        )
        _, state, _ = load_newest_checkpoint(tmp_path)
        if state:
            part.load_state_dict(state["trainer"])
        part.run()
    assert torch.equal(weights(whole), weights(part))


def test_the_loop_never_waits_for_the_device() -> None:
    trainer = line_trainer(steps=3, engine=cuda())
    trainer.run()
    trainer.steps = 10
    torch.cuda.set_sync_debug_mode("error")
    try:
        trainer.run()
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_batches_come_from_pinned_memory_and_rng_of_every_device_is_saved() -> None:
    trainer = line_trainer(steps=1, engine=cuda())
    assert trainer.streams["train"].pin_memory
    assert trainer.streams["train"].next()[0]["x"].is_pinned()
    assert len(trainer.state_dict()["engine"]["rng"]["cuda"]) == torch.cuda.device_count()


def test_accumulation_moves_like_one_batch() -> None:
    one = line_trainer(steps=5, batch_size=16, engine=cuda(tf32=False))
    parts = line_trainer(steps=5, batch_size=4, engine=cuda(tf32=False, accumulate=4))
    one.run()
    parts.run()
    torch.testing.assert_close(weights(one), weights(parts), rtol=1e-3, atol=1e-4)


def test_the_shipped_drums_train_on_cuda(tiny_sounds: Path, tmp_path: Path) -> None:
    from audiogan import load
    from audiogan.run.config import compose
    from audiogan.run.training import train

    cfg = compose(
        "drums", [f"data.root={tiny_sounds}", f"run_dir={tmp_path}", "trainer.steps=20", "engine.precision=bf16"]
    )
    trainer = train(cfg, progress=False)
    assert trainer.step == 20 and trainer.stop_reason is None
    assert load(tmp_path, device="cuda").sample(2, seed=0).shape == (2, 1, 16384)
