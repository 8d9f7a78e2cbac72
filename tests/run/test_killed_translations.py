"""Tests that translation models that are killed at random moments end with the same bits as uninterrupted runs."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from states import assert_same, final
from test_training import SERVER, Command, newest_step, until

STEPS, KILLS = 40, 5
SMALL = {
    "cyclegan": ["data.size=16", "width=2", "blocks=1", "game.pool=2", "game.critics.critic_a.layers=1"],
    "pix2pix": ["data.size=16", "width=4", "batch_size=2", "game.critic.layers=1"],
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_killed_five_times(name: str, tmp_path: Path) -> None:
    rng = random.Random(2)
    common = [*SMALL[name], f"trainer.steps={STEPS}", "checkpoints.every_steps=1", "engine.threads=1"]
    command = ["train", name, *common, "callbacks.previews=null", "callbacks.monitors=null"]
    with subprocess.Popen(
        [sys.executable, "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdin is not None
        code, out = Command(server, tmp_path / "printed.txt", [*command, f"run_dir={tmp_path / 'whole'}"]).wait()
        assert code == 0, out
        run = tmp_path / "killed"
        for step in sorted(rng.sample(range(1, STEPS - 5), KILLS)):
            child = Command(server, tmp_path / "printed.txt", [*command, f"run_dir={run}"])
            until(lambda step=step: newest_step(run) >= step, 600)
            time.sleep(rng.uniform(0, 0.05))
            child.send(signal.SIGKILL)
            code, out = child.wait()
            assert code == -signal.SIGKILL, out
            print(f"{name}: killed at step {newest_step(run)}")
        code, out = Command(server, tmp_path / "printed.txt", [*command, f"run_dir={run}"]).wait()
        assert code == 0 and "resuming from" in out, out
        server.stdin.close()
    a, b = final(run), final(tmp_path / "whole")
    assert_same(a, b)
    pools = [key for key in a["game"] if "pool" in key]
    print(f"{name}: {len(a['game'])} tensors of the game are equal, {len(pools)} of them of image pools")
    assert bool(pools) == (name == "cyclegan")
