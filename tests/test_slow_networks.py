"""Tests that every network learns real drums in longer runs. Run them with: pytest -m slow"""

from __future__ import annotations

from pathlib import Path

import pytest

from audiogan.evaluation.evaluate import evaluate_run
from audiogan.run import config
from audiogan.run.training import train

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("overrides", "steps", "share"),
    [
        (["network=tonenoise", "warm_up=200"], 400, 0.4),
        (["network=stftgan"], 300, 0.4),
        (["network=wavegan"], 400, 0.7),
        (["network=wavegan", "loss=wgan-gp"], 100, 0.9),
        (["network=specgan"], 300, 0.7),
    ],
    ids=["tonenoise", "stftgan", "wavegan", "wavegan-wgan-gp", "specgan"],
)
def test_training_beats_the_untrained_self(
    overrides: list[str], steps: int, share: float, real_drums: Path, tmp_path: Path
) -> None:
    """The Fréchet distance to held-out drums falls below ``share`` times that of the untrained network, and samples
    stay diverse."""
    found = []
    for budget in (0, steps):
        settings = [f"data.root={real_drums}", f"run_dir={tmp_path / str(budget)}", f"trainer.steps={budget}"]
        train(config.compose("drums", [*overrides, *settings]), progress=False)
        values = evaluate_run(str(tmp_path / str(budget))).values
        found.append({name.split("/")[0]: value for name, value in values.items()})
    untrained, trained = found
    assert trained["frechet"] < share * untrained["frechet"]
    assert trained["diversity"] > 2 * untrained["diversity"] or trained["diversity"] > 0.3
