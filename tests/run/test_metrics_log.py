"""Tests of the means of losses in the metrics log."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from audiogan.run.callbacks import MetricsLog


def test_means_of_bf16_losses_are_computed_in_float32(tmp_path: Path) -> None:
    """A bf16 sum of 50 losses near 0.69 is a multiple of 0.25, so that a changing loss looked constant."""
    log, losses = MetricsLog(tmp_path, every=50), torch.linspace(0.68, 0.70, 50).bfloat16()
    for loss in losses:
        move = SimpleNamespace(
            applied=True,
            player=SimpleNamespace(name="critic"),
            losses={"loss": loss},
            grad_norm=torch.zeros(()),
            recorded_values={},
        )
        log.on_move(None, move)  # type: ignore[arg-type]
    total, count = log.state_dict()["sums"]["critic/loss"]
    assert float(total) / count == pytest.approx(float(losses.float().mean()), abs=1e-6)
